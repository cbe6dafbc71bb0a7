/* The reader thread beside a writer thread: promptness, plans, failing files, and an owner that does not listen. */
#include "ring/reader_thread.h"

#include <fcntl.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "ring/test_cases.h"
#include "ring/test_set.h"

using namespace weft;
using namespace weft_test;

namespace {

uint64_t clock_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

/* A thread on a test set, and its news. */
class Running {
public:
    explicit Running(TestSet &set, uint64_t read_timer_ns = 200000000, uint64_t switch_timer_ns = 0, bool live = false) {
        sem_init(&told_, 0, 0);
        ReaderOptions options = set.reader_options();
        options.read_timer_ns = read_timer_ns;
        options.switch_timer_ns = switch_timer_ns;
        options.live = live;
        const Failure bad = ReaderThread::start(options, [this] { sem_post(&told_); }, &thread_);
        CHECK_EQUAL(bad.message, "");
    }
    ~Running() { stop(); }
    void stop() { thread_.reset(); }
    ReaderThread &operator*() { return *thread_; }
    ReaderThread *operator->() { return thread_.get(); }

    /* Merges news into `all` until `enough` says so; false when there is none for a minute. */
    bool until(const std::function<bool()> &enough) {
        while (!enough()) {
            timespec limit;
            clock_gettime(CLOCK_REALTIME, &limit);
            limit.tv_sec += 60;
            if (sem_timedwait(&told_, &limit) != 0 && errno == ETIMEDOUT)
                return false;
            merge(thread_->news());
        }
        return true;
    }
    void listen() { merge(thread_->news()); }
    Failure flush() {
        const uint64_t ticket = thread_->flush();
        CHECK(until([&] { return flushed_.ticket >= ticket; }));
        return flushed_.failure;
    }
    uint64_t stat(Stat field) { return load(thread_->stats().get() + field); }

    uint64_t packets = 0, events = 0;
    unsigned failed = 0, resumed = 0;
    Cause corrupt = Cause::kNone;

private:
    void merge(const ReaderNews &news) {
        for (const RingNews &ring : news.rings) {
            packets += ring.packets;
            events += ring.events;
            failed += ring.failed ? 1 : 0;
            resumed += ring.resumed;
            if (ring.corrupt != Cause::kNone)
                corrupt = ring.corrupt;
        }
        for (const Done &done : news.flushes)
            flushed_ = done;
    }
    std::unique_ptr<ReaderThread> thread_;
    sem_t told_;
    Done flushed_;
};

void write_events(TestSet &set, int count) {
    for (int i = 0; i < count; i++)
        set.writer().emit(kStart + 100 * (set.writer().emitted() + 1));
}

void every_event_of_a_busy_writer_is_read_or_counted() {
    TestSet set(4096, 8);
    Running thread(set);
    write_events(set, 300000);
    CHECK(!thread.flush());
    const uint64_t lost = set.writer().ring()->lost[WEFT_LOST_FULL];
    CHECK_EQUAL(thread.events + lost, 300000u);
    CHECK_EQUAL(thread.stat(kStatEvents), thread.events);
    CHECK_EQUAL(thread.stat(kStatLost), lost);
    thread.stop();
    const Viewed viewed = babeltrace(set.directory());
    CHECK_EQUAL(viewed.strange, "");
    CHECK_EQUAL(viewed.events, 300000 - lost);
    CHECK_EQUAL(viewed.discarded, lost);
}

void the_doorbell_wakes_a_sleeping_reader_at_once() {
    TestSet set(4096, 8);
    Running thread(set, 600000000000);
    CHECK(!thread.flush());
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 20; round++) {
        while (load(&set.page()->sleeping) == 0)
            usleep(100);
        const uint64_t events = thread.events, before = clock_ns();
        write_events(set, 400);
        CHECK(thread.until([&] { return thread.events > events; }));
        best = std::min(best, clock_ns() - before);
    }
    CHECK(best < 500000000);
}

void a_flush_is_prompt_while_the_reader_sleeps() {
    TestSet set(4096, 8);
    Running thread(set, 600000000000);
    std::vector<uint64_t> took;
    for (int round = 0; round < 200; round++) {
        write_events(set, 3);
        if (round % 2)
            usleep(static_cast<useconds_t>(37 * round));
        const uint64_t before = clock_ns();
        CHECK(!thread.flush());
        took.push_back(clock_ns() - before);
    }
    std::sort(took.begin(), took.end());
    std::printf("# flush: median %llu us, worst %llu us\n", static_cast<unsigned long long>(took[took.size() / 2] / 1000),
                static_cast<unsigned long long>(took.back() / 1000));
    CHECK(took[took.size() / 2] < 50000000);
    CHECK_EQUAL(thread.events, 600u);
}

void the_switch_timer_writes_partial_sub_buffers() {
    TestSet set;
    Running thread(set, 200000000, 5000000);
    write_events(set, 3);
    CHECK(thread.until([&] { return thread.events == 3; }));
}

/* One record, far from filling its sub-buffer, and a timer that would let it lie for ten minutes. */
void a_live_reader_takes_a_single_record_at_once() {
    TestSet set;
    Running thread(set, 600000000000, 0, true);
    CHECK(!thread.flush());
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 50; round++) {
        while (load(&set.page()->attentive) == 0)
            usleep(100);
        const uint64_t events = thread.events, before = clock_ns();
        write_events(set, 1);
        CHECK(thread.until([&] { return thread.events > events; }));
        best = std::min(best, clock_ns() - before);
    }
    std::printf("# a live record: %llu us at best\n", static_cast<unsigned long long>(best / 1000));
    CHECK(best >= 2000000);
    CHECK(best < 20000000);
    CHECK_EQUAL(thread.events, 50u);
}

/* What comes in a gathering is one packet, and what comes on and on is taken all the same. */
void a_live_reader_gathers() {
    TestSet set;
    Running thread(set, 600000000000, 0, true);
    CHECK(!thread.flush());
    const uint64_t packets = thread.packets, begin = clock_ns();
    uint64_t written = 0;
    for (; written < 400 || (thread.packets - packets <= 4 && written < 100000); written++) {
        write_events(set, 1);
        usleep(200);
        thread.listen();
    }
    const uint64_t windows = (clock_ns() - begin) / 2000000;
    CHECK(thread.packets - packets > 4);
    CHECK(thread.until([&] { return thread.events == written; }));
    CHECK(thread.packets - packets <= windows + 2);
}

void an_owner_that_does_not_listen_costs_nothing() {
    TestSet set(4096, 8);
    Running thread(set, 1000000);
    uint64_t consumed = 0;
    for (int round = 0; round < 100; round++) { /* nobody drains the news meanwhile */
        write_events(set, 1000);
        while (load(&set.page()->consumed) + 4096 <= set.writer().position())
            usleep(50);
        CHECK(load(&set.page()->consumed) > consumed);
        consumed = load(&set.page()->consumed);
    }
    const ReaderNews news = thread->news();
    CHECK_EQUAL(news.rings.size(), size_t{1});
    CHECK_EQUAL(news.rings[0].first, 0u);
    CHECK(news.rings[0].packets > 100);
}

void hold_keeps_the_bytes_and_append_takes_them_later() {
    TestSet set(4096, 8);
    Running thread(set);
    CHECK(!thread.flush());
    thread->set_plan(Plan::kHold);
    CHECK_EQUAL(thread.flush().error, EBUSY);
    write_events(set, 1000);
    usleep(20000);
    CHECK_EQUAL(load(&set.page()->consumed), 0u);
    thread->set_plan(Plan::kAppend);
    CHECK(!thread.flush());
    CHECK_EQUAL(thread.events, 1000u);
}

/* RLIMIT_FSIZE makes any write beyond it fail, as a full disk would. */
void a_failing_file_consumes_nothing_and_resumes() {
    TestSet set(4096, 16);
    Running thread(set, 2000000);
    CHECK(!thread.flush());
    rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = {1000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    write_events(set, 2000);
    const Failure failure = thread.flush();
    CHECK_EQUAL(failure.error, EFBIG);
    CHECK(thread.until([&] { return thread.failed == 1; }));
    CHECK_EQUAL(load(&set.page()->consumed), 0u);
    struct stat status;
    CHECK_EQUAL(stat(set.file().c_str(), &status), 0);
    CHECK_EQUAL(status.st_size, 84); /* the empty first packet; no half one behind it */
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(thread.until([&] { return thread.resumed == 1; }));
    CHECK(!thread.flush());
    CHECK_EQUAL(thread.events, 2000u);
    CHECK_EQUAL(babeltrace(set.directory()).events, 2000u);
}

void a_corrupt_ring_is_closed_and_the_others_go_on() {
    TestSet set(4096, 4, WEFT_MODE_DISCARD, 2);
    Running thread(set);
    CHECK(!thread.flush());
    store_release(&set.writer(0).ring()->position, ~0ull);
    for (uint64_t i = 0; i < 10; i++)
        set.writer(1).emit(kStart + 100 * i + 100);
    CHECK(!thread.flush());
    CHECK(thread.corrupt == Cause::kReservedBit);
    CHECK_EQUAL(thread.events, 10u);
    CHECK_EQUAL(babeltrace(set.directory()).events, 10u);
}

void a_ring_that_becomes_ready_is_read() {
    TestSet set(4096, 4, WEFT_MODE_DISCARD, 2);
    store(&set.writer(1).ring()->ready, 0);
    Running thread(set);
    CHECK(!thread.flush());
    CHECK_EQUAL(access(set.file(1).c_str(), F_OK), -1);
    store(&set.writer(1).ring()->ready, 1);
    for (uint64_t i = 0; i < 10; i++)
        set.writer(1).emit(kStart + 100 * i + 100);
    CHECK(!thread.flush());
    CHECK_EQUAL(thread.events, 10u);
}

/* How often the reader thread went to sleep so far. */
uint64_t sleeps() {
    for (const auto &task : std::filesystem::directory_iterator("/proc/self/task")) {
        if (read_file(task.path().string() + "/comm") != "weft-reader\n")
            continue;
        const std::string status = read_file(task.path().string() + "/status"), key = "\nvoluntary_ctxt_switches:";
        return std::strtoull(status.c_str() + status.find(key) + key.size(), nullptr, 10);
    }
    return 0;
}

void makes_hardly_a_wake_up(bool live) {
    TestSet set;
    const uint64_t timer = 200000000;
    Running thread(set, timer, 0, live);
    CHECK(!thread.flush());
    while (sleeps() == 0)
        usleep(100);
    usleep(50000);
    const uint64_t before = sleeps(), begin = clock_ns();
    usleep(500000);
    const uint64_t more = sleeps() - before; /* before the clock is read: who is held up in between allows more, not less */
    CHECK(more < 4 + (clock_ns() - begin) / timer);
}

void an_idle_reader_makes_hardly_a_wake_up() {
    makes_hardly_a_wake_up(false);
    makes_hardly_a_wake_up(true);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"every event of a busy writer is read or counted", every_event_of_a_busy_writer_is_read_or_counted},
            {"the doorbell wakes a sleeping reader at once", the_doorbell_wakes_a_sleeping_reader_at_once},
            {"a flush is prompt while the reader sleeps", a_flush_is_prompt_while_the_reader_sleeps},
            {"the switch timer writes partial sub-buffers", the_switch_timer_writes_partial_sub_buffers},
            {"a live reader takes a single record at once", a_live_reader_takes_a_single_record_at_once},
            {"a live reader gathers what comes in 2 ms", a_live_reader_gathers},
            {"an owner that does not listen costs nothing", an_owner_that_does_not_listen_costs_nothing},
            {"hold keeps the bytes and append takes them later", hold_keeps_the_bytes_and_append_takes_them_later},
            {"a failing file consumes nothing and resumes", a_failing_file_consumes_nothing_and_resumes},
            {"a corrupt ring is closed and the others go on", a_corrupt_ring_is_closed_and_the_others_go_on},
            {"a ring that becomes ready is read", a_ring_that_becomes_ready_is_read},
            {"an idle reader makes hardly a wake-up", an_idle_reader_makes_hardly_a_wake_up},
        },
        argc, argv);
}
