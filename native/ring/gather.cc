#include "ring/gather.h"

#include <algorithm>

namespace weft {

namespace {
constexpr uint64_t kRecordBytesMin = 4; /* a compact header and no payload */
constexpr uint64_t kLostMax = 1ull << 62; /* nobody counts that far; sums with the overwritten stay within 64 bits */
}

Gather::Gather(const UntrustedRing &ring, const weft_geometry &geometry, const Progress &from, Plan plan, uint64_t now,
               Limits limits)
    : ring_(ring), size_(geometry.subbuf_size), count_(geometry.subbuf_count), overwrite_(geometry.mode == WEFT_MODE_OVERWRITE),
      plan_(plan), latest_(now + kFutureNs), until_(limits.until), packets_most_(limits.packets_most),
      readable_from_(limits.readable_from), target_(limits.target),
      next_(from) {}

Cause Gather::run(Cut cut, unsigned attempt) {
    if (!ring_.lost_sum(&lost_) || lost_ > kLostMax)
        return Cause::kLossTooBig;
    Look look;
    Cause bad = cut == Cut::kPartial && target_ == nullptr ? ring_.settle(&look) : ring_.look(&look);
    if (bad == Cause::kNone)
        bad = check(look);
    if (bad != Cause::kNone)
        return bad;
    next_.seen = look.position;
    const unsigned haste = target_ != nullptr && next_.state.packets == 0 ? target_->haste : 0;
    uint64_t oldest = overwrite_ ? oldest_whole(look.position / size_, attempt + haste) : 0;
    if (target_ != nullptr) {
        look = target_->look;
        lost_ = target_->lost;
    }
    const uint64_t newest = look.position / size_;
    if (overwrite_)
        oldest = std::max(oldest, std::min(readable_from_, newest));
    if (!next_.mark.set && lost_ > next_.state.lost)
        next_.mark = {true, newest, lost_};
    first_sequence_ = std::max(sequence(), oldest);
    if (target_ != nullptr)
        bad = begin_snapshot(oldest);
    else if (sequence() < oldest)
        bad = skip_overwritten(oldest);
    if (overrun_)
        return Cause::kNone;
    if (bad == Cause::kNone)
        bad = start();
    while (bad == Cause::kNone && sequence() < newest && room() && !held_)
        bad = complete();
    more_ = !held_ && (sequence() < newest || (cut == Cut::kPartial && !room()));
    if (bad == Cause::kNone && cut == Cut::kPartial && !more_ && !held_)
        bad = partial(look);
    return bad;
}

Cause Gather::settle(Look *look) {
    if (!ring_.lost_sum(&lost_) || lost_ > kLostMax)
        return Cause::kLossTooBig;
    Cause bad = ring_.settle(look);
    if (bad == Cause::kNone)
        bad = check(*look);
    if (bad == Cause::kNone)
        next_.seen = look->position;
    first_sequence_ = sequence();
    return bad;
}

Cause Gather::look_at_rest(Rest *rest) {
    Look look;
    if (const Cause bad = settle(&look); bad != Cause::kNone)
        return bad;
    const uint64_t position = next_.state.position;
    *rest = {position, look.position - position, look.event_count - counted(), look.last_timestamp};
    if (sequence() == look.position / size_)
        return check_advance(rest->bytes, look.last_timestamp, look.event_count);
    EntryCopy entry, after;
    if (const Cause bad = read_entries(&entry, &after); bad != Cause::kNone)
        return bad;
    *rest = {position, entry.end_offset - position % size_, after.events_before - counted(), entry.end_timestamp};
    return check_advance(rest->bytes, entry.end_timestamp, after.events_before);
}

Cause Gather::run_to(const CutPoint &cut) {
    Look look;
    if (const Cause bad = settle(&look); bad != Cause::kNone)
        return bad;
    const Cause bad = advance(cut.bytes, cut.timestamp, counted() + cut.events);
    next_.state.position += cut.bytes;
    return bad;
}

Cause Gather::forget() {
    Look look;
    if (const Cause bad = settle(&look); bad != Cause::kNone)
        return bad;
    weft_reader_state &state = next_.state;
    Cause bad = begin();
    if (bad == Cause::kNone)
        bad = check_books(look.position - state.position, look.last_timestamp, look.event_count);
    if (bad != Cause::kNone)
        return bad;
    state.forgotten += look.event_count - counted();
    state.position = look.position;
    state.event_timestamp = state.last_timestamp = look.last_timestamp;
    state.lost = lost_;
    state.discarded = state.lost + state.overwritten;
    next_.mark.set = false;
    return Cause::kNone;
}

bool Gather::room() const {
    return packets_.size() < packets_most_ && (ring_bytes_ == 0 || ring_bytes_ + size_ <= kBatchBytes);
}

Cause Gather::check(const Look &look) const {
    const weft_reader_state &state = next_.state;
    if (look.position != 0 && !ring_.ready())
        return Cause::kNotReady;
    if (look.position < std::max(state.position, next_.seen))
        return Cause::kPositionBackwards;
    /* The sub-buffer that holds the consumed position is not free, so the writer cannot have gone round to it. */
    if (!overwrite_ && look.position / size_ - state.position / size_ >= count_)
        return Cause::kPositionTooFar;
    const uint64_t reported = next_.mark.set ? next_.mark.lost : state.lost;
    return lost_ < reported ? Cause::kLossBackwards : Cause::kNone;
}

/* A writer that is faster than the copying laps the reader again and again at the oldest end: each attempt starts further on. */
uint64_t Gather::oldest_whole(uint64_t newest, unsigned attempt) const {
    const uint64_t margin = std::min<uint64_t>(attempt * std::max<uint64_t>(1, count_ / 8), count_ - 1);
    return newest >= count_ - 1 ? newest - (count_ - 1) + margin : 0;
}

/* The writer is ahead by more than the ring holds: go on at the oldest sub-buffer that is whole. Its entry says how many events
 * lie before it, so what was lost is known exactly. */
Cause Gather::skip_overwritten(uint64_t oldest) {
    const EntryCopy entry = ring_.entry(oldest);
    weft_reader_state &state = next_.state;
    if (entry.sequence != oldest)
        return Cause::kEntrySequence;
    if (entry.begin_timestamp < state.event_timestamp)
        return Cause::kTimestampBackwards;
    if (entry.begin_timestamp > latest_)
        return Cause::kTimestampFuture;
    if (entry.events_before < counted())
        return Cause::kEventCountBackwards;
    const uint64_t lost = entry.events_before - counted();
    if (lost > (oldest * size_ - state.position) / kRecordBytesMin)
        return Cause::kEventCountTooBig;
    state.overwritten += lost;
    state.position = oldest * size_;
    state.event_timestamp = entry.begin_timestamp;
    return Cause::kNone;
}

/* A snapshot begins once; what the ring lost before is not missing in it. Later it must go on where it stood. */
Cause Gather::begin_snapshot(uint64_t oldest) {
    weft_reader_state &state = next_.state;
    const bool begins = state.packets == 0;
    const uint64_t first = begins ? std::max(oldest, target_->from) : oldest;
    overrun_ = first > target_->look.position / size_ || (!begins && sequence() < oldest);
    if (overrun_ || !begins)
        return Cause::kNone;
    first_sequence_ = first;
    const Cause bad = sequence() < first ? skip_overwritten(first) : Cause::kNone;
    state.lost = target_->lost_before;
    next_.excused = state.lost + state.overwritten;
    return bad;
}

/* When the ring's time begins. */
Cause Gather::begin() {
    if (next_.state.packets != 0 || next_.state.position != 0)
        return Cause::kNone;
    const EntryCopy entry = ring_.entry(0);
    if (entry.sequence != 0)
        return Cause::kEntrySequence;
    if (entry.begin_timestamp > latest_)
        return Cause::kTimestampFuture;
    next_.state.event_timestamp = entry.begin_timestamp;
    return Cause::kNone;
}

/* A stream begins with an empty packet: readers of CTF take losses from the difference between two packets, so what was lost
 * before the end of the first one would otherwise be known only as "some". It lies a nanosecond before the one behind it: where parts of
 * a stream lie in several directories babeltrace2 sorts packets by their begins, and those that begin alike the wrong way round. */
Cause Gather::start() {
    weft_reader_state &state = next_.state;
    const Cause bad = begin();
    if (bad != Cause::kNone || state.packets != 0 || plan_ != Plan::kAppend)
        return bad;
    const uint64_t before = state.event_timestamp - std::min<uint64_t>(state.event_timestamp, 1);
    packets_.push_back({before, before, 0, 0, 0, state.position, 0});
    state.packets = 1;
    state.last_timestamp = before;
    return Cause::kNone;
}

/* What the table says about a sub-buffer that the writer has left. */
Cause Gather::read_entries(EntryCopy *entry, EntryCopy *after) const {
    const weft_reader_state &state = next_.state;
    const uint64_t offset = state.position % size_;
    *entry = ring_.entry(sequence());
    *after = ring_.entry(sequence() + 1);
    if (entry->sequence != sequence() || after->sequence != sequence() + 1)
        return Cause::kEntrySequence;
    if (entry->end_offset >= size_)
        return Cause::kEntryEndBeyond;
    if (entry->end_offset < offset)
        return Cause::kEntryEndBackwards;
    if (offset == 0 && entry->begin_timestamp != state.event_timestamp)
        return Cause::kTimestampMismatch;
    if (after->begin_timestamp != entry->end_timestamp)
        return Cause::kTimestampMismatch;
    if (offset == 0 && entry->events_before != counted())
        return Cause::kEventCountMismatch;
    return Cause::kNone;
}

/* The rest of a sub-buffer that the writer has left. */
Cause Gather::complete() {
    weft_reader_state &state = next_.state;
    const uint64_t sequence = this->sequence();
    const uint64_t offset = state.position % size_;
    EntryCopy entry, after;
    if (const Cause bad = read_entries(&entry, &after); bad != Cause::kNone)
        return bad;
    held_ = entry.end_timestamp > until_;
    if (held_)
        return Cause::kNone;
    if (next_.mark.set && sequence >= next_.mark.sequence) {
        state.lost = next_.mark.lost;
        next_.mark.set = false;
    }
    const Cause bad = advance(entry.end_offset - offset, entry.end_timestamp, after.events_before);
    state.position = (sequence + 1) * size_;
    return bad;
}

/* What is committed of the sub-buffer being written, and the losses up to now. */
Cause Gather::partial(const Look &look) {
    held_ = look.last_timestamp > until_ && look.position > next_.state.position;
    if (held_)
        return Cause::kNone;
    next_.state.lost = lost_;
    next_.mark.set = false;
    const Cause bad = advance(look.position - next_.state.position, look.last_timestamp, look.event_count);
    if (bad != Cause::kNone)
        return bad;
    next_.state.position = look.position;
    append_trailing_loss();
    return Cause::kNone;
}

Cause Gather::check_books(uint64_t bytes, uint64_t end_timestamp, uint64_t events_at_end) const {
    const weft_reader_state &state = next_.state;
    if (end_timestamp < state.event_timestamp)
        return Cause::kTimestampBackwards;
    if (end_timestamp > latest_)
        return Cause::kTimestampFuture;
    if (events_at_end < counted())
        return Cause::kEventCountBackwards;
    return events_at_end - counted() > bytes / kRecordBytesMin ? Cause::kEventCountTooBig : Cause::kNone;
}

/* Within one sub-buffer, where no byte is without an event. */
Cause Gather::check_advance(uint64_t bytes, uint64_t end_timestamp, uint64_t events_at_end) const {
    const weft_reader_state &state = next_.state;
    if (const Cause bad = check_books(bytes, end_timestamp, events_at_end); bad != Cause::kNone)
        return bad;
    if (events_at_end == counted() && bytes > 0)
        return Cause::kEventCountTooBig;
    return bytes > 0 || end_timestamp == state.event_timestamp ? Cause::kNone : Cause::kTimestampMismatch;
}

Cause Gather::advance(uint64_t bytes, uint64_t end_timestamp, uint64_t events_at_end) {
    weft_reader_state &state = next_.state;
    const Cause bad = check_advance(bytes, end_timestamp, events_at_end);
    if (bad != Cause::kNone || bytes == 0)
        return bad;
    const uint64_t events = events_at_end - counted();
    if (plan_ == Plan::kAppend && sequence() >= readable_from_)
        append(bytes, end_timestamp, events);
    else
        state.overwritten += events;
    state.event_timestamp = end_timestamp;
    return Cause::kNone;
}

void Gather::append(uint64_t bytes, uint64_t end_timestamp, uint64_t events) {
    weft_reader_state &state = next_.state;
    state.discarded = state.lost + state.overwritten - next_.excused;
    packets_.push_back({state.event_timestamp, end_timestamp, state.packets, state.discarded, events, state.position, bytes});
    state.packets++;
    state.events += events;
    state.last_timestamp = end_timestamp;
    ring_bytes_ += bytes;
}

/* Losses after the last packet need a packet of their own. It ends at the last event: a later time could lie behind an event
 * that is being committed just now. */
void Gather::append_trailing_loss() {
    const weft_reader_state &state = next_.state;
    if (plan_ == Plan::kAppend && state.lost + state.overwritten - next_.excused != state.discarded)
        append(0, state.event_timestamp, 0);
}

}  // namespace weft
