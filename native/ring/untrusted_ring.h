/*
 * One ring as applications left it. Everything here was written by somebody who may lie: each word is read once, the copy is
 * checked, and only the copy is used.
 */
#ifndef WEFT_RING_UNTRUSTED_RING_H
#define WEFT_RING_UNTRUSTED_RING_H

#include "ring/cause.h"
#include "ring/layout.h"
#include "ring/set_map.h"
#include "ring/shared.h"

namespace weft {

/* What one look at the ring saw. last_timestamp and event_count are filled only by settle(). */
struct Look {
    uint64_t position = 0; /* bytes */
    uint64_t last_timestamp = 0;
    uint64_t event_count = 0;
};

/* A copy of struct weft_entry. */
struct EntryCopy {
    uint64_t sequence;
    uint64_t begin_timestamp;
    uint64_t events_before;
    uint64_t end_timestamp;
    uint32_t end_offset;
};

/* One ring for all CPUs names none: neither its packets nor its files do. */
inline bool names_cpu(const weft_geometry &geometry) { return geometry.allocation == WEFT_ALLOCATION_PER_CPU; }

class UntrustedRing {
public:
    UntrustedRing(const SetMap &set, uint32_t cpu)
        : ring_(set.ring(cpu)), data_(set.data(cpu)), geometry_(set.geometry()) {}

    bool ready() const { return load_acquire(&ring_->ready) == 1; }

    /* The position alone; enough for complete sub-buffers. */
    Cause look(Look *seen) const {
        const uint64_t word = load_acquire(&ring_->position);
        seen->position = word >> WEFT_POS_SHIFT;
        return (word & ~WEFT_SLOT_MASK & ((1u << WEFT_POS_SHIFT) - 1)) != 0 ? Cause::kReservedBit : Cause::kNone;
    }

    /*
     * The position together with the slot it selects: read between two equal reads of the position. A writer stores only into
     * the other slot while the position stands, and positions do not come back, so equal means untouched. Each try takes a few
     * nanoseconds on one cache line; failing for long means that somebody plays with the position.
     */
    Cause settle(Look *seen) const {
        uint64_t word = load_acquire(&ring_->position);
        for (int tries = 0; tries < kSettleTries; tries++) {
            const weft_slot &slot = ring_->slot[word & WEFT_SLOT_MASK];
            seen->last_timestamp = load_acquire(&slot.last_timestamp);
            seen->event_count = load_acquire(&slot.event_count);
            const uint64_t again = load_acquire(&ring_->position);
            if (again == word) {
                seen->position = word >> WEFT_POS_SHIFT;
                return (word & ~WEFT_SLOT_MASK & ((1u << WEFT_POS_SHIFT) - 1)) != 0 ? Cause::kReservedBit : Cause::kNone;
            }
            word = again;
        }
        return Cause::kPositionUnsettled;
    }

    EntryCopy entry(uint64_t sequence) const {
        const weft_entry &entry = ring_->table[weft_entry_index(&geometry_, sequence)];
        return {load(&entry.sequence), load(&entry.begin_timestamp), load(&entry.events_before), load(&entry.end_timestamp),
                load(&entry.end_offset)};
    }

    uint32_t waiters() const { return load(&ring_->waiters); }
    uint64_t lost(unsigned cause) const { return load(&ring_->lost[cause]); }

    /* Sum over all causes; false: beyond 64 bits. */
    bool lost_sum(uint64_t *sum) const {
        *sum = 0;
        for (unsigned cause = 0; cause < WEFT_LOSS_CAUSES; cause++)
            if (__builtin_add_overflow(*sum, lost(cause), sum))
                return false;
        return true;
    }

    /* Where the byte at `position` lies. Any position is inside the ring. */
    uint64_t offset(uint64_t position) const { return position & (weft_data_bytes(&geometry_) - 1); }
    const uint8_t *data() const { return data_; }

private:
    static constexpr int kSettleTries = 100000;

    const weft_ring *ring_;
    const uint8_t *data_;
    weft_geometry geometry_;
};

}  // namespace weft

#endif
