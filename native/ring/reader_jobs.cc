/* What a reader thread does when asked, besides flushing: going on in another chunk, forgetting. */
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ring/reader_thread.h"

namespace weft {

namespace {

constexpr uint64_t kGrace = 1000000;         /* ns; an event gets its time a little before it is committed */
constexpr uint64_t kReclaimInterval = 250000000;
constexpr uint64_t kAheadMax = 60000000000u; /* a rotation further ahead is a mistake */

}  // namespace

uint64_t ReaderThread::rotate(Rotation rotation) { return post({0, std::move(rotation)}); }

uint64_t ReaderThread::clear() { return post({0, Clearing{}}); }

uint64_t ReaderThread::reclaim(Reclaiming reclaiming) { return post({0, reclaiming}); }

uint64_t ReaderThread::post(Job job) {
    uint64_t ticket;
    {
        const std::lock_guard<std::mutex> lock(jobs_mutex_);
        ticket = job.ticket = ++jobs_posted_;
        jobs_.push_back(std::move(job));
    }
    sleeper_.wake();
    return ticket;
}

/* Stays where it is while others are added behind it. */
ReaderThread::Job *ReaderThread::first_job() {
    const std::lock_guard<std::mutex> lock(jobs_mutex_);
    return jobs_.empty() ? nullptr : &jobs_.front();
}

/* From now on nothing that is later than the cut to come is written. */
void ReaderThread::await_job() {
    const Job *job = first_job();
    until_ = job != nullptr && job->rotation() != nullptr ? job->rotation()->at : Gather::kForever;
}

void ReaderThread::serve_jobs() {
    for (;;) {
        await_job();
        Job *job = first_job();
        const uint64_t now = now_ns();
        const Rotation *rotation = job == nullptr ? nullptr : job->rotation();
        if (job == nullptr || (rotation != nullptr && rotation->at + kGrace > now && rotation->at <= now + kAheadMax))
            return;
        const Done done = serve(*job);
        {
            const std::lock_guard<std::mutex> lock(jobs_mutex_);
            jobs_.pop_front();
        }
        box_.did(done);
        told_at_ = 0;
    }
}

Done ReaderThread::serve(const Job &job) {
    Done done;
    if (const Reclaiming *reclaiming = std::get_if<Reclaiming>(&job.what))
        done = reclaim_rings(*reclaiming);
    else
        done.failure = job.rotation() != nullptr ? rotate_rings(*job.rotation()) : clear_rings();
    done.ticket = job.ticket;
    return done;
}

/* What cannot be taken because a file takes nothing keeps its memory: nobody waits for that. */
Done ReaderThread::reclaim_rings(const Reclaiming &reclaiming) {
    Done done;
    open_rings();
    for (uint32_t cpu = 0; cpu < rings_.size() && plan_.load() != Plan::kHold; cpu++) {
        for (uint32_t tries = 0; reclaiming.wait && due(rings_[cpu]) && tries < 4 * options_.geometry.subbuf_count; tries++)
            if (!take(cpu, Cut::kComplete).more)
                break;
        if (rings_[cpu].usable())
            done.pending += std::min<uint64_t>(rings_[cpu].reader->backlog(), options_.geometry.subbuf_count);
    }
    if (done.pending > 0)
        deferred_ = reclaiming.age_ns;
    done.reclaimed = reclaim_now(reclaiming.age_ns, &done.failure);
    return done;
}

uint64_t ReaderThread::reclaim_now(uint64_t age_ns, Failure *bad) {
    const uint64_t now = now_ns(), before = age_ns == 0 ? UINT64_MAX : now - std::min(now, age_ns);
    uint64_t count = 0;
    for (Ring &ring : rings_)
        if (ring.usable())
            count += ring.reader->reclaim(before, plan_.load() == Plan::kHold, bad);
    return count;
}

uint64_t ReaderThread::reclaim_interval() const { return std::max(options_.reclaim_age_ns / 2, kReclaimInterval); }

/* By the clock, and what an earlier request could not have yet. */
void ReaderThread::serve_reclaim_timer() {
    Failure refused; /* then the memory stays, and the next time may tell somebody who waits */
    if (deferred_ && std::none_of(rings_.begin(), rings_.end(), [this](const Ring &ring) { return due(ring) && ring.reader->backlog() > 0; }))
        reclaim_now(*std::exchange(deferred_, std::nullopt), &refused);
    if (options_.reclaim_age_ns == 0 || now_ns() < next_reclaim_)
        return;
    reclaim_now(options_.reclaim_age_ns, &refused);
    next_reclaim_ = now_ns() + reclaim_interval();
}

/* How many sub-buffers a writer may fill before the reader has to come. */
uint64_t ReaderThread::capacity() const {
    return options_.reclaim_consumed ? runway_of(options_.geometry) + 1 : options_.geometry.subbuf_count;
}

Failure ReaderThread::clear_rings() {
    Failure unwritten;
    open_rings();
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++) {
        if (!rings_[cpu].usable())
            continue;
        const uint64_t now = now_ns();
        const Step step = account(cpu, rings_[cpu].reader->forget(now), now);
        if (step.unwritten)
            unwritten = step.unwritten;
    }
    return unwritten;
}

Failure ReaderThread::rotate_rings(const Rotation &rotation) {
    if (rotation.at > now_ns() + kAheadMax)
        return {EINVAL, "a rotation more than a minute ahead"};
    if (plan_.load() == Plan::kHold)
        return {EBUSY, "the reader holds its rings: there is nothing to cut"};
    if (rotation.chunk < chunk_.id)
        return {}; /* asked for by a message that was long on its way: done before, and its files are archived */
    open_rings(); /* one may have come into use after the last look */
    const bool again = rotation.chunk == chunk_.id;
    const int directory = again ? chunk_.directory : open(rotation.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return failure(errno, rotation.directory);
    if (Failure bad = move_rings(rotation, directory)) {
        if (!again)
            close(directory);
        return bad;
    }
    if (!again && chunk_.directory >= 0)
        close(chunk_.directory);
    if (previous_.directory >= 0)
        close(std::exchange(previous_.directory, -1));
    chunk_ = {rotation.chunk, directory};
    return {};
}

/* All rings are cut and have their new files before the first one switches: a disk that is full then changes nothing. A reader that
 * dies between two switches leaves rings in both chunks, and its successor switches the others. */
Failure ReaderThread::move_rings(const Rotation &rotation, int directory) {
    const auto moves = [&rotation](const Ring &ring) { return ring.usable() && ring.reader->state().chunk != rotation.chunk; };
    Failure bad;
    for (uint32_t cpu = 0; cpu < rings_.size() && !bad; cpu++)
        if (moves(rings_[cpu]))
            bad = cut_ring(cpu, rotation);
    for (uint32_t cpu = 0; cpu < rings_.size() && !bad; cpu++)
        if (moves(rings_[cpu]))
            bad = rings_[cpu].reader->prepare(directory);
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++) {
        if (!moves(rings_[cpu]))
            continue;
        if (bad) {
            rings_[cpu].reader->abandon();
            continue;
        }
        rings_[cpu].awaiting = false;
        account(cpu, rings_[cpu].reader->enter(rotation.chunk), now_ns());
    }
    return bad;
}

/* Everything up to the moment into the files that are open. */
Failure ReaderThread::cut_ring(uint32_t cpu, const Rotation &rotation) {
    RingReader &reader = *rings_[cpu].reader;
    if (reader.state().event_timestamp > rotation.at)
        box_.cut_late(cpu); /* asked for when the moment was over: later events are in the files already */
    for (uint32_t tries = 0; tries < 8 * options_.geometry.subbuf_count; tries++) {
        Step step = take(cpu, Cut::kPartial);
        if (step.held && step.cause == Cause::kNone && !step.unwritten) {
            const uint64_t now = now_ns();
            step = account(cpu, reader.cut(rotation.at, rotation.layout, plan_.load(), now), now);
        }
        if (step.cause != Cause::kNone || step.unwritten)
            return step.unwritten;
        if (step.unknown && !step.more)
            break;
        if (!step.more)
            return {};
    }
    return cut_ring_late(cpu);
}

/* Nobody knows where the moment lies: everything committed up to now. */
Failure ReaderThread::cut_ring_late(uint32_t cpu) {
    Failure unwritten;
    box_.cut_late(cpu);
    const uint64_t until = std::exchange(until_, Gather::kForever);
    flush_ring(cpu, &unwritten);
    until_ = until;
    return unwritten;
}

}  // namespace weft
