#include "ring/reader_news.h"

#include <algorithm>
#include <utility>

namespace weft {

RingNews &NewsBox::of(uint32_t cpu) {
    if (std::find(changed_.begin(), changed_.end(), cpu) == changed_.end()) {
        changed_.push_back(cpu);
        rings_[cpu].cpu = cpu;
    }
    return rings_[cpu];
}

void NewsBox::took(uint32_t cpu, const Step &step, uint64_t lost) {
    if (step.packets == 0)
        return;
    const std::lock_guard<std::mutex> lock(mutex_);
    RingNews &news = of(cpu);
    if (news.packets == 0) {
        news.first = step.first;
        news.begin = step.begin;
    }
    news.packets += step.packets;
    news.bytes += step.bytes;
    news.events += step.events;
    news.end = step.end;
    news.lost = lost;
}

void NewsBox::corrupt(uint32_t cpu, Cause cause) {
    const std::lock_guard<std::mutex> lock(mutex_);
    of(cpu).corrupt = cause;
}

void NewsBox::failed(uint32_t cpu, const Failure &why) {
    const std::lock_guard<std::mutex> lock(mutex_);
    RingNews &news = of(cpu);
    news.failed = why;
    news.resumed = false;
}

void NewsBox::resumed(uint32_t cpu) {
    const std::lock_guard<std::mutex> lock(mutex_);
    of(cpu).resumed = true;
}

void NewsBox::cut_late(uint32_t cpu) {
    const std::lock_guard<std::mutex> lock(mutex_);
    of(cpu).cut_late = true;
}

void NewsBox::flushed(const Done &done) {
    const std::lock_guard<std::mutex> lock(mutex_);
    flushes_.push_back(done);
}

void NewsBox::did(const Done &job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(job);
}

void NewsBox::ended() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
}

bool NewsBox::empty() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return changed_.empty() && flushes_.empty() && jobs_.empty() && !ended_;
}

ReaderNews NewsBox::drain() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ReaderNews news;
    for (const uint32_t cpu : changed_)
        news.rings.push_back(std::exchange(rings_[cpu], RingNews{}));
    changed_.clear();
    news.flushes = std::exchange(flushes_, {});
    news.jobs = std::exchange(jobs_, {});
    news.ended = std::exchange(ended_, false);
    return news;
}

}  // namespace weft
