/* The reader of one ring, step by step beside a writer on the same thread: what is taken when, what is counted, what the files hold. */
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "ring/test_cases.h"
#include "ring/test_set.h"

using namespace weft;
using namespace weft_test;

namespace {

std::vector<uint32_t> numbers(const TestSet &set) {
    std::vector<uint32_t> all;
    for (const ReadPacket &packet : read_packets(set))
        all.insert(all.end(), packet.numbers.begin(), packet.numbers.end());
    return all;
}

/* 0, 1, 2 ... count-1, nothing missing, nothing twice. */
void check_consecutive(const TestSet &set, uint32_t count) {
    const std::vector<uint32_t> all = numbers(set);
    CHECK_EQUAL(all.size(), size_t{count});
    for (uint32_t i = 0; i < all.size(); i++)
        if (all[i] != i) {
            CHECK_EQUAL(all[i], i);
            return;
        }
}

/* Packets follow each other in time, losses never shrink. */
void check_order(const std::vector<ReadPacket> &packets) {
    for (size_t i = 0; i < packets.size(); i++) {
        CHECK(packets[i].begin <= packets[i].end);
        CHECK(i == 0 || packets[i - 1].end <= packets[i].begin);
        CHECK(i == 0 || packets[i - 1].discarded <= packets[i].discarded);
    }
}

void check_viewed(const TestSet &set, uint64_t events, uint64_t discarded) {
    const Viewed viewed = babeltrace(set.directory());
    CHECK_EQUAL(viewed.status, 0);
    CHECK_EQUAL(viewed.strange, "");
    CHECK_EQUAL(viewed.events, events);
    CHECK_EQUAL(viewed.discarded, discarded);
}

void an_unused_ring_gives_one_empty_packet() {
    TestSet set;
    CHECK_EQUAL(set.flush().packets, 1u);
    CHECK_EQUAL(set.flush().packets, 0u);
    CHECK_EQUAL(read_packets(set).size(), size_t{1});
    check_viewed(set, 0, 0);
    set.emit();
    set.flush();
    const std::vector<ReadPacket> packets = read_packets(set);
    CHECK_EQUAL(packets.size(), size_t{2});
    CHECK(packets[0].begin < packets[1].begin); /* babeltrace2 sorts by that, where two directories hold the parts of a stream */
}

void a_partial_sub_buffer_waits_for_the_flush() {
    TestSet set;
    for (int i = 0; i < 10; i++)
        CHECK(set.emit());
    const Step taken = set.take();
    CHECK_EQUAL(taken.events, 0u);
    const Step flushed = set.flush();
    CHECK_EQUAL(flushed.events, 10u);
    CHECK_EQUAL(flushed.end, set.now());
    check_consecutive(set, 10);
    check_viewed(set, 10, 0);
}

void complete_sub_buffers_are_taken_without_a_flush() {
    TestSet set;
    for (int i = 0; i < 700; i++)
        set.emit(); /* 700 records of 12 bytes: two sub-buffers and a part */
    CHECK_EQUAL(set.take().packets, 3u);
    CHECK_EQUAL(set.page()->consumed, 2u * 4096);
    CHECK_EQUAL(set.take().packets, 0u);
    CHECK_EQUAL(set.flush().packets, 1u);
    check_consecutive(set, 700);
    check_order(read_packets(set));
}

void cuts_anywhere_keep_every_event_and_its_time() {
    TestSet set(4096, 2);
    uint32_t emitted = 0;
    for (uint32_t round = 0; round < 400; round++) {
        for (uint32_t i = 0; i < round % 7; i++)
            emitted += set.emit(round % 60, i == 3 ? 200000000 : 90 + round);
        CHECK(set.take(round % 3 ? Cut::kPartial : Cut::kComplete).cause == Cause::kNone);
    }
    set.flush();
    check_consecutive(set, emitted);
    check_order(read_packets(set));
    check_viewed(set, emitted, 0);
}

void a_cut_at_the_end_of_a_sub_buffer_needs_no_packet_of_its_own() {
    TestSet set(4096, 2);
    while (set.writer().position() < 4096 - 30)
        set.emit();
    set.flush();
    const uint64_t packets = set.reader().state().packets;
    while (set.writer().position() < 4096)
        set.emit(64);
    CHECK_EQUAL(set.take().packets, 0u);
    CHECK_EQUAL(set.page()->consumed, 4096u);
    CHECK_EQUAL(set.reader().state().packets, packets);
}

void a_full_ring_counts_exactly_and_babeltrace_says_so() {
    TestSet set;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 2000; i++)
            set.emit();
        set.take();
        for (int i = 0; i < 10 * round; i++)
            set.emit();
    }
    set.flush();
    const uint64_t lost = set.writer().ring()->lost[WEFT_LOST_FULL];
    CHECK(lost > 0);
    CHECK_EQUAL(set.reader().state().events + lost, set.writer().emitted());
    check_order(read_packets(set));
    check_viewed(set, set.writer().emitted() - lost, lost);
}

void losses_before_the_first_event_are_exact() {
    TestSet set;
    for (int i = 0; i < 7; i++)
        set.emit(100000);
    set.flush();
    check_viewed(set, 0, 7);
}

void losses_after_the_last_event_are_exact() {
    TestSet set;
    set.emit();
    set.flush();
    for (int i = 0; i < 5; i++)
        set.writer().lose(WEFT_LOST_NESTED);
    CHECK_EQUAL(set.flush().packets, 1u);
    CHECK_EQUAL(set.flush().packets, 0u);
    check_viewed(set, 1, 5);
}

void losses_are_reported_where_they_happened() {
    TestSet set;
    while (set.emit()) {
    }
    for (int i = 0; i < 9; i++)
        set.emit();
    set.take();
    const std::vector<ReadPacket> packets = read_packets(set);
    CHECK_EQUAL(packets.size(), size_t{4}); /* the empty one and three sub-buffers; the fourth is being written */
    CHECK_EQUAL(packets.back().discarded, 0u);
    set.flush();
    CHECK_EQUAL(read_packets(set).back().discarded, 10u);
}

void a_ring_without_memory_reports_its_losses() {
    TestSet set;
    set.writer().ring()->ready = 0;
    set.writer().lose(WEFT_LOST_NO_MEMORY);
    CHECK(set.flush().cause == Cause::kNone);
    check_viewed(set, 0, 1);
}

void overwritten_events_are_counted_exactly() {
    TestSet set(4096, 4, WEFT_MODE_OVERWRITE);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 300 * round; i++)
            CHECK(set.emit(round));
        if (round % 2)
            set.take(Cut::kPartial);
    }
    set.flush();
    const weft_reader_state &state = set.reader().state();
    CHECK(state.overwritten > 0);
    CHECK_EQUAL(state.events + state.overwritten, set.writer().emitted());
    CHECK_EQUAL(numbers(set).size(), state.events);
    check_order(read_packets(set));
    check_viewed(set, state.events, state.overwritten);
}

void overwriting_keeps_the_newest_events() {
    TestSet set(4096, 4, WEFT_MODE_OVERWRITE);
    for (int i = 0; i < 100000; i++)
        set.emit();
    set.flush();
    const std::vector<uint32_t> all = numbers(set);
    CHECK(all.size() > 3 * 300);
    CHECK_EQUAL(all.back(), 99999u);
    for (size_t i = 0; i < all.size(); i++)
        CHECK_EQUAL(all[i], all[0] + i);
}

void a_batch_is_bounded() {
    TestSet set(4096, 4096);
    for (int i = 0; i < 1000000; i++)
        set.emit();
    const Step first = set.take();
    CHECK(first.more);
    CHECK(first.packets <= Gather::kBatchPackets);
    set.flush();
    check_consecutive(set, 1000000);
}

void hold_consumes_nothing_and_count_writes_nothing() {
    TestSet set;
    for (int i = 0; i < 700; i++)
        set.emit();
    CHECK_EQUAL(set.take(Cut::kPartial, Plan::kHold).packets, 0u);
    CHECK_EQUAL(set.page()->consumed, 0u);
    set.flush(Plan::kCount);
    CHECK_EQUAL(set.page()->consumed, set.writer().position());
    CHECK_EQUAL(set.reader().state().overwritten, 700u);
    CHECK_EQUAL(read_file(set.file()), "");
    for (int i = 0; i < 20; i++)
        set.emit();
    set.flush();
    CHECK_EQUAL(set.reader().state().events, 20u);
    check_viewed(set, 20, 700);
}

void a_new_reader_cuts_what_the_dead_one_left_half_written() {
    TestSet set;
    for (int i = 0; i < 500; i++)
        set.emit();
    set.flush();
    for (const std::string &path : {set.file(), set.index_file()}) {
        std::FILE *file = std::fopen(path.c_str(), "a");
        std::fputs("half a packet", file);
        std::fclose(file);
    }
    set.emit();
    CHECK(set.new_reader() == Cause::kNone);
    set.flush();
    check_consecutive(set, 501);
    check_viewed(set, 501, 0);
}

void a_shortened_file_is_refused() {
    TestSet set;
    set.emit();
    set.flush();
    CHECK_EQUAL(truncate(set.file().c_str(), 3), 0);
    set.emit();
    set.new_reader();
    CHECK_EQUAL(set.flush().unwritten.error, ESTALE);
    CHECK_EQUAL(set.reader().state().events, 1u);
}

void a_file_of_another_stream_is_left_as_it_is() {
    TestSet set;
    const StreamIdentity first = TestSet::identity(0), second = TestSet::identity(1);
    StreamIdentity before = second;
    before.uuid[0] ^= 1;
    uint8_t header[kPacketHeaderBytes] = {}, index[kIndexHeaderBytes] = {};
    encode_packet_header(first, Packet{}, header);
    StreamFiles split(set.directory_fd(), "a_0", FileLimits{4096, 0});
    CHECK(!split.open(first, 1, 0, 0));
    std::vector<iovec> vector{{header, sizeof header}};
    CHECK(!split.write(0, vector, 0, index, sizeof index));
    StreamFiles whole(set.directory_fd(), "a_0_1");
    CHECK_EQUAL(whole.open(second, 0, 0, 0).error, EEXIST);
    CHECK(!whole.is_open());
    CHECK_EQUAL(std::filesystem::file_size(set.directory() + "/a_0_1"), sizeof header);
    split.close();
    CHECK(!split.open(first, 1, sizeof header, sizeof index)); /* who wrote it goes on */
    CHECK(!whole.open(before, 0, 0, 0)); /* another trace begins anew where an old one lies */
    CHECK_EQUAL(std::filesystem::file_size(set.directory() + "/a_0_1"), size_t{0});
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"an unused ring gives one empty packet", an_unused_ring_gives_one_empty_packet},
            {"a partial sub-buffer waits for the flush", a_partial_sub_buffer_waits_for_the_flush},
            {"complete sub-buffers are taken without a flush", complete_sub_buffers_are_taken_without_a_flush},
            {"cuts anywhere keep every event and its time", cuts_anywhere_keep_every_event_and_its_time},
            {"a cut at the end of a sub-buffer needs no packet of its own",
             a_cut_at_the_end_of_a_sub_buffer_needs_no_packet_of_its_own},
            {"a full ring counts exactly and babeltrace2 says so", a_full_ring_counts_exactly_and_babeltrace_says_so},
            {"losses before the first event are exact", losses_before_the_first_event_are_exact},
            {"losses after the last event are exact", losses_after_the_last_event_are_exact},
            {"losses are reported where they happened", losses_are_reported_where_they_happened},
            {"a ring without memory reports its losses", a_ring_without_memory_reports_its_losses},
            {"overwritten events are counted exactly", overwritten_events_are_counted_exactly},
            {"overwriting keeps the newest events", overwriting_keeps_the_newest_events},
            {"a batch is bounded", a_batch_is_bounded},
            {"hold consumes nothing and count writes nothing", hold_consumes_nothing_and_count_writes_nothing},
            {"a new reader cuts what the dead one left half written", a_new_reader_cuts_what_the_dead_one_left_half_written},
            {"a shortened file is refused", a_shortened_file_is_refused},
            {"a file of another stream is left as it is", a_file_of_another_stream_is_left_as_it_is},
        },
        argc, argv);
}
