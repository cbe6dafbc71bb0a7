#include "ring/ring_reader.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace weft {

namespace {

constexpr size_t kStateWords = sizeof(weft_reader_state) / sizeof(uint64_t);

/* The state is stored word by word: applications may read it at any time. */
void store_state(weft_reader_state *to, const weft_reader_state &from) {
    uint64_t words[kStateWords];
    std::memcpy(words, &from, sizeof words);
    for (size_t i = 0; i < kStateWords; i++)
        store(reinterpret_cast<uint64_t *>(to) + i, words[i]);
}

weft_reader_state load_state(const weft_reader_state *from) {
    uint64_t words[kStateWords];
    for (size_t i = 0; i < kStateWords; i++)
        words[i] = load(reinterpret_cast<const uint64_t *>(from) + i);
    weft_reader_state state;
    std::memcpy(&state, words, sizeof state);
    return state;
}

/* What every state that store_state() wrote fulfils. */
bool plausible(const weft_reader_state &state) {
    const uint64_t here = state.packets - state.packets_before; /* in the current file */
    const uint64_t index = here == 0 ? 0 : kIndexHeaderBytes + here * kIndexEntryBytes;
    return state.packets < (1ull << 48) && state.packets_before <= state.packets && state.index_bytes == index &&
           state.file_bytes >= here * packet_header_bytes(false) && state.file_bytes < (1ull << 62) && state.bytes_before < (1ull << 62) &&
           state.file_number < (1ull << 48) && state.forgotten < (1ull << 62);
}

/* For who copies without holding anything back, each ring is one that overwrites. */
weft_geometry overwriting(weft_geometry geometry) {
    geometry.mode = WEFT_MODE_OVERWRITE;
    return geometry;
}

}  // namespace

uint64_t RingReader::scratch_bytes(const weft_geometry &geometry) {
    return geometry.mode == WEFT_MODE_OVERWRITE ? std::max<uint64_t>(geometry.subbuf_size, Gather::kBatchBytes) : 0;
}

RingReader::RingReader(const SetMap &set, int ring_fd, const StreamIdentity &stream, StreamFiles files, uint8_t *scratch)
    : set_(set), geometry_(set.geometry()), ring_fd_(ring_fd), stream_(stream), ring_(set, stream.cpu),
      page_(set.page(stream.cpu)), copy_(set.geometry().mode == WEFT_MODE_OVERWRITE ? scratch : nullptr),
      reclaim_(set, stream.cpu, ring_fd, ring_, page_), files_(std::move(files)) {}

RingReader::RingReader(const SetMap &set, int ring_fd, const StreamIdentity &stream, StreamFiles files, uint8_t *scratch,
                       weft_reader_page *page, const Target &target)
    : set_(set), geometry_(overwriting(set.geometry())), ring_fd_(ring_fd), stream_(stream), ring_(set, stream.cpu), page_(page),
      copy_(scratch), reclaim_(set, stream.cpu, -1, ring_, page), target_(target), files_(std::move(files)) {}

RingReader::RingReader(const SetMap &set, int ring_fd, const StreamIdentity &stream, StreamFiles files, uint8_t *scratch,
                       weft_reader_page *page)
    : set_(set), geometry_(overwriting(set.geometry())), ring_fd_(ring_fd), stream_(stream), ring_(set, stream.cpu), page_(page),
      copy_(scratch), reclaim_(set, stream.cpu, -1, ring_, page), files_(std::move(files)) {}

uint64_t RingReader::snapshot_scratch_bytes(const weft_geometry &geometry) { return scratch_bytes(overwriting(geometry)); }

uint64_t RingReader::backlog() const {
    Look look;
    ring_.look(&look);
    return look.position / set_.geometry().subbuf_size - progress_.state.position / set_.geometry().subbuf_size;
}

bool RingReader::unread() const {
    Look look;
    ring_.look(&look);
    return look.position != progress_.state.position;
}

Cause RingReader::attach() {
    selector_ = load_acquire(&page_->selector);
    if (selector_ <= 1)
        progress_.state = load_state(&page_->state[selector_]);
    if (selector_ > 1 || !plausible(progress_.state))
        return closed_ = Cause::kReaderState;
    reclaim_.attach(progress_.state.position); /* the last reader may have died just before this */
    return Cause::kNone;
}

/* A batch that goes to one trace file is one packet: whether it fits is known before anything is written. */
Gather RingReader::gather(Plan plan, uint64_t now, uint64_t until) const {
    const size_t most = files_.limits().size == 0 ? Gather::kBatchPackets : 1;
    const uint64_t readable = load(&set_.page(stream_.cpu)->readable_from);
    return Gather(ring_, geometry_, progress_, plan, now, {target_ ? &*target_ : nullptr, until, most, readable});
}

Step RingReader::take(Cut cut, Plan plan, uint64_t now, uint64_t until) {
    Step step;
    step.cause = closed_;
    if (closed_ != Cause::kNone || plan == Plan::kHold)
        return step;
    for (unsigned attempt = 0; attempt < kAttempts; attempt++) {
        Gather gather = this->gather(plan, now, until);
        const Cause bad = gather.run(cut, attempt);
        step.overrun = gather.overrun();
        if (step.overrun)
            return step;
        if (copy_ != nullptr) {
            step.unwritten = copy_out(gather);
            if (step.unwritten)
                return step;
            if (lapped(gather))
                continue;
        }
        if (bad == Cause::kNone)
            return finish(gather);
        step.cause = closed_ = bad;
        return step;
    }
    step.more = true;
    return step;
}

/* Read through the fd: a page that somebody punched out of the memory file reads as zeros instead of raising SIGBUS. */
Failure RingReader::read_ring(uint64_t position, uint64_t bytes, uint8_t *to) const {
    const uint64_t at = weft_data_offset(&set_.geometry(), stream_.cpu) + ring_.offset(position);
    const ssize_t got = bytes == 0 ? 0 : pread(ring_fd_, to, bytes, static_cast<off_t>(at));
    if (got < 0 || static_cast<uint64_t>(got) != bytes)
        return failure(got < 0 ? errno : EIO, "reading ring memory");
    return {};
}

Failure RingReader::copy_out(const Gather &gather) {
    uint8_t *to = copy_;
    for (const Packet &packet : gather.packets()) {
        if (Failure bad = read_ring(packet.position, packet.bytes, to))
            return bad;
        to += packet.bytes;
    }
    return {};
}

/* Whether a writer entered the memory of a sub-buffer or entry that the batch was made from, or it was given back. Writers enter by a
 * commit of the position, before they store a byte there; so if the position is still short of it after the copy, the copy is whole. */
bool RingReader::lapped(const Gather &gather) const {
    fence();
    Look look;
    ring_.look(&look);
    const weft_geometry &g = geometry_;
    const uint64_t newest = look.position / g.subbuf_size;
    if (load(&set_.page(stream_.cpu)->readable_from) > gather.readable_from())
        return true;
    return newest > gather.first_sequence() && newest - gather.first_sequence() >= g.subbuf_count;
}

/* A walk that does not end where the ring's books say has gone astray: its cut would be as wrong as its end. */
Cause RingReader::find_cut(uint64_t at, const RecordLayout &layout, Gather *look, CutPoint *cut, Step *step) {
    Rest rest;
    if (const Cause bad = look->look_at_rest(&rest); bad != Cause::kNone)
        return bad;
    std::vector<uint8_t> copy(rest.bytes);
    step->unwritten = read_ring(rest.from, rest.bytes, copy.data());
    Stretch before, all;
    const bool known = walk_records(layout, copy.data(), rest.bytes, progress_.state.event_timestamp, at, &before, &all);
    step->unknown = !known || all.events != rest.events || all.timestamp != rest.timestamp;
    *cut = {rest.from, before.bytes, before.events, before.timestamp};
    return Cause::kNone;
}

Step RingReader::cut(uint64_t at, const RecordLayout &layout, Plan plan, uint64_t now) {
    Step step;
    step.cause = closed_;
    if (closed_ != Cause::kNone)
        return step;
    Gather gather = this->gather(plan, now, Gather::kForever);
    Gather look = gather;
    CutPoint point;
    Cause bad = find_cut(at, layout, &look, &point, &step);
    if (bad == Cause::kNone && !step.unknown && !step.unwritten)
        bad = gather.run_to(point);
    if (copy_ != nullptr && !step.unwritten)
        step.unwritten = copy_out(gather);
    step.more = copy_ != nullptr && lapped(look); /* then nothing of this holds, and take() goes on further ahead */
    if (step.more || step.unwritten)
        return step;
    step.cause = closed_ = bad;
    return bad != Cause::kNone || step.unknown ? step : finish(gather);
}

void RingReader::begin_in(uint64_t chunk, int directory) {
    progress_.state.chunk = chunk;
    resume_in(directory);
}

/* The first of a file that continues a stream: times and losses go on from it. */
Packet RingReader::empty_packet() const {
    const weft_reader_state &state = progress_.state;
    return {state.event_timestamp, state.event_timestamp, state.packets, state.discarded, 0, state.position, 0};
}

Failure RingReader::prepare(int directory) {
    next_files_ = files_.in(directory);
    if (Failure bad = next_files_->open(stream_, 0, 0, 0))
        return bad;
    uint8_t header[kPacketHeaderBytes], index[kIndexHeaderBytes + kIndexEntryBytes];
    const Packet packet = empty_packet();
    encode_packet_header(stream_, packet, header);
    encode_index_header(index);
    encode_index_entry(stream_, packet, 0, index + kIndexHeaderBytes);
    std::vector<iovec> vector{{header, header_bytes()}};
    return next_files_->write(0, vector, 0, index, sizeof index);
}

Step RingReader::enter(uint64_t chunk) {
    weft_reader_state &state = progress_.state;
    Step step;
    step.first = state.packets;
    step.packets = 1;
    step.bytes = header_bytes();
    step.begin = step.end = state.event_timestamp;
    state.chunk = chunk;
    state.packets_before = state.packets++;
    state.bytes_before += state.file_bytes;
    state.file_number = 0;
    state.file_bytes = header_bytes();
    state.index_bytes = kIndexHeaderBytes + kIndexEntryBytes;
    state.last_timestamp = state.event_timestamp;
    persist();
    files_ = std::move(*next_files_);
    next_files_.reset();
    return step;
}

/* First the store that forgets, in which the current file is an empty one; then the files. A reader that dies in between leaves files
 * that its successor empties when it is asked to forget again, and the current one in any case. */
Step RingReader::forget(uint64_t now) {
    Step step;
    Gather gather = this->gather(Plan::kCount, now, Gather::kForever);
    step.cause = closed_ != Cause::kNone ? closed_ : gather.forget();
    if (step.cause != Cause::kNone) {
        closed_ = step.cause;
        return step;
    }
    progress_ = gather.next();
    weft_reader_state &state = progress_.state;
    state.packets_before = state.packets;
    state.bytes_before += state.file_bytes;
    state.file_bytes = state.index_bytes = 0;
    persist();
    if (state.packets == 0)
        return step;
    step.unwritten = files_.remove_further(state.file_number);
    if (step.unwritten)
        return step;
    state.file_number = 0;
    persist();
    step.unwritten = prepare(files_.directory());
    return step.unwritten ? step : enter(state.chunk);
}

/* The next trace file, when the batch does not fit into this one. That the file is another is stored before the oldest one is
 * overwritten. */
void RingReader::roll_files(const Gather &gather, weft_reader_state *next) {
    weft_reader_state &state = progress_.state;
    const uint64_t size = files_.limits().size;
    if (size == 0 || state.file_bytes == 0 ||
        state.file_bytes + gather.packets().size() * header_bytes() + gather.ring_bytes() <= size)
        return;
    state.file_number++;
    state.packets_before = state.packets;
    state.bytes_before += state.file_bytes;
    state.file_bytes = state.index_bytes = 0;
    persist();
    files_.close();
    next->file_number = state.file_number;
    next->packets_before = state.packets_before;
    next->bytes_before = state.bytes_before;
    next->file_bytes = next->index_bytes = 0;
}

Step RingReader::finish(const Gather &gather) {
    Step step;
    Progress next = gather.next();
    const std::vector<Packet> &packets = gather.packets();
    if (!packets.empty()) {
        roll_files(gather, &next.state);
        step.unwritten = write(gather, &next.state);
        if (step.unwritten)
            return step;
        step.first = packets.front().sequence;
        step.packets = static_cast<uint32_t>(packets.size());
        step.bytes = next.state.file_bytes - progress_.state.file_bytes;
        step.events = next.state.events - progress_.state.events;
        step.begin = packets.front().begin;
        step.end = packets.back().end;
    }
    const bool changed = std::memcmp(&progress_.state, &next.state, sizeof next.state) != 0;
    progress_ = next;
    if (changed)
        persist();
    step.more = gather.more();
    step.held = gather.held();
    return step;
}

Failure RingReader::write(const Gather &gather, weft_reader_state *next) {
    if (!files_.is_open())
        if (Failure bad = open_files(*next))
            return bad;
    uint8_t headers[Gather::kBatchPackets + 2][kPacketHeaderBytes];
    uint8_t index[kIndexHeaderBytes + (Gather::kBatchPackets + 2) * kIndexEntryBytes];
    uint8_t *entry = index;
    if (next->index_bytes == 0) {
        encode_index_header(entry);
        entry += kIndexHeaderBytes;
    }
    std::vector<iovec> vector;
    const uint64_t data_at = next->file_bytes;
    size_t i = 0;
    uint64_t copied = 0;
    for (const Packet &packet : gather.packets()) {
        const uint8_t *bytes = copy_ != nullptr ? copy_ + copied : ring_.data() + ring_.offset(packet.position);
        encode_packet_header(stream_, packet, headers[i]);
        vector.push_back({headers[i++], header_bytes()});
        if (packet.bytes > 0)
            vector.push_back({const_cast<uint8_t *>(bytes), packet.bytes});
        encode_index_entry(stream_, packet, next->file_bytes, entry);
        entry += kIndexEntryBytes;
        copied += packet.bytes;
        next->file_bytes += header_bytes() + packet.bytes;
    }
    const size_t index_bytes = static_cast<size_t>(entry - index);
    const Failure bad = files_.write(data_at, vector, next->index_bytes, index, index_bytes);
    next->index_bytes += index_bytes;
    return bad;
}

/* The idle copy, then the selector, then the position that gives the space back: dying in between leaves the older state whole,
 * and the packets written since are cut off and written again from bytes that nobody has touched. */
void RingReader::persist() {
    const uint32_t idle = selector_ ^ 1;
    store_state(&page_->state[idle], progress_.state);
    store_release(&page_->selector, idle);
    selector_ = idle;
    const uint64_t before = load(&page_->consumed);
    reclaim_.give(progress_.state.position);
    wake_writers(before);
}

void RingReader::refill() {
    const uint64_t before = load(&page_->consumed);
    reclaim_.refill(progress_.state.position);
    if (load(&page_->consumed) != before)
        wake_writers(before);
}

uint64_t RingReader::reclaim(uint64_t before, bool unread, Failure *bad) {
    return closed_ != Cause::kNone ? 0 : reclaim_.take(progress_.state.position, before, unread, bad);
}

/* Writers of a blocking channel that wait for a sub-buffer which has just become free. A writer names it before it looks at the
 * position that we stored: either it sees that, or we see the name. Its sleep is bounded, whatever stands there. */
void RingReader::wake_writers(uint64_t consumed_before) const {
    const weft_geometry &g = set_.geometry();
    const auto free_up_to = [&g](uint64_t consumed) { return static_cast<uint32_t>(consumed / g.subbuf_size + g.subbuf_count); };
    if (g.mode != WEFT_MODE_DISCARD)
        return;
    fence();
    const uint32_t wanted = ring_.waiters();
    const bool free_before = static_cast<int32_t>(free_up_to(consumed_before) - wanted) > 0;
    if (!free_before && static_cast<int32_t>(free_up_to(load(&page_->consumed)) - wanted) > 0)
        syscall(SYS_futex, &page_->consumed, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace weft
