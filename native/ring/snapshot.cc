#include "ring/snapshot.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace weft {

namespace {

/* Each begins further on in the ring; the last ones copy little more than the newest sub-buffer. */
constexpr unsigned kAttempts = 16;
/* A ring that is found in a file may be of a boot whose clock was further: a century more counts as no lie. */
constexpr uint64_t kOtherBoot = 100ull * 365 * 86400 * 1000000000;

uint64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

/* What the set's reader has told of losses belongs to its files. The page is the readers' own memory, so it is believed. */
uint64_t lost_before(const weft_reader_page *page) {
    return load(&page->state[load_acquire(&page->selector) & 1].lost);
}

RingTarget aim(const SetMap &set, uint32_t cpu) {
    const UntrustedRing ring(set, cpu);
    RingTarget target;
    target.used = ring.ready();
    if (!target.used)
        return target;
    target.end.lost_before = lost_before(set.page(cpu));
    target.refused = ring.settle(&target.end.look) != Cause::kNone || !ring.lost_sum(&target.end.lost);
    return target;
}

class Snapshot {
public:
    Snapshot(const SetMap &set, int ring_fd, const std::vector<RingTarget> &targets, const SnapshotOptions &options,
             SnapshotResult *result)
        : set_(set), ring_fd_(ring_fd), options_(options), result_(result), targets_(targets) {}
    ~Snapshot() {
        if (directory_fd_ >= 0)
            close(directory_fd_);
    }

    Failure run() {
        directory_fd_ = open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory_fd_ < 0)
            return failure(errno, options_.directory);
        scratch_.reset(new uint8_t[RingReader::snapshot_scratch_bytes(set_.geometry())]);
        for (uint32_t cpu = 0; cpu < targets_.size(); cpu++)
            if (targets_[cpu].used)
                if (Failure bad = options_.unread ? copy_unread(cpu) : copy_ring(cpu))
                    return bad;
        return {};
    }

private:
    /* The first sub-buffer from which everything up to the target fits. */
    Failure fit(const UntrustedRing &ring, Target *target) const {
        if (options_.max_stream_bytes == 0)
            return {};
        const uint64_t size = set_.geometry().subbuf_size;
        const uint64_t newest = target->look.position / size;
        const uint64_t header = packet_header_bytes(names_cpu(set_.geometry()));
        uint64_t bytes = header; /* the empty packet that a stream begins with */
        target->from = newest + 1;
        for (uint64_t kept = 0; kept < set_.geometry().subbuf_count && target->from > 0; kept++) {
            const uint64_t sequence = target->from - 1;
            const uint64_t used = sequence == newest ? target->look.position % size
                                                     : std::min<uint64_t>(ring.entry(sequence).end_offset, size);
            bytes += used > 0 ? used + header : 0;
            if (bytes > options_.max_stream_bytes)
                break;
            target->from = sequence;
        }
        if (target->from > newest)
            return {EMSGSIZE, "the newest packet alone has more than " + std::to_string(options_.max_stream_bytes) + " bytes"};
        return {};
    }

    Failure copy_ring(uint32_t cpu) {
        for (unsigned attempt = 0; attempt < kAttempts; attempt++) {
            if (attempt > 0 && overrun_at(cpu))
                targets_[cpu] = aim(set_, cpu); /* its end is gone too */
            RingTarget &target = targets_[cpu];
            if (target.refused) {
                result_->refused++;
                return {};
            }
            if (Failure bad = fit(UntrustedRing(set_, cpu), &target.end))
                return bad;
            target.end.haste = attempt;
            bool lost_race = false;
            if (Failure bad = copy_to_target(cpu, target.end, &lost_race))
                return bad;
            if (!lost_race)
                return {};
        }
        return {EAGAIN, "the writers of CPU " + std::to_string(cpu) + " overwrite their ring faster than it can be copied"};
    }

    bool overrun_at(uint32_t cpu) const {
        Look look;
        UntrustedRing(set_, cpu).look(&look);
        const weft_geometry &g = set_.geometry();
        return look.position / g.subbuf_size >= targets_[cpu].end.look.position / g.subbuf_size + g.subbuf_count / 2;
    }

    Failure copy_to_target(uint32_t cpu, const Target &target, bool *lost_race) {
        const std::unique_ptr<weft_reader_page> page(new weft_reader_page());
        RingReader reader(set_, ring_fd_, stream(cpu), files(cpu), scratch_.get(), page.get(), target);
        uint64_t begin = 0, events = 0;
        for (bool more = true; more;) {
            const Step step = reader.take(Cut::kPartial, Plan::kAppend, now_ns());
            if (step.unwritten)
                return step.unwritten;
            if (step.overrun) {
                *lost_race = true;
                return {};
            }
            if (begin == 0)
                begin = step.begin;
            events += step.events;
            result_->refused += step.cause != Cause::kNone;
            more = step.cause == Cause::kNone && step.more;
        }
        count(reader.state(), begin, events);
        return {};
    }

    /* The reader is told of a chunk of its own: its files begin anew, numbers and losses go on. */
    Failure copy_unread(uint32_t cpu) {
        const std::unique_ptr<weft_reader_page> page(new weft_reader_page(*set_.page(cpu)));
        RingReader reader(set_, ring_fd_, stream(cpu), files(cpu), scratch_.get(), page.get());
        Step step;
        step.cause = reader.attach();
        const uint64_t before = reader.state().packets, bytes_before = reader.state().bytes_before + reader.state().file_bytes;
        const uint64_t begin = reader.state().last_timestamp;
        if (step.cause == Cause::kNone && before > 0) {
            if (Failure bad = reader.prepare(directory_fd_))
                return bad;
            reader.enter(reader.state().chunk + 1);
        }
        for (step.more = step.cause == Cause::kNone; step.more && step.cause == Cause::kNone;) {
            step = reader.take(Cut::kPartial, Plan::kAppend, now_ns() + kOtherBoot);
            if (step.unwritten)
                return step.unwritten;
            result_->events += step.events;
        }
        result_->refused += step.cause != Cause::kNone;
        const weft_reader_state &state = reader.state();
        if (state.packets == before)
            return {};
        result_->begin = result_->packets == 0 ? begin : std::min(result_->begin, begin);
        result_->end = std::max(result_->end, state.last_timestamp);
        result_->packets += state.packets - before;
        result_->bytes += state.bytes_before + state.file_bytes - bytes_before;
        return {};
    }

    StreamIdentity stream(uint32_t cpu) const {
        StreamIdentity stream{{}, options_.stream_class_id, options_.stream_instance_base + cpu, cpu, names_cpu(set_.geometry())};
        std::copy(std::begin(options_.uuid), std::end(options_.uuid), stream.uuid);
        return stream;
    }

    StreamFiles files(uint32_t cpu) const { return {directory_fd_, stream_name(options_.file_prefix, set_.geometry(), cpu)}; }

    void count(const weft_reader_state &state, uint64_t begin, uint64_t events) {
        if (state.packets == 0)
            return;
        result_->begin = result_->packets == 0 ? begin : std::min(result_->begin, begin);
        result_->end = std::max(result_->end, state.last_timestamp);
        result_->packets += state.packets;
        result_->bytes += state.file_bytes;
        result_->events += events;
    }

    const SetMap &set_;
    const int ring_fd_;
    const SnapshotOptions &options_;
    SnapshotResult *const result_;
    std::vector<RingTarget> targets_;
    std::unique_ptr<uint8_t[]> scratch_;
    int directory_fd_ = -1;
};

}  // namespace

std::vector<RingTarget> snapshot_targets(const SetMap &set) {
    std::vector<RingTarget> targets;
    for (uint32_t cpu = 0; cpu < set.geometry().cpu_count; cpu++)
        targets.push_back(aim(set, cpu));
    return targets;
}

Failure take_snapshot(const SetMap &set, int ring_fd, const std::vector<RingTarget> &targets, const SnapshotOptions &options,
                      SnapshotResult *result) {
    *result = {};
    return Snapshot(set, ring_fd, targets, options, result).run();
}

}  // namespace weft
