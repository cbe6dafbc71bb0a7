/*
 * No event is lost in silence, whatever comes together: threads, processes, signal handlers that record while their thread
 * records, readers that come late, are replaced or killed. In configurations drawn from a printed seed the books must balance
 * exactly: what is in the files plus what is reported lost is what was emitted; in order per CPU, nothing twice, no byte wrong.
 *
 * argv[1] or WEFT_SEED repeats a run's first configuration; WEFT_SOAK=1 runs longer.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <thread>

#include "ring/format.h"
#include "ring/reader_thread.h"
#include "ring/test_cases.h"
#include "ring/test_set.h"
#include "test/trace_file.h"
#include "ust/commit.h"

using namespace weft;
using namespace weft_test;

namespace {

constexpr uint32_t kProcesses = 3, kThreads = 8, kHandlers = kProcesses * kThreads, kSources = 2 * kHandlers;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSeconds = 15;
#else
constexpr int kSeconds = 40;
#endif

enum class Begin { kBefore, kDuring, kAfter };

struct Shape {
    uint32_t seed;
    weft_geometry geometry;
    uint32_t processes, threads;
    uint64_t events;  /* of each thread */
    uint32_t length;  /* most bytes behind the fixed ones */
    bool huge;        /* some events fit in no sub-buffer */
    uint32_t signals_us; /* 0: none */
    bool page_clock;
    Begin begin;      /* of the first reader */
    uint32_t changes; /* of reader, at most */
    uint64_t read_timer_ns, switch_timer_ns;
};

Shape draw(uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&random](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
    Shape s{};
    s.seed = seed;
    s.geometry.cpu_count = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_CONF));
    s.geometry.subbuf_size = 4096u << below(7);
    s.geometry.subbuf_count = 2u << below(4);
    s.geometry.mode = static_cast<uint8_t>(below(2) ? WEFT_MODE_DISCARD : WEFT_MODE_OVERWRITE);
    s.geometry.sync = static_cast<uint8_t>(below(3) == 0 || !weft_rseq_available() ? WEFT_SYNC_LOCK : WEFT_SYNC_RSEQ);
    s.processes = 1 + below(kProcesses);
    s.threads = 1 + below(kThreads);
    s.events = 1 + below(60000) / (s.processes * s.threads);
    const uint32_t lengths[] = {1, 60, 400, 3000};
    s.length = lengths[below(4)];
    s.huge = below(4) == 0;
    s.signals_us = below(2) ? 0 : 50u << below(5);
    s.page_clock = below(2);
    s.begin = static_cast<Begin>(below(3));
    s.changes = below(4);
    s.read_timer_ns = 100000ull << below(10);
    s.switch_timer_ns = below(2) ? 0 : 200000ull << below(6);
    return s;
}

std::string name(const Shape &s) {
    static const char *const begins[] = {"before", "during", "after"};
    return "seed " + std::to_string(s.seed) + ": " + std::to_string(s.geometry.subbuf_count) + " x " +
           std::to_string(s.geometry.subbuf_size) + (s.geometry.mode == WEFT_MODE_DISCARD ? " discard" : " overwrite") +
           (s.geometry.sync == WEFT_SYNC_LOCK ? " lock" : " rseq") + ", " + std::to_string(s.processes) + " x " +
           std::to_string(s.threads) + " threads x " + std::to_string(s.events) + (s.huge ? ", some huge" : "") +
           (s.signals_us != 0 ? ", signals each " + std::to_string(s.signals_us) + " us" : "") + ", reader " +
           begins[static_cast<int>(s.begin)];
}

/* ---- writers ---- */

/* How many events each source has emitted: threads first, then their signal handlers. Shared with the processes. */
uint64_t *emitted;

struct Source {
    emitter *out;
    uint32_t source;
    uint32_t length;
};
thread_local Source handler_source;

void on_alarm(int) {
    const Source &s = handler_source;
    uint64_t &number = emitted[s.source];
    emitter_emit(s.out, s.source, number, static_cast<uint32_t>(number * 37 % s.length));
    number++;
}

timer_t start_alarms(uint32_t microseconds) {
    timer_t timer;
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGALRM;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    const itimerspec each{{0, microseconds * 1000}, {0, microseconds * 1000}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &each, nullptr) != 0)
        _exit(3);
    return timer;
}

void stop_alarms(timer_t timer) {
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
    timer_delete(timer);
}

void write_thread(emitter *out, const Shape &shape, uint32_t source) {
    std::mt19937 random(shape.seed + source * 7919);
    handler_source = {out, kHandlers + source, shape.length};
    const timer_t timer = shape.signals_us != 0 ? start_alarms(shape.signals_us) : timer_t{};
    for (uint64_t n = 0; n < shape.events; n++) {
        const bool huge = shape.huge && random() % 512 == 0;
        const uint32_t length = huge ? shape.geometry.subbuf_size : static_cast<uint32_t>(random() % shape.length);
        emitter_emit(out, source, n, length);
        emitted[source] = n + 1;
        if (random() % 2048 == 0)
            std::this_thread::yield();
    }
    if (shape.signals_us != 0)
        stop_alarms(timer);
}

void write_process(const Shape &shape, uint32_t process, const int fds[2], const weft_clock_page *clock) {
    emitter *out = emitter_open(&shape.geometry, fds[0], fds[1], clock, process + 1);
    if (out == nullptr)
        _exit(2);
    struct sigaction action{};
    action.sa_handler = on_alarm;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < shape.threads; i++)
        threads.emplace_back([=, &shape] { write_thread(out, shape, process * kThreads + i); });
    for (std::thread &thread : threads)
        thread.join();
}

/* ---- readers, each in a process of its own ---- */

struct ReaderProcess {
    pid_t pid = -1;
    int orders = -1; /* 'f': flush, then end; 'd': end at once */
};

bool flush(ReaderThread &reader) {
    const uint64_t ticket = reader.flush();
    for (;;) {
        usleep(100);
        const ReaderNews news = reader.news();
        for (const RingNews &ring : news.rings)
            if (ring.corrupt != Cause::kNone)
                return false;
        if (!news.flushes.empty() && news.flushes.back().ticket >= ticket)
            return !news.flushes.back().failure;
    }
}

[[noreturn]] void read_process(const Shape &shape, const int fds[2], const std::string &directory, int orders) {
    ReaderOptions options;
    options.ring_fd = dup(fds[0]);
    options.reader_fd = dup(fds[1]);
    options.geometry = shape.geometry;
    options.directory = directory;
    options.file_prefix = "ch";
    options.read_timer_ns = shape.read_timer_ns;
    options.switch_timer_ns = shape.switch_timer_ns;
    std::unique_ptr<ReaderThread> reader;
    if (ReaderThread::start(options, [] {}, &reader))
        _exit(2);
    char order = 'd';
    while (read(orders, &order, 1) < 0) {
    }
    const bool good = order == 'd' || flush(*reader);
    reader.reset();
    _exit(good ? 0 : 3);
}

ReaderProcess start_reader(const Shape &shape, const int fds[2], const std::string &directory) {
    int orders[2];
    CHECK_EQUAL(pipe(orders), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        close(orders[1]);
        read_process(shape, fds, directory, orders[0]);
    }
    close(orders[0]);
    return {pid, orders[1]};
}

void end_reader(ReaderProcess *reader, char order) {
    int status = 0;
    CHECK_EQUAL(write(reader->orders, &order, 1), 1);
    CHECK_EQUAL(waitpid(reader->pid, &status, 0), reader->pid);
    CHECK_EQUAL(status, 0);
    close(reader->orders);
    reader->pid = -1;
}

void kill_reader(ReaderProcess *reader) {
    kill(reader->pid, SIGKILL);
    waitpid(reader->pid, nullptr, 0);
    close(reader->orders);
    reader->pid = -1;
}

/* ---- the run ---- */

struct Run {
    Shape shape;
    int fds[2] = {-1, -1};
    std::string directory;
    std::vector<pid_t> writers;
    ReaderProcess reader;
};

void start_writers(Run *run, const int gate[2]) {
    const weft_clock_page *clock = run->shape.page_clock ? emitter_clock() : nullptr;
    for (uint32_t i = 0; i < run->shape.processes; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            char nothing;
            while (read(gate[0], &nothing, 1) < 0) {
            }
            write_process(run->shape, i, run->fds, clock);
            _exit(0);
        }
        run->writers.push_back(pid);
    }
    if (clock != nullptr)
        munmap(const_cast<weft_clock_page *>(clock), sizeof(*clock));
}

/* While the writers write: the reader comes, is replaced, is killed. */
void change_reader(Run *run, std::mt19937 &random, uint32_t *changes) {
    if (run->shape.begin == Begin::kAfter || *changes == 0)
        return;
    --*changes;
    if (run->reader.pid >= 0 && random() % 2 == 0)
        kill_reader(&run->reader);
    else if (run->reader.pid >= 0)
        end_reader(&run->reader, random() % 2 ? 'd' : 'f');
    run->reader = start_reader(run->shape, run->fds, run->directory);
}

void accompany_writers(Run *run) {
    std::mt19937 random(run->shape.seed);
    uint32_t changes = run->shape.changes + (run->shape.begin == Begin::kDuring);
    for (size_t ended = 0; ended < run->writers.size();) {
        usleep(static_cast<useconds_t>(random() % 2000));
        change_reader(run, random, &changes);
        int status = 0;
        const bool last = changes == 0;
        if (waitpid(run->writers[ended], &status, last ? 0 : WNOHANG) != 0) {
            CHECK_EQUAL(status, 0);
            ended++;
        }
    }
}

void check_books(const Run &run) {
    uint64_t recorded = 0, reported = 0;
    std::vector<std::vector<bool>> seen(kSources);
    for (uint32_t cpu = 0; cpu < run.shape.geometry.cpu_count; cpu++) {
        std::map<uint32_t, uint64_t> next; /* by source, in this CPU's order */
        TraceFile file(run.directory + "/ch_" + std::to_string(cpu), cpu, [&](uint32_t source, uint64_t number) {
            CHECK(source < kSources && number < emitted[source]);
            CHECK(number >= next[source]);
            next[source] = number + 1;
            std::vector<bool> &numbers = seen[source % kSources];
            numbers.resize(std::max<size_t>(numbers.size(), number + 1));
            CHECK(!numbers[number]);
            numbers[number] = true;
        });
        const FileTotals totals = file.read();
        CHECK_EQUAL(totals.wrong, "");
        recorded += totals.events;
        reported += totals.discarded;
    }
    const uint64_t all = std::accumulate(emitted, emitted + kSources, uint64_t{0});
    CHECK_EQUAL(recorded + reported, all);
    std::printf("# %s: %llu recorded, %llu lost%s\n", name(run.shape).c_str(), static_cast<unsigned long long>(recorded),
                static_cast<unsigned long long>(reported), failed_here ? ": FAILED" : "");
}

void open_run(Run *run) {
    const uint8_t ring_id[16] = {};
    std::vector<uint32_t> cpus(run->shape.geometry.cpu_count);
    std::iota(cpus.begin(), cpus.end(), 0);
    uint64_t allocated = 0;
    if (weft_ring_set_create(&run->shape.geometry, ring_id, cpus.data(), run->shape.geometry.cpu_count, &run->fds[0], &run->fds[1],
                             &allocated) != 0)
        give_up("memory for a ring set");
    char pattern[] = "/tmp/weft-accounting-XXXXXX";
    run->directory = mkdtemp(pattern);
    std::fill(emitted, emitted + kSources, 0);
}

void balance(uint32_t seed) {
    Run run;
    run.shape = draw(seed);
    open_run(&run);
    int gate[2];
    CHECK_EQUAL(pipe(gate), 0);
    start_writers(&run, gate);
    if (run.shape.begin == Begin::kBefore)
        run.reader = start_reader(run.shape, run.fds, run.directory);
    const std::string start(run.writers.size(), 's');
    CHECK_EQUAL(write(gate[1], start.data(), start.size()), static_cast<ssize_t>(start.size()));
    close(gate[0]), close(gate[1]);
    accompany_writers(&run);
    if (run.reader.pid < 0)
        run.reader = start_reader(run.shape, run.fds, run.directory);
    end_reader(&run.reader, 'f');
    check_books(run);
    close(run.fds[0]), close(run.fds[1]);
    remove_tree(run.directory);
}

void the_books_balance() {
    const char *given = std::getenv("WEFT_SEED");
    const uint32_t seed = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device()() % 1000000;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::getenv("WEFT_SOAK") != nullptr ? 90 : 15);
    uint32_t round = 0;
    while (!failed_here && std::chrono::steady_clock::now() < end)
        balance(seed + round++);
    std::printf("# %u configurations from seed %u\n", round, seed);
}

}  // namespace

int main(int argc, char **argv) {
    void *shared = mmap(nullptr, kSources * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    emitted = static_cast<uint64_t *>(shared);
    if (argc > 1) {
        const uint32_t seed = static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10));
        return run_cases({{"recorded and lost make up what was emitted: one configuration", [seed] { balance(seed); }}}, 1, argv);
    }
    return run_cases({{"recorded and lost make up what was emitted, in any configuration", the_books_balance}}, 1, argv);
}
