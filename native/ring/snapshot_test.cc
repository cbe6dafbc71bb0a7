/* Snapshots of rings: what they hold, that nobody is disturbed by them, and that a writer at full speed leaves no gap in one. */
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "ring/crash_files.h"
#include "ring/snapshot.h"
#include "ring/test_cases.h"
#include "ring/test_set.h"

using namespace weft;
using namespace weft_test;

namespace {

constexpr uint8_t kRingId[16] = {1, 2, 3}; /* TestSet's */

/* A directory with the metadata of TestSet's events. */
struct Place {
    std::string directory;
    Place() {
        char pattern[] = "/tmp/weft-snapshot-XXXXXX";
        directory = mkdtemp(pattern);
        write_metadata(directory, "uint32_t number; uint32_t __pad_length; uint8_t pad[__pad_length];");
    }
    ~Place() { remove_tree(directory); }
    std::vector<ReadPacket> packets(uint32_t cpu = 0) const {
        return read_stream(directory + "/ch_" + std::to_string(cpu), directory + "/index/ch_" + std::to_string(cpu) + ".idx", cpu);
    }
    std::vector<uint32_t> numbers(uint32_t cpu = 0) const {
        std::vector<uint32_t> all;
        for (const ReadPacket &packet : packets(cpu))
            all.insert(all.end(), packet.numbers.begin(), packet.numbers.end());
        return all;
    }
};

struct Taken {
    Failure failure;
    SnapshotResult result;
};

Taken take(const TestSet &set, const Place &place, uint64_t max_stream_bytes = 0) {
    Taken taken;
    SetMap map;
    if (Failure bad = map.open(set.geometry(), set.ring_fd(), set.reader_fd(), kRingId, true))
        give_up(bad.message);
    SnapshotOptions options;
    options.directory = place.directory;
    options.file_prefix = "ch";
    const StreamIdentity identity = TestSet::identity(0);
    std::copy(std::begin(identity.uuid), std::end(identity.uuid), options.uuid);
    options.max_stream_bytes = max_stream_bytes;
    taken.failure = take_snapshot(map, set.ring_fd(), snapshot_targets(map), options, &taken.result);
    return taken;
}

/* first, first + 1 ... up to last. */
void check_consecutive(const std::vector<uint32_t> &all, uint32_t last) {
    CHECK(!all.empty());
    for (size_t i = 1; i < all.size(); i++)
        if (all[i] != all[i - 1] + 1) {
            CHECK_EQUAL(all[i], all[i - 1] + 1);
            return;
        }
    CHECK_EQUAL(all.back(), last);
}

void check_viewed(const Place &place, uint64_t events, uint64_t discarded) {
    const Viewed viewed = babeltrace(place.directory);
    CHECK_EQUAL(viewed.status, 0);
    CHECK_EQUAL(viewed.strange, "");
    CHECK_EQUAL(viewed.events, events);
    CHECK_EQUAL(viewed.discarded, discarded);
}

void an_overwritten_ring_gives_its_newest_sub_buffers() {
    TestSet set(4096, 4, WEFT_MODE_OVERWRITE);
    for (int i = 0; i < 10000; i++)
        set.emit();
    const uint64_t position = set.writer().position();
    const Place place;
    const Taken taken = take(set, place);
    CHECK_EQUAL(taken.failure.message, "");
    check_consecutive(place.numbers(), 9999);
    CHECK(place.numbers().size() > 3 * 300);
    CHECK_EQUAL(taken.result.events, place.numbers().size());
    CHECK_EQUAL(taken.result.packets, place.packets().size());
    CHECK_EQUAL(taken.result.end, set.now());
    CHECK_EQUAL(set.writer().position(), position);
    check_viewed(place, taken.result.events, 0);
}

void a_second_snapshot_holds_the_same_and_more() {
    TestSet set(4096, 4, WEFT_MODE_OVERWRITE);
    const Place first, second;
    for (int i = 0; i < 500; i++)
        set.emit();
    take(set, first);
    set.emit();
    take(set, second);
    check_consecutive(first.numbers(), 499);
    check_consecutive(second.numbers(), 500);
    CHECK_EQUAL(second.numbers().front(), 0u);
}

void a_full_ring_that_discards_says_what_it_lost() {
    TestSet set(4096, 4);
    uint32_t recorded = 0;
    for (int i = 0; i < 3000; i++)
        recorded += set.emit();
    const Place place;
    const Taken taken = take(set, place);
    CHECK_EQUAL(taken.failure.message, "");
    CHECK_EQUAL(taken.result.events, uint64_t{recorded});
    check_viewed(place, recorded, 3000 - recorded);
}

/* The reader has told of its losses in its own files; its ring goes on as if nobody had looked. */
void a_recording_reader_is_not_disturbed() {
    TestSet set(4096, 4);
    uint32_t recorded = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 1700; i++)
            recorded += set.emit();
        const uint64_t consumed = set.page()->consumed;
        const Place place;
        const Taken taken = take(set, place);
        CHECK_EQUAL(taken.failure.message, "");
        CHECK_EQUAL(set.page()->consumed, consumed);
        CHECK_EQUAL(babeltrace(place.directory).strange, "");
        CHECK(taken.result.events > 900);
        set.flush();
    }
    uint64_t written = 0;
    for (const ReadPacket &packet : read_packets(set))
        written += packet.numbers.size();
    CHECK_EQUAL(written, uint64_t{recorded});
}

void a_limit_keeps_the_newest_packets() {
    TestSet set(4096, 8, WEFT_MODE_OVERWRITE);
    for (int i = 0; i < 10000; i++)
        set.emit();
    const Place place;
    const Taken taken = take(set, place, 10000);
    CHECK_EQUAL(taken.failure.message, "");
    CHECK(taken.result.bytes <= 10000 && taken.result.bytes > 10000 - 4096 - 200);
    check_consecutive(place.numbers(), 9999);
    const Place refused;
    CHECK_EQUAL(take(set, refused, 100).failure.error, EMSGSIZE);
}

void rings_that_nobody_used_and_all_cpus() {
    TestSet set(4096, 4, WEFT_MODE_OVERWRITE, 3);
    for (int i = 0; i < 5000; i++)
        set.emit(0, 100, 2);
    const Place place;
    const Taken taken = take(set, place);
    CHECK_EQUAL(taken.failure.message, "");
    check_consecutive(place.numbers(2), 4999);
    CHECK_EQUAL(place.packets(0).size(), size_t{1});
    check_viewed(place, taken.result.events, 0);
}

/* Each record is whole, each number follows the last, and the end is not before the beginning of the call. */
void a_writer_at_full_speed_leaves_no_gap() {
    TestSet set(16384, 64, WEFT_MODE_OVERWRITE);
    std::atomic<bool> end{false};
    std::atomic<uint32_t> emitted{0};
    std::thread writer([&] {
        while (!end.load(std::memory_order_relaxed)) {
            set.emit(emitted.load(std::memory_order_relaxed) % 64, 20);
            emitted.fetch_add(1, std::memory_order_relaxed);
        }
    });
    while (emitted.load() < 200000) /* the ring went round a few times */
        std::this_thread::yield();
    unsigned whole = 0;
    for (int round = 0; round < 20; round++) {
        const uint32_t before = emitted.load();
        const Place place;
        const Taken taken = take(set, place);
        if (taken.failure.error == EAGAIN)
            continue; /* this machine gave the copy no processor */
        CHECK_EQUAL(taken.failure.message, "");
        const std::vector<uint32_t> all = place.numbers();
        CHECK(!all.empty() && all.back() + 1 >= before);
        check_consecutive(all, all.empty() ? 0 : all.back());
        CHECK_EQUAL(place.packets().back().discarded, 0u);
        whole++;
    }
    end.store(true);
    writer.join();
    CHECK(whole > 0);
}

void hostile_memory_is_refused() {
    const Place place;
    TestSet set(4096, 4, WEFT_MODE_OVERWRITE, 4);
    for (uint32_t cpu = 0; cpu < 4; cpu++)
        for (int i = 0; i < 3000; i++)
            set.emit(0, 100, cpu);
    set.writer(0).ring()->position = ~uint64_t{0};
    for (weft_entry *entry = set.writer(1).ring()->table; entry < set.writer(1).ring()->table + 8; entry++)
        entry->end_offset = 1u << 30;
    for (weft_entry *entry = set.writer(2).ring()->table; entry < set.writer(2).ring()->table + 8; entry++)
        entry->events_before = ~uint64_t{0};
    const Taken taken = take(set, place);
    CHECK_EQUAL(taken.failure.message, "");
    CHECK_EQUAL(taken.result.refused, 3u);
    check_consecutive(place.numbers(3), 2999);
    TestSet lost(4096, 4);
    lost.writer().ring()->lost[0] = ~uint64_t{0};
    lost.writer().ring()->lost[1] = 2;
    const Place other;
    CHECK_EQUAL(take(lost, other).result.refused, 1u);
}

/* What the reader wrote and what is extracted of the files that are left are every event, once; damaged files are refused. */
void files_that_were_left_give_what_was_not_read(weft_mode mode) {
    TestSet set(4096, 8, mode);
    for (int i = 0; i < 1000; i++)
        set.emit();
    CHECK(!set.flush().unwritten);
    for (int i = 0; i < 500; i++)
        set.emit();
    const Place place;
    SnapshotOptions options;
    options.directory = place.directory;
    options.file_prefix = "ch";
    const StreamIdentity identity = TestSet::identity(0);
    std::copy(std::begin(identity.uuid), std::end(identity.uuid), options.uuid);
    options.unread = true;
    SnapshotResult result;
    const uint64_t consumed = set.reader().page()->consumed;
    CHECK_EQUAL(extract_rings(set.geometry(), kRingId, set.ring_fd(), set.reader_fd(), options, &result).message, "");
    CHECK_EQUAL(result.events, 500u);
    check_consecutive(place.numbers(), 1499);
    CHECK_EQUAL(place.numbers().front(), 1000u);
    CHECK_EQUAL(place.packets().front().numbers.size(), 0u);
    CHECK_EQUAL(set.reader().page()->consumed, consumed);
    check_viewed(place, 500, 0);
    weft_geometry other = set.geometry();
    other.subbuf_count = 16;
    CHECK_EQUAL(extract_rings(other, kRingId, set.ring_fd(), set.reader_fd(), options, &result).error, EINVAL);
    const uint8_t wrong[16] = {9};
    CHECK_EQUAL(extract_rings(set.geometry(), wrong, set.ring_fd(), set.reader_fd(), options, &result).error, EINVAL);
}
void files_that_were_left_of_a_ring_that_discards() { files_that_were_left_give_what_was_not_read(WEFT_MODE_DISCARD); }
void files_that_were_left_of_a_ring_that_overwrites() { files_that_were_left_give_what_was_not_read(WEFT_MODE_OVERWRITE); }

void a_directory_that_is_not_there_is_an_error() {
    TestSet set(4096, 4);
    Place place;
    remove_tree(place.directory);
    CHECK_EQUAL(take(set, place).failure.error, ENOENT);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases({{"an overwritten ring gives its newest sub-buffers", an_overwritten_ring_gives_its_newest_sub_buffers},
                      {"a second snapshot holds the same and more", a_second_snapshot_holds_the_same_and_more},
                      {"a full ring that discards says what it lost", a_full_ring_that_discards_says_what_it_lost},
                      {"a recording reader is not disturbed", a_recording_reader_is_not_disturbed},
                      {"a limit keeps the newest packets", a_limit_keeps_the_newest_packets},
                      {"rings that nobody used, and all CPUs", rings_that_nobody_used_and_all_cpus},
                      {"a writer at full speed leaves no gap", a_writer_at_full_speed_leaves_no_gap},
                      {"hostile memory is refused", hostile_memory_is_refused},
                      {"files that were left of a ring that discards", files_that_were_left_of_a_ring_that_discards},
                      {"files that were left of a ring that overwrites", files_that_were_left_of_a_ring_that_overwrites},
                      {"a directory that is not there is an error", a_directory_that_is_not_there_is_an_error}},
                     argc, argv);
}
