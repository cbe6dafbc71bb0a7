/*
 * Memory of one ring that its reader takes from under sub-buffers which nobody needs, and puts back before a writer needs it.
 *
 * Discard mode: a writer enters a sub-buffer only when the reader page's consumed position allows it. So that position is held back:
 * whatever it allows has memory. Lowering it stops nobody who looked before, but such a writer enters at most the one
 * sub-buffer behind the position it looked at; that one and the runway keep their memory. A writer that is faster than the reader
 * finds the ring full and counts the event as lost; it never touches memory that is not there.
 *
 * Overwrite mode: nothing holds a writer back. What lies ahead of the runway is taken, one sub-buffer at a time, and the position looked at
 * again afterwards: bytes of a sub-buffer that a writer entered meanwhile may be gone, so it counts as overwritten.
 *
 * Everything is in the reader page before it happens: a reader may be killed between any two instructions.
 */
#ifndef WEFT_RING_RECLAIM_H
#define WEFT_RING_RECLAIM_H

#include "ring/failure.h"
#include "ring/untrusted_ring.h"

namespace weft {

/* How many of a ring's sub-buffers stay allocated ahead of the writer's. */
inline uint64_t runway_of(const weft_geometry &geometry) {
    return geometry.subbuf_count < 8 ? 1 : geometry.subbuf_count / 4;
}

class Reclaim {
public:
    /* `ring_fd` < 0 or read-only: nothing is taken and nothing put back, the position alone is kept. */
    Reclaim(const SetMap &set, uint32_t cpu, int ring_fd, const UntrustedRing &ring, weft_reader_page *page);

    /* Takes each sub-buffer's memory as soon as it is consumed. */
    void set_eager(bool eager) { eager_ = eager && ring_fd_ >= 0 && !overwrite_; }
    /* Goes on after a reader that died: `position` is consumed. */
    void attach(uint64_t position);
    /* `position` is consumed: lets writers have as much of it as has memory. */
    void give(uint64_t position);
    /* Puts memory back ahead of writers that went on. */
    void refill(uint64_t position);
    /*
     * Takes the memory of sub-buffers that are consumed, or with `unread` (overwrite mode) complete, and whose last event is
     * not later than `before`. Returns how many.
     */
    uint64_t take(uint64_t position, uint64_t before, bool unread, Failure *bad);

    /* Writers have not all of the ring. */
    bool sparse() const { return holes_to_ > holes_from() || eager_; }
    uint64_t readable_from() const { return load(&page_->readable_from); }

private:
    uint64_t newest() const;
    uint64_t holes_from() const { return load(&page_->holes_from); }
    uint64_t given() const { return load(&page_->consumed) / size_; }
    uint64_t oldest_ahead(uint64_t newest, uint64_t ahead) const;
    void watch(uint64_t newest);
    void rest();
    bool affordable(uint64_t bytes);
    uint64_t restore(uint64_t from, uint64_t to);
    uint64_t aged(uint64_t from, uint64_t to, uint64_t before) const;
    void note(uint64_t from, uint64_t to);
    Failure punch(uint64_t sequence) const;
    uint64_t hold_back(uint64_t low);
    uint64_t take_consumed(uint64_t position, uint64_t before, Failure *bad);
    uint64_t take_oldest(uint64_t most, uint64_t before, Failure *bad);
    Failure take_one(uint64_t sequence);

    const uint64_t size_;
    const uint64_t count_;
    const bool overwrite_;
    const uint64_t data_offset_;
    const int ring_fd_;
    const UntrustedRing &ring_;
    weft_reader_page *const page_;
    const uint64_t runway_;
    uint64_t ahead_;        /* sub-buffers that writers have ahead: grows while they use them */
    uint64_t seen_ = 0;     /* the newest sub-buffer at the last look */
    uint64_t holes_to_ = 0;
    uint64_t check_at_ = 0; /* when to look again how much memory there is */
    bool short_ = false;    /* what that look said */
    bool eager_ = false;
};

}  // namespace weft

#endif
