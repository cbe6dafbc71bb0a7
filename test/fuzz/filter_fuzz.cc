/*
 * libFuzzer against filters: the input is bytecode and the values that it runs on. Whatever the verifier accepts must run without a
 * crash, a hang or a read outside, on values of the verified kinds and of any others; and what it accepts, it accepts again.
 * As random bytes are hardly ever a program, most inputs are made one: instructions chosen so that their operands fit.
 *
 *   make -C native fuzz && native/build/fuzz/filter_fuzz -max_total_time=60
 */
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" {
#include "ust/app_context.h"
#include "ust/bytecode.h"
#include "ust/filter.h"
}

namespace {

constexpr uint32_t kFields = 6;

const weft_field fields[kFields] = {
    {"integer", WEFT_KIND_INTEGER, 0, 0, {32, WEFT_INT_SIGNED, 10}, {0, 0, 0}, 0, nullptr, nullptr},
    {"number", WEFT_KIND_FLOAT, 0, 0, {64, 0, 10}, {0, 0, 0}, 0, nullptr, nullptr},
    {"string", WEFT_KIND_STRING, 0, 1, {0, 0, 0}, {0, 0, 0}, 0, nullptr, nullptr},
    {"array", WEFT_KIND_ARRAY, 0, 0, {16, WEFT_INT_REVERSE, 10}, {0, 0, 0}, 3, nullptr, nullptr},
    {"text", WEFT_KIND_SEQUENCE, 0, 1, {8, 0, 10}, {32, 0, 10}, 0, nullptr, nullptr},
    {"sequence", WEFT_KIND_SEQUENCE, 0, 0, {64, 0, 10}, {32, 0, 10}, 0, nullptr, nullptr},
};

class Input {
public:
    Input(const uint8_t *bytes, size_t length) : at_(bytes), end_(bytes + length) {}
    bool empty() const { return at_ == end_; }
    uint8_t byte() { return empty() ? 0 : *at_++; }
    uint64_t word() {
        uint64_t value = 0;
        for (int i = 0; i < 8; i++)
            value |= static_cast<uint64_t>(byte()) << (8 * i);
        return value;
    }
    std::vector<uint8_t> bytes(size_t most) {
        const size_t n = static_cast<size_t>(end_ - at_) < most ? static_cast<size_t>(end_ - at_) : most;
        at_ += n;
        return std::vector<uint8_t>(at_ - n, at_);
    }
    std::vector<uint8_t> rest() { return bytes(SIZE_MAX); }

private:
    const uint8_t *at_, *end_;
};

/* One expression: an operator and an operand's worth of the input at a time, lengths and targets kept small. */
std::vector<uint8_t> expression(Input &in) {
    std::vector<uint8_t> code;
    const auto put = [&](uint64_t value, int bytes) {
        for (int i = 0; i < bytes; i++)
            code.push_back(static_cast<uint8_t>(value >> (8 * i)));
    };
    const auto text = [&](int width) {
        const std::vector<uint8_t> bytes = in.bytes(in.byte() % 12);
        put(bytes.size(), width);
        code.insert(code.end(), bytes.begin(), bytes.end());
    };
    for (int left = in.byte() % 40; left > 0; left--) {
        const uint8_t op = in.byte() % 90;
        code.push_back(op);
        if (op == WEFT_OP_PUSH_INT || op == WEFT_OP_PUSH_DOUBLE)
            put(in.byte() & 1 ? in.word() : in.byte(), 8);
        else if (op == WEFT_OP_PUSH_STRING || (op >= WEFT_OP_PREFIX_EQ && op <= WEFT_OP_GLOB_EQ + 1))
            text(2);
        else if (op >= WEFT_OP_FIELD_INT && op <= WEFT_OP_CONTEXT_STRING)
            put(in.byte() % (kFields + 1), 2), put(in.byte(), op == WEFT_OP_ELEMENT_INT ? 4 : 0);
        else if (op >= WEFT_OP_APP_INT && op <= WEFT_OP_APP_STRING)
            put(3, 1), put('a', 1), put(':', 1), put('b' + in.byte() % 4, 1);
        else if (op == WEFT_OP_JUMP_IF_FALSE || op == WEFT_OP_JUMP_IF_TRUE)
            put(code.size() + 2 + in.byte() % 32, 2);
    }
    code.push_back(WEFT_OP_RETURN);
    return code;
}

std::vector<uint8_t> program(Input &in) {
    std::vector<uint8_t> bytes = {WEFT_BYTECODE_VERSION, static_cast<uint8_t>(1 + in.byte() % 3)};
    for (int i = bytes[1]; i > 0; i--) {
        const std::vector<uint8_t> code = expression(in);
        bytes.push_back(static_cast<uint8_t>(code.size()));
        bytes.push_back(static_cast<uint8_t>(code.size() >> 8));
        bytes.insert(bytes.end(), code.begin(), code.end());
    }
    return bytes;
}

/* Memory of exactly the size that a value says, so that the sanitizer sees one byte more. */
struct Value {
    std::vector<uint8_t> memory;
    weft_value value{};

    void fill(uint8_t kind, Input &in) {
        static const uint8_t widths[] = {8, 16, 32, 64};
        value.kind = kind;
        if (kind == WEFT_VALUE_INT)
            value.as.integer = static_cast<int64_t>(in.word());
        if (kind == WEFT_VALUE_DOUBLE) {
            const uint64_t bits = in.word();
            std::memcpy(&value.as.number, &bits, 8);
        }
        if (kind != WEFT_VALUE_STRING && kind != WEFT_VALUE_ARRAY)
            return;
        memory = in.bytes(in.byte() % 24);
        const bool unmeasured = kind == WEFT_VALUE_STRING && (in.byte() & 1);
        if (unmeasured)
            memory.push_back(0);
        memory.shrink_to_fit();
        value.element = {widths[in.byte() % 4], static_cast<uint8_t>(in.byte() & 3), 10};
        value.as.bytes = memory.data();
        value.length = unmeasured ? WEFT_VALUE_UNMEASURED : kind == WEFT_VALUE_STRING ? memory.size() : memory.size() / (value.element.bits / 8u);
    }
};

weft_context_value given;
char given_text[] = "given";

void give(void *, weft_context_value *value) { *value = given; }

weft_app_context context = {sizeof(weft_app_context), "a:b", give, nullptr, nullptr};

void run(const weft_filter *filter, Input &in) {
    static const uint8_t kinds[kFields] = {WEFT_VALUE_INT,   WEFT_VALUE_DOUBLE, WEFT_VALUE_STRING,
                                           WEFT_VALUE_ARRAY, WEFT_VALUE_STRING, WEFT_VALUE_ARRAY};
    const bool foreign = in.byte() % 4 == 0; /* values of another description */
    Value all[kFields];
    weft_value values[kFields];
    for (uint32_t i = 0; i < kFields; i++) {
        all[i].fill(foreign ? in.byte() % 6 : kinds[i], in);
        values[i] = all[i].value;
    }
    given.kind = in.byte() % 14;
    given.as.integer = static_cast<int64_t>(in.word());
    if (given.kind == WEFT_CONTEXT_VALUE_STRING)
        given.as.text = in.byte() & 1 ? given_text : nullptr;
    const int once = weft_filter_run(filter, values, kFields, &given), again = weft_filter_run(filter, values, kFields, &given);
    if (once != again || (once != 0 && once != 1) || weft_filter_run(filter, values, kFields - 1, &given))
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const bool added = weft_app_context_add(&context) == 0;
    Input in(bytes, length);
    std::vector<uint8_t> code = added && in.byte() % 4 ? program(in) : in.bytes(in.byte() * 4u);
    code.shrink_to_fit();
    weft_filter *filter = nullptr;
    if (weft_filter_verify(code.data(), code.size(), fields, kFields, &filter) != 0)
        return 0;
    if (!weft_filter_is(filter, code.data(), code.size()))
        std::abort();
    for (int rounds = 0; rounds < 4; rounds++)
        run(filter, in);
    weft_filter_free(filter);
    return 0;
}
