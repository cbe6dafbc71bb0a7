#include "ring/reclaim.h"

#include <fcntl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "ring/memory_limit.h"

namespace weft {

namespace {

/* Looking how much memory there is takes a few files of /proc and /sys. */
constexpr uint64_t kCheckInterval = 100000000;
constexpr uint64_t kRetryInterval = 20000000;

uint64_t coarse_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

int allocate(int fd, int how, uint64_t offset, uint64_t bytes) {
    int status;
    do {
        status = fallocate(fd, how, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    } while (status != 0 && errno == EINTR);
    return status;
}

/* Whether memory can be taken and put back by way of it. */
bool writable(int fd) { return fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR; }

}  // namespace

Reclaim::Reclaim(const SetMap &set, uint32_t cpu, int ring_fd, const UntrustedRing &ring, weft_reader_page *page)
    : size_(set.geometry().subbuf_size), count_(set.geometry().subbuf_count),
      overwrite_(set.geometry().mode == WEFT_MODE_OVERWRITE), data_offset_(weft_data_offset(&set.geometry(), cpu)),
      ring_fd_(writable(ring_fd) ? ring_fd : -1), ring_(ring), page_(page), runway_(runway_of(set.geometry())), ahead_(runway_) {}

uint64_t Reclaim::newest() const {
    Look look;
    ring_.look(&look);
    return look.position / size_;
}

/* What lay where the writer comes to when it has `ahead` more sub-buffers behind it: those before it are the writer's. */
uint64_t Reclaim::oldest_ahead(uint64_t newest, uint64_t ahead) const {
    return newest + ahead + 1 > count_ ? newest + ahead + 1 - count_ : 0;
}

/* A ring that is in use again shall soon be whole again. */
void Reclaim::watch(uint64_t newest) {
    if (!eager_ && newest > seen_)
        ahead_ = std::min(count_ - 1, 2 * ahead_ + std::min(newest - seen_, count_));
    seen_ = std::max(seen_, newest);
}

/* Writers have the runway, until they go on. */
void Reclaim::rest() {
    ahead_ = runway_;
    seen_ = newest();
}

bool Reclaim::affordable(uint64_t bytes) {
    const uint64_t now = coarse_ns();
    if (now < check_at_)
        return !short_;
    short_ = static_cast<bool>(check_available(std::max(bytes, 4 * size_), "sub-buffers"));
    check_at_ = now + (short_ ? kRetryInterval : kCheckInterval);
    return !short_;
}

/* Up to where everything from `from` on has memory; at most `to`. */
uint64_t Reclaim::restore(uint64_t from, uint64_t to) {
    const uint64_t end = std::min(to, holes_to_);
    if (from >= end)
        return to;
    if (!affordable((end - from) * size_))
        return from;
    for (from = std::max(from, end - std::min(end, count_)); from < end; from++)
        if (allocate(ring_fd_, 0, data_offset_ + from % count_ * size_, size_) != 0)
            return from;
    return to;
}

void Reclaim::attach(uint64_t position) {
    seen_ = newest();
    if (ring_fd_ >= 0)
        holes_to_ = load(&page_->holes_to);
    const uint64_t torn = load(&page_->punching);
    if (torn != 0 && seen_ >= torn && readable_from() <= torn)
        store(&page_->readable_from, torn + 1);
    store(&page_->punching, 0);
    give(position);
}

void Reclaim::give(uint64_t position) {
    const uint64_t taken = position / size_, given = std::min(this->given(), taken);
    if (overwrite_ || (!eager_ && holes_to_ <= given)) {
        store_release(&page_->consumed, position);
        return;
    }
    const uint64_t newest = this->newest();
    watch(newest);
    const uint64_t wanted = std::clamp(oldest_ahead(newest, ahead_), given, taken);
    const uint64_t next = restore(given, wanted);
    store_release(&page_->consumed, next == taken ? position : next * size_);
    store(&page_->holes_from, next);
    if (!eager_)
        return;
    const uint64_t from = std::max({next, holes_to_, taken - std::min(taken, count_)});
    note(from, taken);
    for (uint64_t sequence = from; sequence < taken; sequence++)
        punch(sequence); /* what cannot be taken stays */
}

void Reclaim::refill(uint64_t position) {
    if (!sparse())
        return;
    if (!overwrite_) {
        give(position);
        return;
    }
    const uint64_t newest = this->newest();
    watch(newest);
    const uint64_t from = std::max(holes_from(), oldest_ahead(newest, 0));
    store(&page_->holes_from, restore(std::min(from, holes_to_), std::min(holes_to_, std::max(from, oldest_ahead(newest, ahead_)))));
}

/* The first from `from` on that has a later event. The table is the applications' word, which costs memory at most. */
uint64_t Reclaim::aged(uint64_t from, uint64_t to, uint64_t before) const {
    while (from < to) {
        const EntryCopy entry = ring_.entry(from);
        if (entry.sequence != from || entry.end_timestamp > before)
            break;
        from++;
    }
    return from;
}

/* Before memory goes: who copies the ring looks at it afterwards, and who comes after us knows where it may be missing. */
void Reclaim::note(uint64_t from, uint64_t to) {
    if (to <= from)
        return;
    if (holes_to_ <= holes_from())
        store(&page_->holes_from, from);
    holes_to_ = std::max(holes_to_, to);
    store(&page_->holes_to, holes_to_);
    if (readable_from() < to)
        store(&page_->readable_from, to);
    fence();
}

Failure Reclaim::punch(uint64_t sequence) const {
    const int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return allocate(ring_fd_, how, data_offset_ + sequence % count_ * size_, size_) == 0 ? Failure{}
                                                                                         : failure(errno, "giving back ring memory");
}

uint64_t Reclaim::take(uint64_t position, uint64_t before, bool unread, Failure *bad) {
    if (ring_fd_ < 0) {
        *bad = {EBADF, "the descriptor of the ring memory is read-only"};
        return 0;
    }
    if (overwrite_)
        return take_oldest(unread ? newest() : position / size_, before, bad);
    const uint64_t count = take_consumed(position, before, bad);
    give(position);
    return count;
}

/* Writers get no further than the runway, counted from `low`; returns from where on nobody will enter. */
uint64_t Reclaim::hold_back(uint64_t low) {
    const uint64_t given = this->given();
    store(&page_->consumed, low * size_);
    fence(); /* who reads the position from now on reads the lower bound; who read it before enters the next sub-buffer at most */
    const uint64_t from = std::clamp(oldest_ahead(newest(), 1), low, given);
    if (from > low)
        store_release(&page_->consumed, from * size_);
    store(&page_->holes_from, from);
    return from;
}

uint64_t Reclaim::take_consumed(uint64_t position, uint64_t before, Failure *bad) {
    const uint64_t given = this->given(), holes_to = std::max(given, holes_to_);
    const uint64_t taken = position / size_;
    const uint64_t low = std::max(std::min(given, oldest_ahead(newest(), runway_)), taken - std::min(taken, count_));
    const uint64_t end = aged(low, taken, before);
    if (end <= low)
        return 0;
    const uint64_t from = low < given ? hold_back(low) : given;
    uint64_t count = 0;
    rest();
    note(from, end);
    for (uint64_t sequence = from; sequence < end && !*bad; sequence++) {
        if (sequence >= given && sequence < holes_to)
            continue;
        *bad = punch(sequence);
        count += *bad ? 0 : 1;
    }
    return count;
}

uint64_t Reclaim::take_oldest(uint64_t most, uint64_t before, Failure *bad) {
    const uint64_t begin = std::max(oldest_ahead(newest(), runway_), holes_to_);
    const uint64_t end = aged(begin, most, before);
    uint64_t count = 0;
    for (uint64_t sequence = begin; sequence < end && !*bad; sequence++) {
        if (oldest_ahead(newest(), 1) > sequence)
            continue; /* writers are there, or nearly */
        *bad = take_one(sequence);
        count += *bad ? 0 : 1;
    }
    rest();
    return count;
}

Failure Reclaim::take_one(uint64_t sequence) {
    const uint64_t next = sequence + count_;
    note(sequence, sequence + 1);
    store(&page_->punching, next);
    fence();
    const Failure bad = punch(sequence);
    fence(); /* a writer stores the position before it stores a byte there */
    if (newest() >= next)
        store(&page_->readable_from, next + 1);
    store(&page_->punching, 0);
    return bad;
}

}  // namespace weft
