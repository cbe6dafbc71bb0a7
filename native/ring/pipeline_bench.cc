/*
 * Writers and reader together, without any daemon: what recording to disk costs.
 * usage: pipeline_bench [EVENTS [THREADS [DIRECTORY [SUBBUF_SIZE [SUBBUF_COUNT]]]]]
 * Each thread records EVENTS events of two integers as fast as it can. Prints one JSON line; status 1 when the books do not balance.
 */
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "ring/clock_page.h"
#include "ring/libweft_writer.h"
#include "ring/reader_thread.h"
#include "ring/ring_set.h"
#include "ust/clock.h"

using namespace weft;

namespace {

const uint8_t kId[16] = {1};

void give_up(const std::string &why) {
    std::fprintf(stderr, "pipeline_bench: %s\n", why.c_str());
    std::exit(1);
}

uint64_t argument(int argc, char **argv, int i, uint64_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
}

double cpu_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

ReaderOptions make_rings(uint32_t size, uint32_t count, const std::string &directory) {
    ReaderOptions options;
    options.geometry = {static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_CONF)), size, count, WEFT_MODE_DISCARD, WEFT_SYNC_RSEQ, WEFT_ALLOCATION_PER_CPU, 0};
    std::vector<uint32_t> cpus;
    for (uint32_t cpu = 0; cpu < options.geometry.cpu_count; cpu++)
        cpus.push_back(cpu);
    RingSetFds fds;
    if (Failure bad = create_ring_set(options.geometry, kId, cpus, &fds))
        give_up(bad.message);
    options.ring_fd = fds.ring;
    options.reader_fd = fds.reader;
    std::copy(std::begin(kId), std::end(kId), options.ring_id);
    options.directory = directory;
    options.file_prefix = "ch";
    options.read_timer_ns = 200000000;
    return options;
}

/* Returns the nanoseconds that the threads spent recording, summed. */
uint64_t record(libweft_writer *writer, uint64_t events, uint64_t count) {
    std::atomic<uint64_t> spent{0};
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < count; i++)
        threads.emplace_back([=, &spent] {
            const uint64_t from = weft_clock_system();
            for (uint64_t n = 0; n < events; n++)
                libweft_writer_record(writer, static_cast<int32_t>(i), n);
            spent += weft_clock_system() - from;
        });
    for (std::thread &thread : threads)
        thread.join();
    return spent;
}

void flush(ReaderThread &reader) {
    const uint64_t ticket = reader.flush();
    for (uint64_t done = 0; done < ticket;) {
        usleep(100);
        for (const Done &each : reader.news().flushes)
            done = each.ticket;
    }
}

struct Sums {
    uint64_t events = 0, bytes = 0, lost = 0;
};

Sums sum(const ReaderThread &reader, uint32_t cpus) {
    Sums sums;
    for (const uint64_t *stats = reader.stats().get(); cpus > 0; cpus--, stats += kStats) {
        sums.events += stats[kStatEvents];
        sums.bytes += stats[kStatBytes];
        for (uint32_t cause = 0; cause <= WEFT_LOST_FROZEN; cause++)
            sums.lost += stats[kStatLost + cause];
    }
    return sums;
}

}  // namespace

int main(int argc, char **argv) {
    const uint64_t events = argument(argc, argv, 1, 10000000), threads = argument(argc, argv, 2, 1);
    std::string directory = std::string(argc > 3 ? argv[3] : "/tmp") + "/weft-bench-XXXXXX";
    if (mkdtemp(&directory[0]) == nullptr)
        give_up(directory);
    const ReaderOptions options = make_rings(static_cast<uint32_t>(argument(argc, argv, 4, 1 << 20)),
                                             static_cast<uint32_t>(argument(argc, argv, 5, 8)), directory);
    std::unique_ptr<ClockPage> clock;
    std::unique_ptr<ReaderThread> reader;
    if (Failure bad = ClockPage::open(directory + "/clock", &clock))
        give_up(bad.message);
    libweft_writer *writer = libweft_writer_open(&options.geometry, options.ring_fd, options.reader_fd, clock->page(), 1);
    if (writer == nullptr)
        give_up("libweft refuses the rings");
    if (Failure bad = ReaderThread::start(options, [] {}, &reader))
        give_up(bad.message);
    const uint64_t begin = weft_clock_system();
    const double cpu = cpu_seconds(), emitted = static_cast<double>(events * threads);
    const uint64_t spent = record(writer, events, threads);
    const uint64_t wrote = weft_clock_system();
    flush(*reader);
    const uint64_t end = weft_clock_system();
    const Sums sums = sum(*reader, options.geometry.cpu_count);
    std::printf("{\"ns_per_event\":%.2f,\"recorded\":%llu,\"lost\":%llu,\"recorded_per_s\":%.0f,\"bytes_per_event\":%.2f,"
                "\"flush_ms\":%.2f,\"cpu_s\":%.3f}\n",
                static_cast<double>(spent) / emitted, static_cast<unsigned long long>(sums.events),
                static_cast<unsigned long long>(sums.lost), static_cast<double>(sums.events) * 1e9 / static_cast<double>(end - begin),
                static_cast<double>(sums.bytes) / static_cast<double>(sums.events), static_cast<double>(end - wrote) / 1e6,
                cpu_seconds() - cpu);
    reader.reset();
    std::filesystem::remove_all(directory);
    return sums.events + sums.lost == events * threads ? 0 : 1;
}
