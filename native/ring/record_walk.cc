#include "ring/record_walk.h"

#include <cstring>

#include "ring/layout.h"

namespace weft {

namespace {

enum Kind : uint32_t { kFixed, kString, kSequence, kApplication };

template <typename T>
bool read_little(const uint8_t **at, const uint8_t *end, T *value) {
    if (static_cast<size_t>(end - *at) < sizeof(T))
        return false;
    std::memcpy(value, *at, sizeof(T));
    *at += sizeof(T);
    return true;
}

const uint8_t *skip_bytes(const uint8_t *at, const uint8_t *end, uint64_t bytes) {
    return bytes <= static_cast<uint64_t>(end - at) ? at + bytes : nullptr;
}

const uint8_t *skip_string(const uint8_t *at, const uint8_t *end) {
    const void *nul = std::memchr(at, 0, static_cast<size_t>(end - at));
    return nul == nullptr ? nullptr : static_cast<const uint8_t *>(nul) + 1;
}

const uint8_t *skip_sequence(const uint8_t *at, const uint8_t *end, uint32_t how) {
    const size_t length_bytes = how & 15;
    const uint64_t element = how >> 5;
    if (length_bytes > 8 || static_cast<size_t>(end - at) < length_bytes)
        return nullptr;
    uint64_t length = 0;
    for (size_t i = 0; i < length_bytes; i++)
        length |= static_cast<uint64_t>(at[how & 16 ? length_bytes - 1 - i : i]) << (8 * i);
    uint64_t bytes;
    if (__builtin_mul_overflow(length, element, &bytes))
        return nullptr;
    return skip_bytes(at + length_bytes, end, bytes);
}

const uint8_t *skip_application(const uint8_t *at, const uint8_t *end) {
    static constexpr uint8_t kBytes[] = {0, 1, 2, 4, 8, 4, 8, 0, 1, 2, 4, 8};
    static constexpr uint8_t kText = 7;
    uint8_t tag = 0;
    if (!read_little(&at, end, &tag) || tag >= sizeof kBytes)
        return nullptr;
    return tag == kText ? skip_string(at, end) : skip_bytes(at, end, kBytes[tag]);
}

const uint8_t *skip_steps(const std::vector<uint32_t> &steps, const uint8_t *at, const uint8_t *end) {
    for (const uint32_t step : steps) {
        switch (step & 3) {
        case kFixed: at = skip_bytes(at, end, step >> 2); break;
        case kString: at = skip_string(at, end); break;
        case kSequence: at = skip_sequence(at, end, step >> 2); break;
        default: at = skip_application(at, end);
        }
        if (at == nullptr)
            return nullptr;
    }
    return at;
}

/* A record's header: id and time. Truncated times are unfolded from the event before. */
bool read_header(const uint8_t **at, const uint8_t *end, uint32_t *id, uint64_t *clock) {
    if (*at == end)
        return false;
    if ((**at & ((1u << WEFT_ID_BITS) - 1)) == WEFT_ID_EXTENDED) {
        ++*at;
        return read_little(at, end, id) && read_little(at, end, clock);
    }
    uint32_t word = 0;
    uint16_t medium = 0;
    if (!read_little(at, end, &word))
        return false;
    *id = word & ((1u << WEFT_ID_BITS) - 1);
    *clock += ((word >> WEFT_ID_BITS) - *clock) & WEFT_TIMESTAMP_MASK;
    if (*id != WEFT_ID_MEDIUM)
        return true;
    const bool whole = read_little(at, end, &medium);
    *id = medium;
    return whole;
}

}  // namespace

bool RecordLayout::parse(const uint8_t *words, size_t bytes) {
    const uint8_t *const end = words + bytes;
    uint32_t entries = 0;
    if (!read_little(&words, end, &entries))
        return false;
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t id = 0, count = 0;
        if (!read_little(&words, end, &id) || !read_little(&words, end, &count) || count > static_cast<size_t>(end - words) / 4)
            return false;
        std::vector<uint32_t> steps(count);
        for (uint32_t &step : steps)
            read_little(&words, end, &step);
        (id == kContexts ? contexts_ : events_[id]) = std::move(steps);
    }
    return words == end;
}

const uint8_t *RecordLayout::skip(uint32_t id, const uint8_t *from, const uint8_t *end) const {
    const auto event = events_.find(id);
    if (event == events_.end())
        return nullptr;
    from = skip_steps(contexts_, from, end);
    return from == nullptr ? nullptr : skip_steps(event->second, from, end);
}

bool walk_records(const RecordLayout &layout, const uint8_t *from, uint64_t bytes, uint64_t clock, uint64_t at, Stretch *before,
                  Stretch *all) {
    const uint8_t *const end = from + bytes;
    *before = *all = Stretch{0, 0, clock};
    for (const uint8_t *next = from; next != end;) {
        uint32_t id = 0;
        if (!read_header(&next, end, &id, &clock) || clock < all->timestamp)
            return false;
        next = layout.skip(id, next, end);
        if (next == nullptr)
            return false;
        *all = Stretch{static_cast<uint64_t>(next - from), all->events + 1, clock};
        if (clock <= at)
            *before = *all;
    }
    return true;
}

}  // namespace weft
