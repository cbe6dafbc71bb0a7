#include "ring/reader_thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ring/format.h"

namespace weft {

uint64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

namespace {

constexpr uint64_t kUs = 1000, kMs = 1000 * kUs;
constexpr uint64_t kSleepMax = 1000 * kMs; /* bounds what hostile memory can do to a parked thread */
constexpr uint64_t kNapMin = 20 * kUs, kNapMax = 1 * kMs;
constexpr unsigned kIdleNaps = 2; /* before parking; also what slows down a doorbell that is rung for nothing */
/* A reader that waits for a processor is lost events: a full-speed producer fills 8 MiB in 8 ms. Without the right it stays as it is. */
constexpr int kNice = -10;
constexpr uint64_t kGather = 2 * kMs; /* how long the first event on a live channel waits for others */
/* Among threads of the same weight, and for its whole control group, the one with the shorter slice runs first when it wakes (Linux
 * 6.12; before that the field means nothing). */
constexpr uint64_t kSlice = 100 * kUs;
constexpr uint64_t kTellInterval = 5 * kMs; /* while data keeps coming */

/* Signals are the main thread's; SIGXFSZ in particular must be an EFBIG here. */
std::thread start_without_signals(const std::function<void()> &body) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(body);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

/* As struct sched_attr, which no header of the C library has. */
struct SchedulingAttributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void hurry() {
    setpriority(PRIO_PROCESS, 0, kNice); /* on Linux 0 is this thread */
    SchedulingAttributes attributes{sizeof attributes, SCHED_OTHER, 0, getpriority(PRIO_PROCESS, 0), 0, kSlice, 0, 0};
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

Failure open_directory(const std::string &path, int *fd) {
    *fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? failure(errno, path) : Failure{};
}

}  // namespace

Failure ReaderThread::start(const ReaderOptions &options, std::function<void()> notify, std::unique_ptr<ReaderThread> *out) {
    if (weft_geometry_check(&options.geometry) != 0)
        return {EINVAL, "geometry: sizes must be powers of two within the limits"};
    std::unique_ptr<ReaderThread> thread(new ReaderThread(options, std::move(notify)));
    ReaderThread &self = *thread;
    if (Failure bad = self.map_.open(options.geometry, options.ring_fd, options.reader_fd, options.ring_id, true))
        return bad;
    if (!options.directory.empty())
        if (Failure bad = open_directory(options.directory, &self.chunk_.directory))
            return bad;
    if (!options.previous_directory.empty())
        if (Failure bad = open_directory(options.previous_directory, &self.previous_.directory))
            return bad;
    self.freeze(0); /* a reader before this one may have died with it */
    self.next_switch_ = now_ns() + options.switch_timer_ns;
    self.next_reclaim_ = now_ns() + self.reclaim_interval();
    self.scratch_.reset(new uint8_t[RingReader::scratch_bytes(options.geometry)]);
    self.thread_ = start_without_signals([&self] { self.run(); });
    *out = std::move(thread);
    return {};
}

ReaderThread::ReaderThread(const ReaderOptions &options, std::function<void()> notify)
    : options_(options), notify_(std::move(notify)), rings_(options.geometry.cpu_count),
      stats_(new uint64_t[options.geometry.cpu_count * kStats](), std::default_delete<uint64_t[]>()),
      box_(options.geometry.cpu_count), plan_(options.plan), chunk_{options.chunk, -1}, previous_{options.previous_chunk, -1},
      nap_ns_(kNapMin) {}

ReaderThread::~ReaderThread() {
    const bool started = thread_.joinable();
    if (started) {
        end();
        thread_.join();
    }
    for (const Chunk &chunk : {chunk_, previous_})
        if (chunk.directory >= 0)
            close(chunk.directory);
    if (started) {
        close(options_.ring_fd);
        close(options_.reader_fd);
    }
}

void ReaderThread::set_plan(Plan plan) {
    plan_.store(plan);
    sleeper_.wake();
}

uint64_t ReaderThread::flush() {
    const uint64_t ticket = flush_wanted_.fetch_add(1) + 1;
    sleeper_.wake();
    return ticket;
}

void ReaderThread::end() {
    end_wanted_.store(true);
    sleeper_.wake();
}

void ReaderThread::run() {
    pthread_setname_np(pthread_self(), "weft-reader");
    hurry();
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++) {
        store(&map_.page(cpu)->sleeping, 1); /* a ring that is not open yet wakes the thread with its first full sub-buffer */
        store(&map_.page(cpu)->attentive, options_.live ? 1 : 0);
    }
    while (!end_wanted_.load()) {
        const uint32_t requests = sleeper_.requests();
        await_job();
        open_rings();
        const Load load = sweep();
        serve_switch_timer();
        serve_live();
        serve_jobs();
        serve_reclaim_timer();
        serve_flushes();
        tell();
        if (!load.more)
            rest(load, requests);
    }
    set_sleeping(0);
    box_.ended();
    notify_();
}

void ReaderThread::freeze(uint64_t for_ns) const {
    const uint64_t until = for_ns == 0 ? 0 : now_ns() + std::min<uint64_t>(for_ns, WEFT_FREEZE_MAX_NS);
    for (uint32_t cpu = 0; cpu < options_.geometry.cpu_count; cpu++)
        if (UntrustedRing(map_, cpu).ready())
            store_release(&map_.page(cpu)->frozen_until, until);
}

void ReaderThread::open_rings() {
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++) {
        const UntrustedRing ring(map_, cpu);
        uint64_t lost = 0;
        if (!rings_[cpu].reader && !rings_[cpu].corrupt && (ring.ready() || !ring.lost_sum(&lost) || lost > 0))
            open_ring(cpu);
    }
}

void ReaderThread::open_ring(uint32_t cpu) {
    StreamIdentity stream{{}, options_.stream_class_id, options_.stream_instance_base + cpu, cpu, names_cpu(options_.geometry)};
    std::copy(std::begin(options_.uuid), std::end(options_.uuid), stream.uuid);
    StreamFiles files(chunk_.directory, stream_name(options_.file_prefix, options_.geometry, cpu), options_.tracefiles);
    Ring &ring = rings_[cpu];
    ring.reader.reset(new RingReader(map_, options_.ring_fd, stream, std::move(files), scratch_.get()));
    ring.reader->reclaim_always(options_.reclaim_consumed);
    const Cause bad = ring.reader->attach();
    ring.corrupt = bad != Cause::kNone || !enter_chunk(cpu);
    if (ring.corrupt)
        box_.corrupt(cpu, bad != Cause::kNone ? bad : Cause::kReaderState);
    else if (!ring.awaiting)
        take(cpu, Cut::kComplete); /* makes the files and the first packet */
}

/* Where the ring's files are. False: in a chunk that nobody speaks of. A ring without files may still hold events of the chunk
 * before. */
bool ReaderThread::enter_chunk(uint32_t cpu) {
    Ring *ring = &rings_[cpu];
    RingReader &reader = *ring->reader;
    const weft_reader_state &state = reader.state();
    if (state.packets > 0 && state.chunk == chunk_.id)
        return true;
    ring->awaiting = previous_.directory >= 0;
    if (state.packets == 0) {
        const Chunk &chunk = ring->awaiting ? previous_ : chunk_;
        reader.begin_in(chunk.id, chunk.directory);
        return true;
    }
    if (ring->awaiting) {
        reader.resume_in(previous_.directory);
        return state.chunk == previous_.id;
    }
    /* The chunk before is complete, and its files may be anywhere by now: they were archived while the session was stopped. */
    if (state.chunk > chunk_.id || reader.prepare(chunk_.directory))
        return false;
    account(cpu, reader.enter(chunk_.id), now_ns());
    return true;
}

bool ReaderThread::due(const Ring &ring) const {
    return ring.usable() && !ring.awaiting && (!ring.failing || now_ns() >= ring.retry_at);
}

/* One batch of each ring that has something. */
ReaderThread::Load ReaderThread::sweep() {
    Load load;
    for (const Ring &ring : rings_)
        if (ring.usable())
            ring.reader->refill();
    if (plan_.load() == Plan::kHold)
        return load;
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++) {
        Ring &ring = rings_[cpu];
        if (!due(ring))
            continue;
        const uint64_t backlog = ring.reader->backlog();
        if (backlog > 0 || ring.failing)
            load.more |= take(cpu, Cut::kComplete).more;
        else
            publish(cpu);
        load.fullest = std::max(load.fullest, backlog);
    }
    return load;
}

Step ReaderThread::take(uint32_t cpu, Cut cut) {
    const uint64_t now = now_ns();
    return account(cpu, rings_[cpu].reader->take(cut, plan_.load(), now, until_), now);
}

Step ReaderThread::account(uint32_t cpu, Step step, uint64_t now) {
    Ring &ring = rings_[cpu];
    if (step.cause != Cause::kNone) {
        ring.corrupt = true;
        box_.corrupt(cpu, step.cause);
    }
    if (step.unwritten) {
        step.more = false;
        ring.retry_at = now + options_.read_timer_ns;
        if (!std::exchange(ring.failing, true))
            box_.failed(cpu, step.unwritten);
    } else if (std::exchange(ring.failing, false)) {
        box_.resumed(cpu);
    }
    box_.took(cpu, step, ring.reader->state().discarded);
    publish(cpu);
    return step;
}

/* Everything committed before the call. A writer that goes on meanwhile does not prolong it, and a ring that always laps the
 * reader ends it: what was there before the call is overwritten by then. */
void ReaderThread::flush_ring(uint32_t cpu, Failure *unwritten) {
    const RingReader &reader = *rings_[cpu].reader;
    Look target;
    uint64_t lost = 0;
    reader.ring().look(&target);
    reader.ring().lost_sum(&lost);
    for (uint32_t tries = 0; tries < 4 * options_.geometry.subbuf_count; tries++) {
        const Step step = take(cpu, Cut::kPartial);
        if (step.unwritten)
            *unwritten = step.unwritten;
        const bool reached = reader.state().position >= target.position && reader.state().lost >= lost;
        if (step.cause != Cause::kNone || step.unwritten || !step.more || reached)
            return;
    }
}

void ReaderThread::serve_flushes() {
    const uint64_t wanted = flush_wanted_.load();
    if (wanted == flush_served_ || until_ != Gather::kForever)
        return;
    Done done{wanted, {}};
    if (std::any_of(rings_.begin(), rings_.end(), [](const Ring &ring) { return ring.awaiting; }))
        done.failure = {EBUSY, "a rotation is under way: ask for it again first"};
    else if (plan_.load() == Plan::kHold)
        done.failure = {EBUSY, "the reader holds its rings: nothing can be flushed"};
    else
        flush_rings(&done.failure);
    flush_served_ = wanted;
    box_.flushed(done);
    told_at_ = 0;
}

void ReaderThread::flush_rings(Failure *unwritten) {
    open_rings(); /* one may have come into use after the last look */
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++)
        if (rings_[cpu].usable())
            flush_ring(cpu, unwritten);
}

void ReaderThread::serve_switch_timer() {
    if (options_.switch_timer_ns == 0 || now_ns() < next_switch_)
        return;
    Failure told_by_news;
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++)
        if (due(rings_[cpu]))
            flush_ring(cpu, &told_by_news);
    next_switch_ = now_ns() + options_.switch_timer_ns;
}

/* Something of it should be in the files soon. */
bool ReaderThread::wanted(const Ring &ring) const {
    return due(ring) && (options_.live ? ring.reader->unread() : ring.reader->backlog() > 0);
}

void ReaderThread::serve_live() {
    const auto waits = [this](const Ring &ring) { return wanted(ring); };
    if (!options_.live || plan_.load() == Plan::kHold || std::none_of(rings_.begin(), rings_.end(), waits)) {
        gather_until_ = 0;
        return;
    }
    const uint64_t now = now_ns();
    if (gather_until_ == 0)
        gather_until_ = now + kGather;
    if (now < gather_until_)
        return;
    Failure told_by_news;
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++)
        if (wanted(rings_[cpu]))
            flush_ring(cpu, &told_by_news);
    gather_until_ = 0;
    told_at_ = 0;
}

/* While data comes, short naps instead of the doorbell: writers make no system call, and several sub-buffers are taken at once. A
 * ring that was found half full shortens the nap, a nearly empty one makes it longer. */
void ReaderThread::rest(const Load &load, uint32_t requests_seen) {
    const uint64_t count = capacity();
    if (2 * load.fullest >= count)
        nap_ns_ = std::max(nap_ns_ / 2, kNapMin);
    else if (8 * load.fullest <= count)
        nap_ns_ = std::min(nap_ns_ * 2, kNapMax);
    if (gather_until_ != 0) {
        const uint64_t now = now_ns();
        sleeper_.nap(requests_seen, std::min(nap_ns_, gather_until_ > now ? gather_until_ - now : 0));
        return;
    }
    if (load.fullest > 0)
        idle_naps_ = 0;
    if (idle_naps_++ < kIdleNaps && !options_.live) {
        sleeper_.nap(requests_seen, nap_ns_);
        return;
    }
    told_at_ = 0;
    tell();
    idle_naps_ = park(requests_seen) ? 0 : kIdleNaps;
}

/* True: woken before the time was over. */
bool ReaderThread::park(uint32_t requests_seen) {
    uint64_t ns = std::min(options_.read_timer_ns, kSleepMax);
    const uint64_t now = now_ns();
    if (options_.switch_timer_ns != 0)
        ns = std::min(ns, next_switch_ > now ? next_switch_ - now : 0);
    if (options_.reclaim_age_ns != 0)
        ns = std::min(ns, next_reclaim_ > now ? next_reclaim_ - now : 0);
    if (until_ != Gather::kForever)
        ns = std::min(ns, kNapMax);
    const bool hold = plan_.load() == Plan::kHold;
    const auto sparse = [](const Ring &ring) { return ring.usable() && ring.reader->sparse(); };
    if (!hold || std::any_of(rings_.begin(), rings_.end(), sparse)) /* those want their memory before they come to it */
        set_sleeping(1);
    fence(); /* either a writer sees the flag, or the look below sees what it committed; else the timer ends the sleep */
    const uint32_t doorbell = load_acquire(&map_.header()->doorbell);
    const bool idle = hold || std::none_of(rings_.begin(), rings_.end(), [this](const Ring &ring) { return wanted(ring); });
    if (idle && ns > 0)
        sleeper_.park(&map_.header()->doorbell, doorbell, requests_seen, ns);
    set_sleeping(0);
    return !idle || now_ns() - now < ns;
}

/* Rings not in use yet keep the flag: their first full sub-buffer wakes the thread. */
void ReaderThread::set_sleeping(uint32_t value) {
    for (uint32_t cpu = 0; cpu < rings_.size(); cpu++)
        if (rings_[cpu].usable()) {
            store(&map_.page(cpu)->sleeping, value);
            if (options_.live)
                store(&map_.page(cpu)->attentive, value);
        }
}

/* At once when the thread is about to sleep or somebody waits (told_at_ == 0), else not more often than anybody can look. */
void ReaderThread::tell() {
    const uint64_t now = now_ns();
    if (now - told_at_ < kTellInterval || box_.empty())
        return;
    told_at_ = now;
    notify_();
}

void ReaderThread::publish(uint32_t cpu) {
    const RingReader &reader = *rings_[cpu].reader;
    const weft_reader_state &state = reader.state();
    uint64_t *to = stats_.get() + cpu * kStats;
    store(to + kStatPackets, state.packets);
    store(to + kStatEvents, state.events);
    store(to + kStatBytes, state.bytes_before + state.file_bytes);
    for (unsigned cause = WEFT_LOST_FULL; cause <= WEFT_LOST_FROZEN; cause++)
        store(to + kStatLost + cause, reader.ring().lost(cause));
    store(to + kStatOverwritten, state.overwritten);
    Look look;
    reader.ring().look(&look);
    store(to + kStatPosition, look.position);
    store(to + kStatConsumed, state.position);
}

}  // namespace weft
