/*
 * The reader of one ring: takes what is committed, writes it as packets, and only then gives the space back. It keeps no state
 * that its successor would miss: everything is in the reader page, stored packet batch by packet batch, so a reader may be
 * killed between any two instructions.
 *
 * One caller at a time. take() never waits for a writer and never reads outside the ring, whatever the memory says.
 */
#ifndef WEFT_RING_RING_READER_H
#define WEFT_RING_RING_READER_H

#include <optional>

#include "ring/gather.h"
#include "ring/stream_files.h"

namespace weft {

/* What one take() did. */
struct Step {
    Cause cause = Cause::kNone; /* other than none: the ring is closed for good */
    Failure unwritten;          /* writing failed; nothing was consumed */
    bool overrun = false;       /* a snapshot would have a gap: nothing was written, it has to begin anew */
    bool more = false;          /* the batch was full, or the writer was faster: take again */
    uint64_t first = 0;         /* number of the first packet written */
    uint32_t packets = 0;
    uint64_t bytes = 0;
    uint64_t events = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
};

class RingReader {
public:
    /* Overwrite mode copies before it knows that the copy is whole: how much room a take() needs for that; 0 in discard mode. */
    static uint64_t scratch_bytes(const weft_geometry &geometry);
    /* `set`, `ring_fd` and `scratch` must outlive the reader; readers that take turns may share the scratch memory. */
    RingReader(const SetMap &set, int ring_fd, const StreamIdentity &stream, StreamFiles files, uint8_t *scratch);
    /* Of a snapshot: notes its progress in a page of its own and ends at `target`. Nobody waits for it, so any ring may lap it. */
    RingReader(const SetMap &set, int ring_fd, const StreamIdentity &stream, StreamFiles files, uint8_t *scratch,
               weft_reader_page *page, const Target &target);
    static uint64_t snapshot_scratch_bytes(const weft_geometry &geometry);

    /* Continues where the reader page says that the last reader stood. */
    Cause attach();
    /* `now`: CLOCK_MONOTONIC in ns. */
    Step take(Cut cut, Plan plan, uint64_t now);

    /* How many sub-buffers the writer has left that are not yet taken: a glance, cheaper than a take(). */
    uint64_t backlog() const;

    const UntrustedRing &ring() const { return ring_; }
    Cause closed() const { return closed_; }
    const weft_reader_state &state() const { return progress_.state; }
    weft_reader_page *page() const { return page_; }

private:
    static constexpr unsigned kAttempts = 8;

    Failure copy_out(const Gather &gather);
    bool lapped(const Gather &gather) const;
    Step finish(const Gather &gather);
    Failure write(const Gather &gather, weft_reader_state *next);
    void persist();

    const SetMap &set_;
    const weft_geometry geometry_;
    const int ring_fd_;
    const StreamIdentity stream_;
    const UntrustedRing ring_;
    weft_reader_page *const page_;
    uint8_t *const copy_; /* null in discard mode */
    const std::optional<Target> target_;
    StreamFiles files_;
    Progress progress_;
    uint32_t selector_ = 0;
    Cause closed_ = Cause::kNone;
};

}  // namespace weft

#endif
