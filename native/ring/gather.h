/*
 * One look at a ring turned into packets: what can be taken now, checked, and the reader state after it. Nothing is written
 * and nothing is consumed here; in overwrite mode all of it, a verdict of corruption included, counts only after the ring was
 * seen not to have lapped the reader meanwhile.
 */
#ifndef WEFT_RING_GATHER_H
#define WEFT_RING_GATHER_H

#include <vector>

#include "ring/packet.h"
#include "ring/untrusted_ring.h"

namespace weft {

/* append: write packets. hold: consume nothing. count: consume without writing; the events count as overwritten. */
enum class Plan : uint32_t { kAppend, kHold, kCount };
/* complete: filled sub-buffers only. partial: everything committed, and losses after the last event. */
enum class Cut { kComplete, kPartial };

/* Losses are seen ahead of the packets that lie before them: a full ring loses events while its oldest bytes are still to be
 * read. They are reported with the sub-buffer that was being written when they were seen. */
struct LossMark {
    bool set = false;
    uint64_t sequence = 0;
    uint64_t lost = 0;
};

struct Progress {
    weft_reader_state state{};
    LossMark mark;
    uint64_t seen = 0;     /* highest position seen */
    uint64_t excused = 0;  /* of a snapshot: what was lost or overwritten before it begins, and is no loss of its */
};

/* Where a snapshot ends: the ring as it was seen then. */
struct Target {
    Look look;
    uint64_t lost = 0;
    uint64_t lost_before = 0; /* reported elsewhere */
    uint64_t from = 0;        /* no sub-buffer before it */
    unsigned haste = 0;       /* eighths of the ring that are given up at its oldest end */
};

/* Where a rotation cuts inside a sub-buffer: this many bytes behind `from`. */
struct CutPoint {
    uint64_t from = 0; /* position */
    uint64_t bytes = 0;
    uint64_t events = 0;
    uint64_t timestamp = 0; /* of the last event before the cut */
};

/* What is committed of the sub-buffer that the consumed position lies in. */
using Rest = CutPoint;

class Gather {
public:
    static constexpr uint64_t kBatchBytes = 1u << 20; /* or one sub-buffer, if larger */
    static constexpr size_t kBatchPackets = 64;
    /* A year. A clock that jumped over a suspend must not cost the stream; times that overflow in a viewer must not be written. */
    static constexpr uint64_t kFutureNs = 31536000000000000;

    static constexpr uint64_t kForever = UINT64_MAX;

    struct Limits {
        const Target *target = nullptr; /* where it ends although the writers are further; then a gap ends it, too */
        uint64_t until = kForever;      /* what is later stays in the ring */
        size_t packets_most = kBatchPackets;
        uint64_t readable_from = 0; /* what lies before this sub-buffer was given back: it counts as overwritten */
    };

    Gather(const UntrustedRing &ring, const weft_geometry &geometry, const Progress &from, Plan plan, uint64_t now, Limits limits);

    /* `attempt`: how often the ring lapped the reader in this step; each gives up some more of what is about to be lapped. */
    Cause run(Cut cut, unsigned attempt);
    /* The sub-buffer that run() stopped at because of `until`, for a CutPoint to be found in it. */
    Cause look_at_rest(Rest *rest);
    /* A packet up to the cut. */
    Cause run_to(const CutPoint &cut);
    /* Everything committed counts as consumed, without a packet and without a loss. */
    Cause forget();

    const Progress &next() const { return next_; }
    const std::vector<Packet> &packets() const { return packets_; }
    uint64_t ring_bytes() const { return ring_bytes_; }
    /* The batch was full before the ring was empty. */
    bool more() const { return more_; }
    /* Before the target was reached a writer overwrote what comes next. */
    bool overrun() const { return overrun_; }
    /* A sub-buffer with events after `until` was left where it is. */
    bool held() const { return held_; }
    uint64_t readable_from() const { return readable_from_; }
    /* The oldest sub-buffer that was looked at: a writer that entered this + subbuf_count spoils the batch. */
    uint64_t first_sequence() const { return first_sequence_; }

private:
    uint64_t sequence() const { return next_.state.position / size_; }
    /* Events committed before the position reached: those written, overwritten and forgotten. */
    uint64_t counted() const { return next_.state.events + next_.state.overwritten + next_.state.forgotten; }
    bool room() const;
    Cause settle(Look *look);
    Cause check(const Look &look) const;
    uint64_t oldest_whole(uint64_t newest, unsigned attempt) const;
    Cause begin_snapshot(uint64_t oldest);
    Cause skip_overwritten(uint64_t oldest);
    Cause begin();
    Cause start();
    Cause read_entries(EntryCopy *entry, EntryCopy *after) const;
    Cause complete();
    Cause partial(const Look &look);
    Cause check_books(uint64_t bytes, uint64_t end_timestamp, uint64_t events_at_end) const;
    Cause check_advance(uint64_t bytes, uint64_t end_timestamp, uint64_t events_at_end) const;
    Cause advance(uint64_t bytes, uint64_t end_timestamp, uint64_t events_at_end);
    void append(uint64_t bytes, uint64_t end_timestamp, uint64_t events);
    void append_trailing_loss();

    const UntrustedRing &ring_;
    const uint64_t size_;
    const uint64_t count_;
    const bool overwrite_;
    const Plan plan_;
    const uint64_t latest_; /* no timestamp lies beyond */
    const uint64_t until_;  /* what is later stays in the ring */
    const size_t packets_most_;
    const uint64_t readable_from_;
    const Target *const target_;
    Progress next_;
    uint64_t lost_ = 0;
    std::vector<Packet> packets_;
    uint64_t ring_bytes_ = 0;
    uint64_t first_sequence_ = 0;
    bool more_ = false;
    bool overrun_ = false;
    bool held_ = false;
};

}  // namespace weft

#endif
