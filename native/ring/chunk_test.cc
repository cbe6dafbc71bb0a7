/* Rotations, trace files and clearing, step by step on one thread: which event is in which file. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "ring/test_chunks.h"
#include "ring/test_cases.h"

using namespace weft;
using namespace weft_test;

namespace {

/* Numbers from `next` on, without a gap, in chunk `i`; all their times in (after, until]. Returns the number behind them. */
uint32_t check_chunk(const Chunks &chunks, unsigned i, uint32_t next, uint64_t after, uint64_t until) {
    for (const ReadPacket &packet : chunks.packets(i))
        for (size_t e = 0; e < packet.numbers.size(); e++) {
            CHECK_EQUAL(packet.numbers[e], next);
            CHECK(packet.times[e] > after && packet.times[e] <= until);
            next = packet.numbers[e] + 1;
        }
    return next;
}

void a_cut_falls_between_the_events_around_the_moment() {
    for (const weft_mode mode : {WEFT_MODE_DISCARD, WEFT_MODE_OVERWRITE}) {
        TestSet set(4096, 8, mode);
        Chunks chunks(set);
        chunks.open_readers(0);
        for (int i = 0; i < 900; i++)
            set.emit(); /* one each 100 ns; 340 fit into a sub-buffer */
        const uint64_t first = kStart + 100 * 100, second = kStart + 500 * 100 + 50, third = set.now();
        chunks.rotate(1, first);
        chunks.rotate(2, second);
        chunks.rotate(3, third);
        CHECK_EQUAL(check_chunk(chunks, 0, 0, 0, first), 100u);
        CHECK_EQUAL(check_chunk(chunks, 1, 100, first, second), 500u);
        CHECK_EQUAL(check_chunk(chunks, 2, 500, second, third), 900u);
        set.emit();
        set.flush();
        CHECK_EQUAL(check_chunk(chunks, 3, 900, third, kForever), 901u);
        CHECK_EQUAL(chunks.packets(3).front().numbers.size(), size_t{0});
        CHECK_EQUAL(chunks.viewed(1).strange, "");
        CHECK_EQUAL(chunks.viewed(1).events, 400u);
    }
}

void chunks_at_random_moments_hold_every_event_once() {
    const unsigned seed = static_cast<unsigned>(getpid());
    std::printf("# seed %u\n", seed);
    std::srand(seed);
    for (int round = 0; round < 40; round++) {
        TestSet set(4096, 16);
        Chunks chunks(set);
        chunks.open_readers(0);
        uint64_t after = 0;
        uint32_t next = 0, emitted = 0;
        for (unsigned chunk = 0; chunk + 1 < Chunks::kMost; chunk++) {
            const uint64_t begin = set.now();
            for (int i = std::rand() % 600; i > 0; i--)
                emitted += set.emit(static_cast<uint32_t>(std::rand() % 50), std::rand() % 50 ? 90 : 200000000);
            const uint64_t at = begin + static_cast<uint64_t>(std::rand()) % (set.now() - begin + 1);
            chunks.rotate(chunk + 1, at);
            next = check_chunk(chunks, chunk, next, after, at);
            after = at;
        }
        set.flush();
        CHECK_EQUAL(check_chunk(chunks, Chunks::kMost - 1, next, after, kForever), emitted);
    }
}

void losses_go_on_over_a_cut() {
    TestSet set;
    Chunks chunks(set);
    chunks.open_readers(0);
    for (int i = 0; i < 2000; i++)
        set.emit();
    chunks.rotate(1, set.now());
    for (int i = 0; i < 5; i++)
        set.writer().lose(WEFT_LOST_NESTED);
    set.emit();
    set.flush();
    const uint64_t full = set.writer().ring()->lost[WEFT_LOST_FULL];
    CHECK_EQUAL(chunks.packets(0).back().discarded, full);
    CHECK_EQUAL(chunks.packets(1).front().discarded, full);
    CHECK_EQUAL(chunks.packets(1).back().discarded, full + 5);
    CHECK_EQUAL(chunks.packets(1).front().sequence, chunks.packets(0).back().sequence + 1);
}

void records_that_nobody_can_step_over_are_told() {
    TestSet set;
    Chunks chunks(set);
    chunks.open_readers(0);
    for (int i = 0; i < 100; i++)
        set.emit();
    const uint64_t half = kStart + 50 * 100;
    set.writer().data()[12 * 70] = 5; /* an id that no layout names, behind the cut */
    set.reader().take(Cut::kPartial, Plan::kAppend, set.now(), half);
    CHECK(set.reader().cut(half, chunks.layout(), Plan::kAppend, set.now()).unknown);
    set.writer().data()[12 * 70] = 0;
    RecordLayout other; /* the length of the padding taken for a part of the number */
    const uint32_t words[] = {1, 0, 1, 16 << 2};
    CHECK(other.parse(reinterpret_cast<const uint8_t *>(words), sizeof words));
    CHECK(set.reader().cut(half, other, Plan::kAppend, set.now()).unknown);
    CHECK_EQUAL(set.reader().state().events, 0u);
    CHECK_EQUAL(set.reader().cut(half, chunks.layout(), Plan::kAppend, set.now()).events, 50u);
}

void a_counted_ring_is_cut_without_a_packet() {
    TestSet set;
    Chunks chunks(set);
    chunks.open_readers(0);
    for (int i = 0; i < 100; i++)
        set.emit();
    chunks.rotate(1, kStart + 50 * 100, Plan::kCount);
    set.flush();
    CHECK_EQUAL(set.reader().state().overwritten, 50u);
    CHECK_EQUAL(check_chunk(chunks, 1, 50, kStart + 50 * 100, kForever), 100u);
    CHECK_EQUAL(chunks.viewed(1).discarded, 50u);
}

void trace_files_have_numbers_and_the_oldest_is_overwritten() {
    TestSet set(4096, 8);
    Chunks chunks(set);
    const FileLimits limits{10000, 3};
    set.new_reader(0, chunks.fd(0), limits);
    for (int i = 0; i < 3000; i++) {
        set.emit();
        if (i % 100 == 99)
            set.flush();
        if (i % 777 == 0)
            set.new_reader(0, chunks.fd(0), limits);
    }
    set.flush();
    std::vector<ReadPacket> all;
    for (unsigned i = 0; i < 3; i++) {
        const std::string name = "ch_0_" + std::to_string((set.reader().state().file_number + 1 + i) % 3);
        CHECK(std::filesystem::file_size(chunks.directory(0) + "/" + name) <= limits.size);
        for (const ReadPacket &packet : read_packets(chunks.directory(0), name, 0))
            all.push_back(packet);
    }
    uint32_t next = all.front().numbers.front();
    CHECK(next > 0 && next < 2000);
    for (const ReadPacket &packet : all)
        for (const uint32_t number : packet.numbers)
            CHECK_EQUAL(number, next++);
    CHECK_EQUAL(next, 3000u);
    CHECK_EQUAL(access((chunks.directory(0) + "/ch_0_3").c_str(), F_OK), -1);
    CHECK_EQUAL(chunks.viewed(0).events, 3000u - all.front().numbers.front());
    const weft_reader_state &state = set.reader().state();
    CHECK_EQUAL(state.bytes_before + state.file_bytes, state.packets * kPacketHeaderBytes + 3000 * 12);
    chunks.rotate(1, set.now());
    CHECK_EQUAL(read_packets(chunks.directory(1), "ch_0_0", 0).size(), size_t{1});
}

void what_is_forgotten_is_neither_recorded_nor_lost() {
    for (const weft_mode mode : {WEFT_MODE_DISCARD, WEFT_MODE_OVERWRITE}) {
        TestSet set(4096, 4, mode);
        Chunks chunks(set);
        set.new_reader(0, chunks.fd(0), {4000, 0});
        for (int i = 0; i < 500; i++)
            set.emit();
        set.flush();
        for (int i = 0; i < 500; i++)
            set.emit();
        CHECK(set.reader().forget(set.now()).cause == Cause::kNone);
        CHECK_EQUAL(set.page()->consumed, set.writer().position());
        CHECK_EQUAL(access((chunks.directory(0) + "/ch_0_1").c_str(), F_OK), -1);
        CHECK_EQUAL(read_packets(chunks.directory(0), "ch_0_0", 0).size(), size_t{1});
        for (int i = 0; i < 10; i++)
            set.emit();
        set.new_reader(0, chunks.fd(0), {4000, 0});
        CHECK_EQUAL(set.flush().events, 10u);
        const std::vector<ReadPacket> packets = read_packets(chunks.directory(0), "ch_0_0", 0);
        CHECK_EQUAL(packets.back().numbers.front(), 1000u);
        CHECK_EQUAL(packets.back().discarded, 0u);
        CHECK_EQUAL(chunks.viewed(0).events, 10u);
        CHECK_EQUAL(chunks.viewed(0).strange, "");
    }
}

void a_ring_without_files_is_forgotten_too() {
    TestSet set;
    Chunks chunks(set);
    chunks.open_readers(0);
    for (int i = 0; i < 600; i++)
        set.emit();
    CHECK(set.reader().forget(set.now()).cause == Cause::kNone);
    CHECK_EQUAL(access((chunks.directory(0) + "/ch_0").c_str(), F_OK), -1);
    set.emit();
    CHECK_EQUAL(set.flush().events, 1u);
    CHECK_EQUAL(chunks.viewed(0).discarded, 0u);
}

/* Every kind of step, and what ends a walk. */
void walks_are_bounded_by_the_bytes() {
    const uint32_t words[] = {3, RecordLayout::kContexts, 2, 1u << 2, 3, 7, 2, 1, (2u | 16 | 4 << 5) << 2 | 2, 70000, 0};
    const uint8_t *const layout_bytes = reinterpret_cast<const uint8_t *>(words);
    RecordLayout layout, none;
    for (size_t bytes = 0; bytes < sizeof words; bytes++)
        CHECK(!none.parse(layout_bytes, bytes));
    CHECK(layout.parse(layout_bytes, sizeof words));
    std::vector<uint8_t> records = {
        7, 2, 0, 0, /* id 7, 16 ns */ 9, 7, 'a', 0, /* contexts: byte, application text */ 'b', 0, 0, 1, 1, 2, 3, 4, /* text, sequence of 1 */
        30, 4, 0, 0, 7, 0, /* medium, 32 ns */ 9, 0, 0, 0, 0, /* no value; empty text, empty sequence */
        31, 0x70, 0x11, 1, 0, 64, 0, 0, 0, 0, 0, 0, 0, /* id 70000, 64 ns */ 9, 11, 1, 2, 3, 4, 5, 6, 7, 8};
    Stretch before, all;
    CHECK(walk_records(layout, records.data(), records.size(), 0, 32, &before, &all));
    CHECK_EQUAL(before.bytes, 27u);
    CHECK_EQUAL(before.events, 2u);
    CHECK_EQUAL(all.events, 3u);
    CHECK_EQUAL(all.timestamp, 64u);
    for (size_t bytes = 1; bytes < records.size(); bytes++) {
        const std::vector<uint8_t> exactly(records.begin(), records.begin() + static_cast<long>(bytes));
        const bool whole = walk_records(layout, exactly.data(), bytes, 0, 32, &before, &all);
        CHECK_EQUAL(whole, bytes == 16 || bytes == 27);
    }
    for (int i = 0; i < 200000; i++) { /* anything at all: no step beyond the end (address sanitizer) */
        std::vector<uint8_t> wild(records.begin(), records.begin() + std::rand() % static_cast<long>(records.size()));
        for (int change = 0; change < 3 && !wild.empty(); change++)
            wild[static_cast<size_t>(std::rand()) % wild.size()] = static_cast<uint8_t>(std::rand());
        if (walk_records(layout, wild.data(), wild.size(), 0, 32, &before, &all))
            CHECK_EQUAL(all.bytes, wild.size());
    }
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"a cut falls between the events around the moment", a_cut_falls_between_the_events_around_the_moment},
            {"chunks at random moments hold every event once", chunks_at_random_moments_hold_every_event_once},
            {"losses go on over a cut", losses_go_on_over_a_cut},
            {"records that nobody can step over are told", records_that_nobody_can_step_over_are_told},
            {"a counted ring is cut without a packet", a_counted_ring_is_cut_without_a_packet},
            {"trace files have numbers and the oldest is overwritten", trace_files_have_numbers_and_the_oldest_is_overwritten},
            {"what is forgotten is neither recorded nor lost", what_is_forgotten_is_neither_recorded_nor_lost},
            {"a ring without files is forgotten too", a_ring_without_files_is_forgotten_too},
            {"walks are bounded by the bytes", walks_are_bounded_by_the_bytes},
        },
        argc, argv);
}
