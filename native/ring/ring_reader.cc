#include "ring/ring_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
    const uint64_t index = state.packets == 0 ? 0 : kIndexHeaderBytes + state.packets * kIndexEntryBytes;
    return state.packets < (1ull << 48) && state.index_bytes == index && state.file_bytes >= state.packets * kPacketHeaderBytes &&
           state.file_bytes < (1ull << 62) && state.file_number == 0;
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
      files_(std::move(files)) {}

RingReader::RingReader(const SetMap &set, int ring_fd, const StreamIdentity &stream, StreamFiles files, uint8_t *scratch,
                       weft_reader_page *page, const Target &target)
    : set_(set), geometry_(overwriting(set.geometry())), ring_fd_(ring_fd), stream_(stream), ring_(set, stream.cpu), page_(page),
      copy_(scratch), target_(target), files_(std::move(files)) {}

uint64_t RingReader::snapshot_scratch_bytes(const weft_geometry &geometry) { return scratch_bytes(overwriting(geometry)); }

uint64_t RingReader::backlog() const {
    Look look;
    ring_.look(&look);
    return look.position / set_.geometry().subbuf_size - progress_.state.position / set_.geometry().subbuf_size;
}

Cause RingReader::attach() {
    selector_ = load_acquire(&page_->selector);
    if (selector_ <= 1)
        progress_.state = load_state(&page_->state[selector_]);
    if (selector_ > 1 || !plausible(progress_.state))
        return closed_ = Cause::kReaderState;
    store_release(&page_->consumed, progress_.state.position); /* the last reader may have died just before this */
    return Cause::kNone;
}

Step RingReader::take(Cut cut, Plan plan, uint64_t now) {
    Step step;
    step.cause = closed_;
    if (closed_ != Cause::kNone || plan == Plan::kHold)
        return step;
    for (unsigned attempt = 0; attempt < kAttempts; attempt++) {
        Gather gather(ring_, geometry_, progress_, plan, now, target_ ? &*target_ : nullptr);
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
Failure RingReader::copy_out(const Gather &gather) {
    uint8_t *to = copy_;
    for (const Packet &packet : gather.packets()) {
        const uint64_t at = weft_data_offset(&set_.geometry(), stream_.cpu) + ring_.offset(packet.position);
        const ssize_t got = packet.bytes == 0 ? 0 : pread(ring_fd_, to, packet.bytes, static_cast<off_t>(at));
        if (got < 0 || static_cast<uint64_t>(got) != packet.bytes)
            return failure(got < 0 ? errno : EIO, "reading ring memory");
        to += packet.bytes;
    }
    return {};
}

/* Whether a writer entered the memory of a sub-buffer or entry that the batch was made from. Writers enter by a commit of the
 * position, before they store a byte there; so if the position is still short of it after the copy, the copy is whole. */
bool RingReader::lapped(const Gather &gather) const {
    fence();
    Look look;
    ring_.look(&look);
    const weft_geometry &g = geometry_;
    const uint64_t newest = look.position / g.subbuf_size;
    return newest > gather.first_sequence() && newest - gather.first_sequence() >= g.subbuf_count;
}

Step RingReader::finish(const Gather &gather) {
    Step step;
    Progress next = gather.next();
    const std::vector<Packet> &packets = gather.packets();
    if (!packets.empty()) {
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
    return step;
}

Failure RingReader::write(const Gather &gather, weft_reader_state *next) {
    if (!files_.is_open())
        if (Failure bad = files_.open(next->file_bytes, next->index_bytes))
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
        vector.push_back({headers[i++], kPacketHeaderBytes});
        if (packet.bytes > 0)
            vector.push_back({const_cast<uint8_t *>(bytes), packet.bytes});
        encode_index_entry(stream_, packet, next->file_bytes, entry);
        entry += kIndexEntryBytes;
        copied += packet.bytes;
        next->file_bytes += kPacketHeaderBytes + packet.bytes;
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
    store_release(&page_->consumed, progress_.state.position);
}

}  // namespace weft
