/* Reads one CPU's data file back: packets, events and their times. Written from docs and layout.h, not from the reader's code. */
#ifndef WEFT_TEST_TRACE_FILE_H
#define WEFT_TEST_TRACE_FILE_H

#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "test/decode.h"
#include "test/emitter.h"

namespace weft_test {

struct FileTotals {
    uint64_t packets = 0, events = 0, discarded = 0;
    std::string wrong; /* empty: nothing */
};

class TraceFile {
public:
    using Event = std::function<void(uint32_t source, uint64_t number)>;

    TraceFile(const std::string &path, uint32_t cpu, Event event) : cpu_(cpu), event_(std::move(event)) {
        std::ifstream in(path, std::ios::binary);
        data_.assign(std::istreambuf_iterator<char>(in), {});
    }

    FileTotals read() {
        for (size_t at = 0; at < data_.size() && totals_.wrong.empty();)
            at += packet(at);
        return totals_;
    }

private:
    static constexpr size_t kHeader = 32, kHeaderAndContext = 32 + 52;

    const uint8_t *bytes(size_t at) const { return reinterpret_cast<const uint8_t *>(data_.data()) + at; }
    uint64_t context(size_t at, size_t field) const { return decode_u64(bytes(at + kHeader + 8 * field)); }
    size_t wrong(const std::string &what, size_t at) {
        if (totals_.wrong.empty())
            totals_.wrong = what + " at byte " + std::to_string(at);
        return data_.size();
    }

    size_t packet(size_t at) {
        if (at + kHeaderAndContext > data_.size() || decode_u32(bytes(at)) != 0xC1FC1FC1u)
            return wrong("no packet", at);
        const uint64_t begin = context(at, 0), end = context(at, 1), size = context(at, 3) / 8, discarded = context(at, 5);
        if (size < kHeaderAndContext || size > data_.size() - at || context(at, 2) != context(at, 3))
            return wrong("packet size", at);
        if (context(at, 4) != totals_.packets++ || decode_u32(bytes(at + 80)) != cpu_)
            return wrong("packet number or CPU", at);
        if (begin > end || begin < end_ || discarded < totals_.discarded)
            return wrong("times or losses go back between packets", at);
        end_ = end;
        totals_.discarded = discarded;
        events(at + kHeaderAndContext, at + size, begin, end);
        return size;
    }

    void events(size_t at, const size_t limit, uint64_t clock, uint64_t end) {
        while (at < limit && totals_.wrong.empty()) {
            const uint64_t before = clock;
            decoded record{};
            if (limit - at < 4 + EMITTER_CONTEXT_BYTES + EMITTER_FIXED_BYTES) {
                wrong("event crosses its packet's end", at);
                return;
            }
            at += decode_header(bytes(at), &record, &clock) + EMITTER_CONTEXT_BYTES;
            if (clock < before || clock > end)
                wrong("event's time", at);
            at += payload(at, limit, record.id);
        }
    }

    size_t payload(size_t at, size_t limit, uint32_t id) {
        if (limit < at + EMITTER_FIXED_BYTES)
            return wrong("event crosses its packet's end", at);
        const uint32_t source = decode_u32(bytes(at)), length = decode_u32(bytes(at + 12));
        const uint64_t number = decode_u64(bytes(at + 4));
        const size_t body = at + EMITTER_FIXED_BYTES;
        if (length > limit - body || id != emitter_id(number))
            return wrong("event", at);
        if (data_.compare(body, length, std::string(length, static_cast<char>(emitter_byte(number)))) != 0)
            return wrong("event's bytes", at);
        totals_.events++;
        event_(source, number);
        return EMITTER_FIXED_BYTES + length;
    }

    const uint32_t cpu_;
    const Event event_;
    std::string data_;
    FileTotals totals_;
    uint64_t end_ = 0;
};

}  // namespace weft_test

#endif
