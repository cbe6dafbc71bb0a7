/*
 * The reader of a ring set: one native thread that takes all its rings. Nothing here waits for the owner; the owner (JavaScript)
 * may be away for as long as it likes, its news are merged meanwhile.
 */
#ifndef WEFT_RING_READER_THREAD_H
#define WEFT_RING_READER_THREAD_H

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <variant>

#include "ring/reader_news.h"
#include "ring/sleeper.h"

namespace weft {

struct ReaderOptions {
    int ring_fd = -1;   /* both are the thread's from a successful start() on */
    int reader_fd = -1;
    uint8_t ring_id[16] = {};
    weft_geometry geometry{};
    std::string directory; /* empty: nothing is ever written, under the plan hold */
    std::string file_prefix;
    uint8_t uuid[16] = {};
    uint32_t stream_class_id = 0;
    uint64_t stream_instance_base = 0;
    uint64_t read_timer_ns = 0;
    Plan plan = Plan::kAppend;    /* until set_plan() */
    uint64_t switch_timer_ns = 0; /* 0: partial sub-buffers only on flush */
    bool live = false;            /* the first commit wakes the thread, which takes what comes in the next 2 ms */
    uint64_t chunk = 0;           /* whose files are in `directory` */
    uint64_t previous_chunk = 0;  /* with a rotation under way, the one before; no directory: none is */
    std::string previous_directory;
    FileLimits tracefiles;
    bool reclaim_consumed = false; /* memory of each sub-buffer goes as soon as it is consumed */
    uint64_t reclaim_age_ns = 0;   /* else, of those whose last event is older; 0: memory stays */
};

uint64_t now_ns(); /* CLOCK_MONOTONIC */

/* Per ring, in the order of STATS_FIELDS in native/addon/index.ts. */
enum Stat : uint32_t { kStatPackets, kStatEvents, kStatBytes, kStatLost, kStatOverwritten = kStatLost + WEFT_LOST_FROZEN + 1, kStatPosition, kStatConsumed, kStats };

/* Going on in another chunk: what is later than `at` belongs to it. */
struct Rotation {
    uint64_t chunk = 0;
    std::string directory;
    uint64_t at = 0; /* ns, CLOCK_MONOTONIC */
    RecordLayout layout;
};

/* Giving memory back, of sub-buffers that are consumed. */
struct Reclaiming {
    uint64_t age_ns = 0; /* of those whose last event is older */
    bool wait = true;    /* takes first what is complete; else its memory follows when it is taken */
};

class ReaderThread {
public:
    /* `notify` is called on the thread, whenever news waits; it must not block. */
    static Failure start(const ReaderOptions &options, std::function<void()> notify, std::unique_ptr<ReaderThread> *thread);
    /* Ends the thread; waits for at most one batch. */
    ~ReaderThread();
    ReaderThread(const ReaderThread &) = delete;

    void set_plan(Plan plan);
    /* Writers record nothing for so long (at most WEFT_FREEZE_MAX_NS); 0: they go on. */
    void freeze(uint64_t for_ns) const;
    /* The ticket that a flush's Done will name. */
    uint64_t flush();
    /* Jobs, one after the other: the ticket that a job's Done will name. */
    uint64_t rotate(Rotation rotation);
    uint64_t clear();
    uint64_t reclaim(Reclaiming reclaiming);
    /* The news `ended` follows. */
    void end();
    ReaderNews news() { return box_.drain(); }
    /* Values by CPU, kStats each; the memory outlives the thread as long as somebody holds it. */
    std::shared_ptr<uint64_t> stats() const { return stats_; }
    const ReaderOptions &options() const { return options_; }
    size_t stats_count() const { return rings_.size() * kStats; }

private:
    struct Ring {
        std::unique_ptr<RingReader> reader; /* made when the ring is first in use */
        bool corrupt = false;
        bool failing = false;
        bool awaiting = false; /* its page names the chunk before: left alone until the rotation is asked for again */
        uint64_t retry_at = 0;
        bool usable() const { return reader && !corrupt; }
    };

    struct Clearing {};

    struct Job {
        uint64_t ticket;
        std::variant<Rotation, Clearing, Reclaiming> what;
        const Rotation *rotation() const { return std::get_if<Rotation>(&what); }
    };

    /* A directory that is open. */
    struct Chunk {
        uint64_t id = 0;
        int directory = -1;
    };

    struct Load {
        bool more = false;     /* some ring has more than its batch took */
        uint64_t fullest = 0;  /* complete sub-buffers found in one ring */
    };

    ReaderThread(const ReaderOptions &options, std::function<void()> notify);
    void run();
    void open_rings();
    void open_ring(uint32_t cpu);
    bool enter_chunk(uint32_t cpu);
    Load sweep();
    Step take(uint32_t cpu, Cut cut);
    Step account(uint32_t cpu, Step step, uint64_t now);
    void flush_rings(Failure *unwritten);
    void flush_ring(uint32_t cpu, Failure *unwritten);
    void serve_flushes();
    void serve_switch_timer();
    void serve_live();
    bool wanted(const Ring &ring) const;
    uint64_t post(Job job);
    Job *first_job();
    void await_job();
    void serve_jobs();
    Done serve(const Job &job);
    Failure clear_rings();
    Done reclaim_rings(const Reclaiming &reclaiming);
    uint64_t reclaim_now(uint64_t age_ns, Failure *bad);
    void serve_reclaim_timer();
    uint64_t reclaim_interval() const;
    uint64_t capacity() const;
    Failure rotate_rings(const Rotation &rotation);
    Failure move_rings(const Rotation &rotation, int directory);
    Failure cut_ring(uint32_t cpu, const Rotation &rotation);
    Failure cut_ring_late(uint32_t cpu);
    bool due(const Ring &ring) const;
    void rest(const Load &load, uint32_t requests_seen);
    bool park(uint32_t requests_seen);
    void set_sleeping(uint32_t value);
    void tell();
    void publish(uint32_t cpu);

    const ReaderOptions options_;
    const std::function<void()> notify_;
    SetMap map_;
    std::unique_ptr<uint8_t[]> scratch_;
    std::vector<Ring> rings_;
    std::shared_ptr<uint64_t> stats_;
    NewsBox box_;
    Sleeper sleeper_;
    std::atomic<Plan> plan_;
    std::atomic<uint64_t> flush_wanted_{0};
    std::atomic<bool> end_wanted_{false};
    std::mutex jobs_mutex_;
    std::deque<Job> jobs_; /* the thread alone takes from it */
    uint64_t jobs_posted_ = 0;
    /* the thread's own */
    Chunk chunk_;
    Chunk previous_;                     /* with a rotation that a dead reader did not finish */
    uint64_t until_ = Gather::kForever;  /* with a rotation to come: its moment */
    uint64_t flush_served_ = 0;
    uint64_t next_switch_ = 0;
    uint64_t gather_until_ = 0; /* live: when what waits is taken; 0: nothing does */
    uint64_t next_reclaim_ = 0;
    std::optional<uint64_t> deferred_; /* what is taken next gives its memory back, if it is of this age (ns) */
    uint64_t nap_ns_;
    unsigned idle_naps_ = 0;
    uint64_t told_at_ = 0;
    std::thread thread_;
};

}  // namespace weft

#endif
