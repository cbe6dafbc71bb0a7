/*
 * Rotations while libweft's threads record at full rate: numbered events cross each cut without a gap or double, and no event is in a
 * chunk that ended before it. With readers that are killed in the middle, the same.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "ring/libweft_writer.h"
#include "ring/reader_thread.h"
#include "ring/test_cases.h"
#include "ring/test_set.h"
#include "ust/commit.h"

using namespace weft;
using namespace weft_test;

namespace {

constexpr unsigned kChunks = 11;
constexpr int32_t kThreads = 2;
constexpr uint64_t kAhead = 5000000; /* ns */
const uint32_t kLayout[] = {2, RecordLayout::kContexts, 0, 0, 1, 12 << 2}; /* {i32 thread, u64 number} */

class Recording {
public:
    Recording(weft_mode mode, weft_sync sync)
        : set_(weft_geometry{static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_CONF)), 16384, 16, static_cast<uint8_t>(mode),
                             static_cast<uint8_t>(sync), WEFT_ALLOCATION_PER_CPU, 0}, 0) {
        for (unsigned i = 0; i < kChunks; i++) {
            std::filesystem::create_directories(directory(i) + "/index");
            write_metadata(directory(i), "int32_t thread; uint64_t number;");
        }
        static auto &kept = *new std::vector<libweft_writer *>; /* nobody frees them */
        libweft_writer *writer = libweft_writer_open(&set_.geometry(), set_.ring_fd(), set_.reader_fd(), nullptr, 1);
        CHECK(writer != nullptr);
        kept.push_back(writer);
        for (int32_t i = 0; i < kThreads; i++)
            threads_.emplace_back([this, writer, i] {
                for (; !stop_.load(); emitted_[i]++)
                    libweft_writer_record(writer, i, emitted_[i]);
            });
    }
    ~Recording() { stop(); }
    void stop() {
        stop_.store(true);
        for (std::thread &thread : threads_)
            thread.join();
        threads_.clear();
    }

    std::string directory(unsigned chunk) const { return set_.directory() + "/chunk" + std::to_string(chunk); }

    /* `previous`: a rotation from it is under way. */
    std::unique_ptr<ReaderThread> read(unsigned chunk, int previous = -1) const {
        ReaderOptions options = set_.reader_options();
        options.directory = directory(chunk);
        options.chunk = chunk;
        if (previous >= 0) {
            options.previous_chunk = static_cast<uint64_t>(previous);
            options.previous_directory = directory(static_cast<unsigned>(previous));
        }
        options.read_timer_ns = 200000000;
        std::unique_ptr<ReaderThread> reader;
        CHECK_EQUAL(ReaderThread::start(options, [] {}, &reader).message, "");
        return reader;
    }

    /* `posted`: is called when the thread knows. */
    bool rotate(ReaderThread &reader, unsigned chunk, uint64_t at, const std::function<void()> &posted) const {
        Rotation rotation{chunk, directory(chunk), at, {}};
        CHECK(rotation.layout.parse(reinterpret_cast<const uint8_t *>(kLayout), sizeof kLayout));
        const uint64_t ticket = reader.rotate(std::move(rotation));
        posted();
        return await(reader, ticket, [](const ReaderNews &news) -> const std::vector<Done> & { return news.jobs; });
    }
    bool flush(ReaderThread &reader) const {
        const uint64_t ticket = reader.flush();
        return await(reader, ticket, [](const ReaderNews &news) -> const std::vector<Done> & { return news.flushes; });
    }

    /* Where each chunk ended, and whether its reader knew in time. */
    struct Moment {
        uint64_t at;
        bool in_time;
    };
    void check(const std::vector<Moment> &moments) {
        std::set<std::pair<uint32_t, uint32_t>> seen;
        uint64_t lost = 0, late = 0, events = 0;
        for (uint32_t cpu = 0; cpu < set_.geometry().cpu_count; cpu++) {
            uint64_t clock = 0, discarded = 0;
            for (unsigned chunk = 0; chunk < kChunks; chunk++)
                for (const ReadPacket &packet : read_packets(directory(chunk), "ch_" + std::to_string(cpu), cpu, read_two)) {
                    discarded = packet.discarded;
                    for (size_t i = 0; i < packet.times.size(); i++, events++) {
                        CHECK(packet.times[i] >= clock);
                        clock = packet.times[i];
                        CHECK(chunk >= moments.size() || clock <= moments[chunk].at || !moments[chunk].in_time);
                        late += chunk > 0 && clock <= moments[chunk - 1].at;
                        CHECK(seen.emplace(packet.numbers[2 * i], packet.numbers[2 * i + 1]).second);
                    }
                }
            lost += discarded;
        }
        CHECK_EQUAL(events + lost, emitted_[0] + emitted_[1]);
        /* A writer that is interrupted between looking at the clock and committing comes late; one a thread and cut at most. */
        CHECK(late <= kThreads * moments.size());
        std::printf("# %llu events, %llu lost, %llu committed late\n", static_cast<unsigned long long>(events),
                    static_cast<unsigned long long>(lost), static_cast<unsigned long long>(late));
    }
    void check_viewed() const {
        for (unsigned chunk = 0; chunk < kChunks; chunk++)
            CHECK_EQUAL(babeltrace(directory(chunk)).status, 0);
    }

private:
    static void read_two(const std::string &data, size_t *at, ReadPacket *packet) {
        packet->numbers.push_back(take_little<uint32_t>(data, at));
        packet->numbers.push_back(static_cast<uint32_t>(take_little<uint64_t>(data, at)));
    }

    template <typename Which>
    static bool await(ReaderThread &reader, uint64_t ticket, Which which) {
        for (int i = 0; i < 100000; i++) {
            const ReaderNews news = reader.news();
            for (const RingNews &ring : news.rings) {
                CHECK_EQUAL(cause_name(ring.corrupt), std::string("none"));
            }
            for (const Done &done : which(news))
                if (done.ticket >= ticket) {
                    CHECK_EQUAL(done.failure.message, "");
                    return !done.failure;
                }
            usleep(100);
        }
        return false;
    }

    TestSet set_;
    std::atomic<bool> stop_{false};
    uint64_t emitted_[kThreads] = {};
    std::vector<std::thread> threads_;
};

void ten_rotations(weft_mode mode, weft_sync sync) {
    Recording recording(mode, sync);
    std::vector<Recording::Moment> moments;
    const std::unique_ptr<ReaderThread> reader = recording.read(0);
    for (unsigned chunk = 1; chunk < kChunks; chunk++) {
        usleep(5000);
        Recording::Moment moment{now_ns() + kAhead, false};
        CHECK(recording.rotate(*reader, chunk, moment.at, [&] { moment.in_time = now_ns() < moment.at; }));
        moments.push_back(moment);
    }
    CHECK(std::any_of(moments.begin(), moments.end(), [](const Recording::Moment &moment) { return moment.in_time; }));
    recording.stop();
    CHECK(recording.flush(*reader));
    recording.check(moments);
    recording.check_viewed();
}
void ten_rotations_discarding() {
    ten_rotations(WEFT_MODE_DISCARD, weft_rseq_available() ? WEFT_SYNC_RSEQ : WEFT_SYNC_LOCK);
}
void ten_rotations_overwriting() {
    ten_rotations(WEFT_MODE_OVERWRITE, weft_rseq_available() ? WEFT_SYNC_RSEQ : WEFT_SYNC_LOCK);
}
void ten_rotations_with_locks() { ten_rotations(WEFT_MODE_DISCARD, WEFT_SYNC_LOCK); }

#if !defined(__SANITIZE_THREAD__) /* which cannot follow a process that has threads over its fork */
/* Each rotation is begun by a process that is killed somewhere in it, and ended by its successor. */
void ten_rotations_by_readers_that_are_killed() {
    Recording recording(WEFT_MODE_DISCARD, weft_rseq_available() ? WEFT_SYNC_RSEQ : WEFT_SYNC_LOCK);
    std::vector<Recording::Moment> moments;
    std::srand(static_cast<unsigned>(getpid()));
    for (unsigned chunk = 1; chunk < kChunks; chunk++) {
        int told[2];
        CHECK_EQUAL(pipe(told), 0);
        const pid_t child = fork();
        if (child == 0) {
            const std::unique_ptr<ReaderThread> reader = recording.read(chunk - 1);
            usleep(2000);
            Recording::Moment moment{now_ns() + kAhead, false};
            recording.rotate(*reader, chunk, moment.at, [&] {
                moment.in_time = now_ns() < moment.at;
                if (write(told[1], &moment, sizeof moment) != sizeof moment)
                    _exit(1);
            });
            _exit(0); /* at once: nothing after the rotation is written */
        }
        Recording::Moment moment{};
        CHECK_EQUAL(read(told[0], &moment, sizeof moment), static_cast<ssize_t>(sizeof moment));
        close(told[0]), close(told[1]);
        usleep(kAhead / 1000 + 500 + static_cast<useconds_t>(std::rand() % 2000));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        moments.push_back(moment);
        const std::unique_ptr<ReaderThread> reader = recording.read(chunk, static_cast<int>(chunk) - 1);
        CHECK(recording.rotate(*reader, chunk, moment.at, [] {}));
    }
    recording.stop();
    const std::unique_ptr<ReaderThread> reader = recording.read(kChunks - 1);
    CHECK(recording.flush(*reader));
    recording.check(moments);
}
#endif

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"ten rotations at full rate, discarding", ten_rotations_discarding},
            {"ten rotations at full rate, overwriting", ten_rotations_overwriting},
            {"ten rotations at full rate, with locks", ten_rotations_with_locks},
#if !defined(__SANITIZE_THREAD__)
            {"ten rotations by readers that are killed", ten_rotations_by_readers_that_are_killed},
#endif
        },
        argc, argv);
}
