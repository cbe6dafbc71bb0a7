/* Memory that a reader gives back: how much, that it is there again before a writer needs it, and that no event is lost unnoticed. */
#include "ring/reclaim.h"

#include <sys/stat.h>
#include <unistd.h>

#include <numeric>

#include "ring/reader_thread.h"
#include "ring/ring_set.h"
#include "ring/snapshot.h"
#include "ring/test_cases.h"
#include "ring/test_set.h"

using namespace weft;
using namespace weft_test;

namespace {

constexpr uint32_t kSize = 16384;
constexpr uint64_t kAlways = UINT64_MAX;

/* Sub-buffers' worth of memory that a set has beside its control pages. */
uint64_t held(const TestSet &set) {
    struct stat status;
    fstat(set.ring_fd(), &status);
    return (static_cast<uint64_t>(status.st_blocks) * 512 - weft_data_offset(&set.geometry(), 0)) / set.geometry().subbuf_size;
}

/* Emits until the writer is in sub-buffer `sequence`; the events that were recorded. */
uint64_t write_until(TestSet &set, uint64_t sequence) {
    uint64_t recorded = 0;
    while (set.writer().position() / set.geometry().subbuf_size < sequence && set.emit(1000))
        recorded++;
    return recorded;
}

/* A round at a time, so that nothing is lost. */
uint64_t write_and_take(TestSet &set, uint64_t sequence) {
    uint64_t recorded = 0;
    for (uint64_t next = 1; next <= sequence; next++) {
        recorded += write_until(set, next);
        set.flush();
    }
    return recorded;
}

uint64_t reclaim(TestSet &set, uint64_t before = kAlways, bool unread = false) {
    Failure bad;
    const uint64_t count = set.reader().reclaim(before, unread, &bad);
    CHECK_EQUAL(bad.message, "");
    return count;
}

/* Every event that was emitted is in the files or in the last packet's count of lost ones. */
void check_books(TestSet &set) {
    set.flush();
    uint64_t recorded = 0;
    const std::vector<ReadPacket> packets = read_packets(set);
    for (const ReadPacket &packet : packets)
        recorded += packet.numbers.size();
    CHECK_EQUAL(recorded + packets.back().discarded, set.writer().emitted());
    const Viewed viewed = babeltrace(set.directory());
    CHECK_EQUAL(viewed.strange, "");
    CHECK_EQUAL(viewed.events, recorded);
}

void memory_of_consumed_sub_buffers_goes_on_request() {
    TestSet set(kSize, 16);
    CHECK_EQUAL(held(set), 16u);
    CHECK_EQUAL(reclaim(set), 0u); /* nothing was ever consumed */
    write_and_take(set, 20);
    CHECK_EQUAL(reclaim(set), 11u); /* all but the writer's and the four ahead of it */
    CHECK_EQUAL(held(set), 5u);
    std::vector<uint64_t> memory;
    CHECK(!ring_memory(set.ring_fd(), set.reader_fd(), set.geometry(), &memory));
    CHECK_EQUAL(memory[0], 5u * kSize);
    CHECK_EQUAL(reclaim(set), 0u);
    check_books(set);
}

void a_writer_never_comes_to_memory_that_is_not_there() {
    TestSet set(kSize, 16);
    write_and_take(set, 20);
    reclaim(set);
    const uint64_t before = held(set);
    write_until(set, 100); /* ends at the first event that is lost */
    CHECK_EQUAL(set.writer().position() / kSize, 24u);
    CHECK_EQUAL(held(set), before);
    CHECK_EQUAL(set.writer().ring()->lost[WEFT_LOST_FULL], 1u);
    check_books(set);
}

void a_ring_in_use_gets_its_memory_back() {
    TestSet set(kSize, 16);
    write_and_take(set, 20);
    reclaim(set);
    for (int round = 0; round < 6; round++) {
        write_until(set, set.writer().position() / kSize + 1);
        set.flush();
    }
    CHECK_EQUAL(held(set), 16u);
    CHECK_EQUAL(write_until(set, set.writer().position() / kSize + 15) > 0, true);
    CHECK_EQUAL(set.writer().ring()->lost[WEFT_LOST_FULL], 0u);
    check_books(set);
}

void unread_sub_buffers_keep_their_memory() {
    TestSet set(kSize, 16);
    write_and_take(set, 20);
    write_until(set, 27); /* 20 .. 26 are complete and unread */
    CHECK_EQUAL(reclaim(set), 4u);
    CHECK_EQUAL(held(set), 12u);
    check_books(set);
}

void only_what_is_older_goes() {
    TestSet set(kSize, 16);
    write_and_take(set, 14);
    const uint64_t then = set.now();
    for (uint64_t next = 15; next <= 20; next++) {
        write_until(set, next);
        set.flush();
    }
    CHECK_EQUAL(reclaim(set, then), 5u); /* 9 .. 13 of 9 .. 19 */
    CHECK_EQUAL(reclaim(set), 6u);
    check_books(set);
}

void memory_goes_as_soon_as_it_is_consumed() {
    TestSet set(kSize, 16);
    set.reader().reclaim_always(true);
    write_and_take(set, 16);
    CHECK_EQUAL(held(set), 5u);
    write_and_take(set, 100);
    CHECK_EQUAL(held(set), 5u);
    CHECK_EQUAL(set.writer().ring()->lost[WEFT_LOST_FULL], 0u);
    check_books(set);
}

void a_successor_knows_where_memory_is_missing() {
    TestSet set(kSize, 16);
    write_and_take(set, 20);
    reclaim(set);
    CHECK(set.new_reader() == Cause::kNone);
    CHECK_EQUAL(set.page()->consumed / kSize, 9u);
    write_until(set, 100);
    CHECK_EQUAL(held(set), 5u);
    check_books(set);
}

void what_an_overwriting_ring_gave_back_is_not_read() {
    TestSet set(kSize, 16, WEFT_MODE_OVERWRITE);
    const uint64_t emitted = write_until(set, 20);
    const uint64_t kept = reclaim(set, kAlways, true);
    CHECK_EQUAL(kept, 11u); /* of 5 .. 19 those from 9 on */
    CHECK_EQUAL(held(set), 5u);
    set.flush();
    const std::vector<ReadPacket> packets = read_packets(set);
    uint64_t recorded = 0;
    for (const ReadPacket &packet : packets)
        recorded += packet.numbers.size();
    CHECK(recorded > 0 && recorded < emitted / 16);
    check_books(set);
}

void a_snapshot_begins_behind_what_was_given_back() {
    TestSet set(kSize, 16, WEFT_MODE_OVERWRITE);
    write_until(set, 12);
    const uint64_t then = set.now();
    write_until(set, 20);
    reclaim(set, then, true); /* 9, 10, 11 */
    SetMap map;
    const uint8_t ring_id[16] = {1, 2, 3};
    CHECK(!map.open(set.geometry(), set.ring_fd(), set.reader_fd(), ring_id, false));
    SnapshotOptions options;
    options.directory = set.directory();
    options.file_prefix = "ch";
    const StreamIdentity stream = TestSet::identity(0);
    std::copy(std::begin(stream.uuid), std::end(stream.uuid), options.uuid);
    SnapshotResult result;
    CHECK(!take_snapshot(map, set.ring_fd(), snapshot_targets(map), options, &result));
    CHECK_EQUAL(result.refused, 0u);
    const std::vector<ReadPacket> packets = read_packets(set);
    CHECK_EQUAL(packets.back().discarded, 0u);
    CHECK(packets[1].times[0] >= then);
    CHECK_EQUAL(result.packets, 1u + 8 + 1); /* the empty one, 12 .. 19, the writer's */
}

/* A reader that was killed while it took a sub-buffer's memory, and a writer that had come there. */
void a_torn_sub_buffer_counts_as_overwritten() {
    TestSet set(kSize, 16, WEFT_MODE_OVERWRITE);
    write_until(set, 20);
    set.page()->punching = 20;
    CHECK(set.new_reader() == Cause::kNone);
    CHECK_EQUAL(set.page()->readable_from, 21u);
    set.flush();
    CHECK_EQUAL(set.page()->punching, 0u);
    write_until(set, 22);
    check_books(set);
    CHECK(read_packets(set).back().discarded > 0);
}

void a_thread_gives_back_on_request_and_by_the_clock() {
    TestSet set(kSize, 16);
    for (const bool by_clock : {false, true}) {
        ReaderOptions options = set.reader_options();
        options.read_timer_ns = 1000000;
        options.reclaim_age_ns = by_clock ? 1 : 0;
        std::unique_ptr<ReaderThread> thread;
        CHECK_EQUAL(ReaderThread::start(options, [] {}, &thread).message, "");
        for (int i = 0; i < 600; i++) {
            while (set.writer().position() - load(&set.page()->state[load_acquire(&set.page()->selector)].position) > 2 * kSize)
                usleep(100);
            set.emit(1000);
        }
        if (!by_clock) {
            CHECK_EQUAL(held(set), 16u);
            const uint64_t ticket = thread->reclaim({0, true});
            std::vector<Done> jobs;
            while (jobs.empty()) {
                usleep(100);
                jobs = thread->news().jobs;
            }
            CHECK_EQUAL(jobs[0].ticket, ticket);
            CHECK_EQUAL(jobs[0].reclaimed, 11u);
            CHECK_EQUAL(jobs[0].pending, 0u);
        }
        for (int tries = 0; held(set) > 6 && tries < 5000; tries++)
            usleep(1000);
        CHECK(held(set) <= 6);
        const uint64_t ticket = thread->flush();
        for (uint64_t done = 0; done < ticket; usleep(100))
            for (const Done &flushed : thread->news().flushes)
                done = flushed.ticket;
        thread.reset();
        set.new_reader();
        check_books(set);
    }
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases({{"memory of consumed sub-buffers goes on request", memory_of_consumed_sub_buffers_goes_on_request},
                      {"a writer never comes to memory that is not there", a_writer_never_comes_to_memory_that_is_not_there},
                      {"a ring in use gets its memory back", a_ring_in_use_gets_its_memory_back},
                      {"unread sub-buffers keep their memory", unread_sub_buffers_keep_their_memory},
                      {"only what is older goes", only_what_is_older_goes},
                      {"memory goes as soon as it is consumed", memory_goes_as_soon_as_it_is_consumed},
                      {"a successor knows where memory is missing", a_successor_knows_where_memory_is_missing},
                      {"what an overwriting ring gave back is not read", what_an_overwriting_ring_gave_back_is_not_read},
                      {"a snapshot begins behind what was given back", a_snapshot_begins_behind_what_was_given_back},
                      {"a torn sub-buffer counts as overwritten", a_torn_sub_buffer_counts_as_overwritten},
                      {"a thread gives back on request and by the clock", a_thread_gives_back_on_request_and_by_the_clock}},
                     argc, argv);
}
