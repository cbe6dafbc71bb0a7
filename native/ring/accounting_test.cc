/*
 * libweft's writers and the reader together, in configurations drawn from a printed seed: threads, processes, sizes, modes, records
 * from empty to larger than a sub-buffer, timers, flushes, changes of plan and memory that is given back in between. The books must balance exactly: what is in
 * the files plus what is reported lost is what was emitted, in order per CPU, nothing twice, and babeltrace2 says the same.
 *
 *   WEFT_SEED=n repeats a run; WEFT_ROUNDS=n makes it longer.
 */
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "ring/libweft_writer.h"
#include "ring/reader_thread.h"
#include "ring/test_cases.h"
#include "ring/test_set.h"
#include "ust/commit.h"

using namespace weft;
using namespace weft_test;

namespace {

struct Shape {
    weft_geometry geometry;
    unsigned processes, threads;
    uint64_t events; /* of each thread */
    uint32_t extra;  /* most bytes behind the two integers */
    bool huge;       /* some records are larger than a sub-buffer */
    uint64_t read_timer_ns, switch_timer_ns;
    bool restless; /* flushes and changes of plan while events come */
    bool eager;    /* memory of what is consumed goes at once */
    uint64_t reclaim_age_ns;
    uint32_t seed;
};

Shape draw(uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&random](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
    Shape shape{};
    shape.seed = seed;
    const bool locked = below(3) == 0 || !weft_rseq_available();
    shape.geometry = {static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_CONF)),
                      4096u << below(5),
                      2u << below(4),
                      static_cast<uint8_t>(below(2) ? WEFT_MODE_DISCARD : WEFT_MODE_OVERWRITE),
                      static_cast<uint8_t>(locked ? WEFT_SYNC_LOCK : WEFT_SYNC_RSEQ),
                      WEFT_ALLOCATION_PER_CPU, 0};
    shape.processes = 1 + below(2);
    shape.threads = 1 + below(3);
    shape.events = 1 + below(20000);
    shape.extra = below(2) ? 1 + below(60) : 1 + below(2000);
    shape.huge = below(4) == 0;
    shape.read_timer_ns = 100000ull << below(10);
    shape.switch_timer_ns = below(2) ? 0 : 200000ull << below(6);
    shape.restless = below(2);
    shape.eager = below(3) == 0;
    shape.reclaim_age_ns = below(2) ? 0 : 1000ull << below(20);
    return shape;
}

std::string name(const Shape &s) {
    return "seed " + std::to_string(s.seed) + ": " + std::to_string(s.geometry.subbuf_count) + " x " +
           std::to_string(s.geometry.subbuf_size) + (s.geometry.mode == WEFT_MODE_DISCARD ? " discard" : " overwrite") +
           (s.geometry.sync == WEFT_SYNC_LOCK ? " lock" : " rseq") + ", " + std::to_string(s.processes) + " processes of " +
           std::to_string(s.threads) + " threads, " + std::to_string(s.events) + " events each" + (s.eager ? ", memory given back" : "");
}

void write_thread(libweft_writer *writer, const Shape &shape, int32_t thread) {
    std::mt19937 random(shape.seed + static_cast<uint32_t>(thread) * 7919);
    for (uint64_t n = 0; n < shape.events; n++) {
        const bool huge = shape.huge && random() % 512 == 0;
        const uint32_t length = huge ? shape.geometry.subbuf_size + static_cast<uint32_t>(random() % 4096) : static_cast<uint32_t>(random() % shape.extra);
        libweft_writer_record_long(writer, thread, n, length);
        if (random() % 2048 == 0)
            std::this_thread::yield();
    }
}

/* A process with its threads; they begin when `gate` is closed. */
pid_t start_writers(const TestSet &set, const Shape &shape, unsigned process, const int gate[2]) {
    const pid_t child = fork();
    if (child != 0)
        return child;
    close(gate[1]);
    char nothing;
    while (read(gate[0], &nothing, 1) < 0) {
    }
    libweft_writer *writer = libweft_writer_open(&shape.geometry, set.ring_fd(), set.reader_fd(), nullptr, process + 1);
    if (writer == nullptr)
        _exit(1);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < shape.threads; i++)
        threads.emplace_back([=, &shape] { write_thread(writer, shape, static_cast<int32_t>(process * shape.threads + i)); });
    for (std::thread &thread : threads)
        thread.join();
    _exit(0);
}

std::unique_ptr<ReaderThread> start_reader(const TestSet &set, const Shape &shape) {
    ReaderOptions options = set.reader_options();
    options.read_timer_ns = shape.read_timer_ns;
    options.switch_timer_ns = shape.switch_timer_ns;
    options.reclaim_consumed = shape.eager;
    options.reclaim_age_ns = shape.reclaim_age_ns;
    std::unique_ptr<ReaderThread> reader;
    CHECK_EQUAL(ReaderThread::start(options, [] {}, &reader).message, "");
    return reader;
}

void flush(ReaderThread &reader) {
    const uint64_t ticket = reader.flush();
    for (uint64_t done = 0; done < ticket;) {
        usleep(50);
        const ReaderNews news = reader.news();
        for (const RingNews &ring : news.rings)
            CHECK_EQUAL(cause_name(ring.corrupt), std::string("none"));
        if (!news.flushes.empty())
            done = news.flushes.back().ticket;
    }
}

void disturb(ReaderThread &reader, std::mt19937 &random) {
    switch (random() % 6) {
    case 0: reader.set_plan(Plan::kHold); break;
    case 1:
    case 2: reader.reclaim({random() % 2 ? 0 : 1ull << random() % 24, random() % 2 == 0}); break;
    case 3: reader.set_plan(random() % 4 == 0 ? Plan::kCount : Plan::kAppend); break;
    default:
        reader.set_plan(Plan::kAppend);
        flush(reader);
    }
    usleep(static_cast<useconds_t>(random() % 500));
}

/* {i32 thread, u64 number, u32 length, bytes}; thread and number in one word. */
void read_long(const std::string &data, size_t *at, ReadPacket *packet) {
    const uint32_t thread = take_little<uint32_t>(data, at);
    const uint64_t number = take_little<uint64_t>(data, at);
    *at += take_little<uint32_t>(data, at);
    packet->numbers.push_back(thread << 24 | static_cast<uint32_t>(number));
}

void check_books(const TestSet &set, const Shape &shape) {
    uint64_t recorded = 0, reported = 0;
    std::map<uint32_t, uint64_t> seen; /* thread and number: on how many CPUs' files */
    for (uint32_t cpu = 0; cpu < shape.geometry.cpu_count; cpu++) {
        std::map<uint32_t, int64_t> last; /* by thread, in this CPU's order */
        const std::vector<ReadPacket> packets = read_packets(set, cpu, read_long);
        uint64_t end = 0;
        for (const ReadPacket &packet : packets) {
            CHECK(packet.begin >= end);
            end = packet.end;
            for (const uint32_t event : packet.numbers) {
                const int64_t number = event & 0xffffff;
                auto before = last.emplace(event >> 24, -1).first;
                CHECK(number > before->second);
                before->second = number;
                CHECK_EQUAL(++seen[event], 1u);
                recorded++;
            }
        }
        reported += packets.empty() ? 0 : packets.back().discarded;
    }
    CHECK_EQUAL(recorded + reported, shape.processes * shape.threads * shape.events);
    const Viewed viewed = babeltrace(set.directory());
    CHECK_EQUAL(viewed.status, 0);
    CHECK_EQUAL(viewed.strange, "");
    CHECK_EQUAL(viewed.events, recorded);
    CHECK_EQUAL(viewed.discarded, reported);
    std::printf("# %s: %llu recorded, %llu lost\n", name(shape).c_str(), static_cast<unsigned long long>(recorded),
                static_cast<unsigned long long>(reported));
}

void balance(uint32_t seed) {
    const Shape shape = draw(seed);
    TestSet set(shape.geometry, 0);
    write_metadata(set.directory(), "int32_t thread; uint64_t number; uint32_t __pad_length; uint8_t pad[__pad_length];");
    int gate[2];
    CHECK_EQUAL(pipe(gate), 0);
    std::vector<pid_t> writers;
    for (unsigned i = 0; i < shape.processes; i++)
        writers.push_back(start_writers(set, shape, i, gate));
    const std::unique_ptr<ReaderThread> reader = start_reader(set, shape);
    close(gate[0]), close(gate[1]);
    std::mt19937 random(seed);
    for (size_t ended = 0; ended < writers.size();) {
        int status = 0;
        if (waitpid(writers[ended], &status, shape.restless ? WNOHANG : 0) == 0) {
            disturb(*reader, random);
            continue;
        }
        CHECK_EQUAL(status, 0);
        ended++;
    }
    reader->set_plan(Plan::kAppend);
    flush(*reader);
    check_books(set, shape);
    if (failed_here)
        std::printf("# failed: WEFT_SEED=%u\n", seed);
}

uint32_t from_environment(const char *name, uint32_t otherwise) {
    const char *value = std::getenv(name);
    return value != nullptr ? static_cast<uint32_t>(std::strtoul(value, nullptr, 10)) : otherwise;
}

void the_books_balance_in_any_configuration() {
    const uint32_t seed = from_environment("WEFT_SEED", std::random_device()() % 1000000);
    const uint32_t rounds = from_environment("WEFT_ROUNDS", std::getenv("WEFT_SEED") != nullptr ? 1 : 25);
    for (uint32_t round = 0; round < rounds && !failed_here; round++)
        balance(seed + round);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases({{"the books balance in any configuration", the_books_balance_in_any_configuration}}, argc, argv);
}
