/*
 * Steps over the records of a sub-buffer to find where a moment lies between them. The bytes are a private copy, but what they say
 * is an application's word: every step is bounded, and the walk counts only if it ends where the ring's books say.
 */
#ifndef WEFT_RING_RECORD_WALK_H
#define WEFT_RING_RECORD_WALK_H

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace weft {

/* How the records of a channel lie: u32 words as encodeLayout() in ctf/record-layout.ts makes them. Entries: id (kContexts: what
 * lies before every payload), number of steps, steps. A step: its kind in the low two bits, above it
 *   fixed        bytes
 *   string       nothing; to the NUL
 *   sequence     bits 0-3 bytes of the length, bit 4 its byte order is the other one, bits 5.. bytes of an element
 *   application  nothing; u8 tag: 0 no value, 1-4 and 8-11 integers of 1, 2, 4, 8 bytes, 5 float, 6 double, 7 a string */
class RecordLayout {
public:
    static constexpr uint32_t kContexts = 0xffffffffu;

    /* False: these are no such words. */
    bool parse(const uint8_t *words, size_t bytes);
    /* Where the fields that begin at `from` end; null: beyond `end`, or nobody knows. */
    const uint8_t *skip(uint32_t id, const uint8_t *from, const uint8_t *end) const;

private:
    std::vector<uint32_t> contexts_;
    std::unordered_map<uint32_t, std::vector<uint32_t>> events_;
};

/* Some records, from the first one on. */
struct Stretch {
    uint64_t bytes = 0;
    uint64_t events = 0;
    uint64_t timestamp = 0; /* of the last one; without any, of the one before them */
};

/* The records in [from, from + bytes), the event before them at `clock`: those up to and including the moment `at` into *before, all
 * into *all. False: an unknown id, a time that goes back, or a record that crosses the end. */
bool walk_records(const RecordLayout &layout, const uint8_t *from, uint64_t bytes, uint64_t clock, uint64_t at, Stretch *before,
                  Stretch *all);

}  // namespace weft

#endif
