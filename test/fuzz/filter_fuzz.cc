/*
 * libFuzzer against filters: the input is bytecode and the values that it runs on. Whatever the verifier accepts must run without a
 * crash, a hang or a read outside, on values of the verified kinds and of any others; and what it accepts, it accepts again.
 * As random bytes are hardly ever a program, most inputs choose instructions whose operands are then made to fit, with errors.
 *
 *   make -C native fuzz && native/build/fuzz/filter_fuzz -max_total_time=60
 */
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
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

/* What an operator takes and leaves: I, D, S, the top last. */
struct Shape {
    uint8_t first, count;
    const char *takes, *leaves;
};
const Shape shapes[] = {
    {WEFT_OP_PUSH_INT, 1, "", "I"},       {WEFT_OP_PUSH_DOUBLE, 1, "", "D"},     {WEFT_OP_PUSH_STRING, 1, "", "S"},
    {WEFT_OP_FIELD_INT, 1, "", "I"},      {WEFT_OP_FIELD_DOUBLE, 1, "", "D"},    {WEFT_OP_FIELD_STRING, 1, "", "S"},
    {WEFT_OP_ELEMENT_INT, 1, "", "I"},    {WEFT_OP_CONTEXT_INT, 1, "", "I"},     {WEFT_OP_CONTEXT_STRING, 1, "", "S"},
    {WEFT_OP_APP_INT, 1, "", "I"},        {WEFT_OP_APP_DOUBLE, 1, "", "D"},      {WEFT_OP_APP_STRING, 1, "", "S"},
    {WEFT_OP_INT_TO_DOUBLE, 1, "I", "D"}, {WEFT_OP_NEGATE_INT, 1, "I", "I"},     {WEFT_OP_NEGATE_DOUBLE, 1, "D", "D"},
    {WEFT_OP_NOT, 2, "I", "I"},           {WEFT_OP_BOOL_DOUBLE, 1, "D", "I"},    {WEFT_OP_COMPLEMENT, 1, "I", "I"},
    {WEFT_OP_AND, 5, "II", "I"},          {WEFT_OP_INT_EQ, 6, "II", "I"},        {WEFT_OP_DOUBLE_EQ, 6, "DD", "I"},
    {WEFT_OP_STRING_EQ, 6, "SS", "I"},    {WEFT_OP_PREFIX_EQ, 6, "S", "I"},      {WEFT_OP_GLOB_EQ, 2, "S", "I"},
    {WEFT_OP_INT_TO_DOUBLE_BELOW, 1, "II", "DI"}, {WEFT_OP_INT_TO_DOUBLE_BELOW, 1, "ID", "DD"},
    {WEFT_OP_JUMP_IF_FALSE, 2, "I", ""},
};

/* One expression. As a rule an operator finds what it takes: constants are put before it. */
class Expression {
public:
    explicit Expression(Input &in) : in_(in) {
        for (int left = in_.byte() % 24; left > 0; left--) {
            const Shape &shape = shapes[in_.byte() % (sizeof(shapes) / sizeof(shapes[0]))];
            if (in_.byte() % 32)
                provide(shape.takes);
            put(static_cast<uint8_t>(shape.first + in_.byte() % shape.count), shape);
        }
        provide(kinds_.empty() ? "I" : "");
        while (kinds_ != "I")
            reduce();
        for (const size_t at : jumps_) {
            if (in_.byte() % 16 == 0)
                continue; /* leads nowhere in particular */
            code_[at] = static_cast<uint8_t>(code_.size());
            code_[at + 1] = static_cast<uint8_t>(code_.size() >> 8);
        }
        code_.push_back(WEFT_OP_RETURN);
    }
    const std::vector<uint8_t> &code() const { return code_; }

private:
    bool has(const std::string &takes) const {
        return kinds_.size() >= takes.size() && kinds_.compare(kinds_.size() - takes.size(), takes.size(), takes) == 0;
    }
    void number(uint64_t value, int bytes) {
        for (int i = 0; i < bytes; i++)
            code_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }
    void text() {
        const std::vector<uint8_t> bytes = in_.bytes(in_.byte() % 12);
        number(bytes.size(), 2);
        for (const uint8_t b : bytes) /* stars and backslashes are what patterns are about */
            code_.push_back(b % 8 == 0 ? '*' : b % 8 == 1 ? '\\' : b);
    }
    void provide(const std::string &takes) {
        if (has(takes))
            return;
        for (const char kind : takes)
            put(kind == 'I' ? WEFT_OP_PUSH_INT : kind == 'D' ? WEFT_OP_PUSH_DOUBLE : WEFT_OP_PUSH_STRING, shapes[kind == 'I' ? 0 : kind == 'D' ? 1 : 2]);
    }
    void put(uint8_t op, const Shape &shape) {
        code_.push_back(op);
        operand(op);
        kinds_.resize(has(shape.takes) ? kinds_.size() - std::strlen(shape.takes) : kinds_.size());
        kinds_ += shape.leaves;
    }
    void reduce() {
        const char top = kinds_.back();
        if (top == 'D')
            put(WEFT_OP_BOOL_DOUBLE, shapes[16]);
        else if (top == 'S')
            put(WEFT_OP_GLOB_EQ, shapes[23]);
        else if (has("II"))
            put(in_.byte() & 1 ? WEFT_OP_OR : WEFT_OP_AND, shapes[18]);
        else if (has("DI"))
            put(WEFT_OP_INT_TO_DOUBLE, shapes[12]), put(WEFT_OP_DOUBLE_EQ, shapes[20]);
        else
            put(WEFT_OP_PUSH_STRING, shapes[2]), put(WEFT_OP_GLOB_EQ, shapes[23]), kinds_ = "I"; /* S I: no operator; refused */
    }
    void operand(uint8_t op) {
        static const uint8_t good[] = {0, 1, 2, 3};
        if (op == WEFT_OP_PUSH_INT || op == WEFT_OP_PUSH_DOUBLE)
            number(in_.byte() & 1 ? in_.word() : in_.byte() % 70, 8);
        else if (op == WEFT_OP_PUSH_STRING || (op >= WEFT_OP_PREFIX_EQ && op <= WEFT_OP_GLOB_EQ + 1))
            text();
        else if (op >= WEFT_OP_FIELD_INT && op <= WEFT_OP_ELEMENT_INT)
            number(in_.byte() % 8 ? good[op - WEFT_OP_FIELD_INT] + (op >= WEFT_OP_FIELD_STRING ? in_.byte() % 2 * 2u : 0u) : in_.byte() % (kFields + 1), 2),
                number(in_.byte() % 8 ? in_.byte() % 4 : in_.word(), op == WEFT_OP_ELEMENT_INT ? 4 : 0);
        else if (op == WEFT_OP_CONTEXT_INT || op == WEFT_OP_CONTEXT_STRING)
            number(op == WEFT_OP_CONTEXT_STRING ? 3 : 1 + in_.byte() % 6, 2);
        else if (op >= WEFT_OP_APP_INT && op <= WEFT_OP_APP_STRING)
            number(3, 1), number('a', 1), number(':', 1), number('b' + in_.byte() % 16 / 15, 1);
        else if (op == WEFT_OP_JUMP_IF_FALSE || op == WEFT_OP_JUMP_IF_TRUE)
            number(code_.size() + 2 + in_.byte() % 32, 2), jumps_.push_back(code_.size() - 2);
    }

    Input &in_;
    std::vector<uint8_t> code_;
    std::vector<size_t> jumps_; /* where their targets stand */
    std::string kinds_;
};

std::vector<uint8_t> program(Input &in) {
    std::vector<uint8_t> bytes = {WEFT_BYTECODE_VERSION, static_cast<uint8_t>(1 + in.byte() % 3)};
    for (int i = bytes[1]; i > 0; i--) {
        const Expression expression(in);
        const std::vector<uint8_t> &code = expression.code();
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
