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
#include "ring/reclaim.h"
#include "ring/record_walk.h"
#include "ring/stream_files.h"

namespace weft {

/* What one take() did. */
struct Step {
    Cause cause = Cause::kNone; /* other than none: the ring is closed for good */
    Failure unwritten;          /* writing failed; nothing was consumed */
    bool overrun = false;       /* a snapshot would have a gap: nothing was written, it has to begin anew */
    bool more = false;          /* the batch was full, or the writer was faster: take again */
    bool held = false;          /* the rest of the ring, or of its next sub-buffer, is later than `until` */
    bool unknown = false;       /* cut(): the records there are not what the layout says; nothing was taken */
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
    /* Goes on where `page` says instead of the set's own page, and leaves the set as it is. Of a ring that nobody writes any more. */
    RingReader(const SetMap &set, int ring_fd, const StreamIdentity &stream, StreamFiles files, uint8_t *scratch,
               weft_reader_page *page);
    static uint64_t snapshot_scratch_bytes(const weft_geometry &geometry);

    /* Continues where the reader page says that the last reader stood. */
    Cause attach();
    /* `now`: CLOCK_MONOTONIC in ns. Sub-buffers with events later than `until` are left alone. */
    Step take(Cut cut, Plan plan, uint64_t now, uint64_t until = Gather::kForever);
    /* After a take() that was held: the packet up to the last event that is not later than `at`. */
    Step cut(uint64_t at, const RecordLayout &layout, Plan plan, uint64_t now);

    /* Whose files: for a stream that has none yet. */
    void begin_in(uint64_t chunk, int directory);
    /* ... for one that goes on where its page says. */
    void resume_in(int directory) { files_ = files_.in(directory); }
    /* Makes the files of another chunk; nothing counts before enter(), whose one store switches. */
    Failure prepare(int directory);
    Step enter(uint64_t chunk);
    void abandon() { next_files_.reset(); }
    /* Consumes all without counting it as lost, and empties the files of the chunk. */
    Step forget(uint64_t now);

    /* Memory of what nobody needs (reclaim.h): as soon as it is consumed; now, from what is not later than `before`. With `unread`
     * what an overwriting ring holds unread goes too, and will never be read. */
    void reclaim_always(bool always) { reclaim_.set_eager(always); }
    uint64_t reclaim(uint64_t before, bool unread, Failure *bad);
    /* Puts memory back for writers that went on. */
    void refill();
    bool sparse() const { return reclaim_.sparse(); }

    /* How many sub-buffers the writer has left that are not yet taken: a glance, cheaper than a take(). */
    uint64_t backlog() const;
    /* Whether anything was committed that is not yet taken, be it a single record. */
    bool unread() const;

    const UntrustedRing &ring() const { return ring_; }
    Cause closed() const { return closed_; }
    const weft_reader_state &state() const { return progress_.state; }
    weft_reader_page *page() const { return page_; }

private:
    static constexpr unsigned kAttempts = 8;

    Gather gather(Plan plan, uint64_t now, uint64_t until) const;
    Failure read_ring(uint64_t position, uint64_t bytes, uint8_t *to) const;
    Failure copy_out(const Gather &gather);
    bool lapped(const Gather &gather) const;
    Cause find_cut(uint64_t at, const RecordLayout &layout, Gather *look, CutPoint *cut, Step *step);
    Step finish(const Gather &gather);
    void roll_files(const Gather &gather, weft_reader_state *next);
    Failure write(const Gather &gather, weft_reader_state *next);
    Failure open_files(const weft_reader_state &at) { return files_.open(stream_, at.file_number, at.file_bytes, at.index_bytes); }
    Packet empty_packet() const;
    size_t header_bytes() const { return packet_header_bytes(stream_.names_cpu); }
    void persist();
    void wake_writers(uint64_t consumed_before) const;

    const SetMap &set_;
    const weft_geometry geometry_;
    const int ring_fd_;
    const StreamIdentity stream_;
    const UntrustedRing ring_;
    weft_reader_page *const page_;
    uint8_t *const copy_; /* null in discard mode */
    Reclaim reclaim_;
    const std::optional<Target> target_;
    StreamFiles files_;
    std::optional<StreamFiles> next_files_; /* of the chunk to come */
    Progress progress_;
    uint32_t selector_ = 0;
    Cause closed_ = Cause::kNone;
};

}  // namespace weft

#endif
