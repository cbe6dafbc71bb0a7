/*
 * Shared memory that lies. Each case is one attack by an application that can write anything into its ring: the reader must name
 * what is wrong and close the ring, without a crash, a hang or a read outside the ring; what was taken before stays readable, and
 * other rings go on.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "ring/test_cases.h"
#include "ring/test_set.h"

using namespace weft;
using namespace weft_test;

namespace {

constexpr uint32_t kSize = 4096;

uint64_t word_at(uint64_t position, uint64_t low = 0) { return position << WEFT_POS_SHIFT | low; }

weft_entry &entry(TestSet &set, uint64_t sequence) {
    return set.writer().ring()->table[weft_entry_index(&set.geometry(), sequence)];
}
weft_slot &slot(TestSet &set) {
    weft_ring *ring = set.writer().ring();
    return ring->slot[ring->position & WEFT_SLOT_MASK];
}

/* 700 events: two complete sub-buffers and a part. `before` events were already taken. */
struct Attacked : TestSet {
    explicit Attacked(weft_mode mode = WEFT_MODE_DISCARD, int before = 0) : TestSet(kSize, 4, mode, 2) {
        for (int i = 0; i < 700; i++) {
            if (i == before)
                CHECK(flush().cause == Cause::kNone);
            emit();
        }
    }
};

/* The attack is noticed, stays noticed, and hurts nobody else. */
void expect(Attacked &set, Cause cause, Cut cut = Cut::kComplete) {
    Step step = set.take(cut);
    for (int i = 0; i < 100 && step.cause == Cause::kNone && step.more; i++)
        step = set.take(cut);
    CHECK_EQUAL(cause_name(step.cause), std::string(cause_name(cause)));
    CHECK(set.take(Cut::kPartial).cause == cause);
    const weft_reader_state &state = set.reader().state();
    CHECK_EQUAL(load(&set.page()->consumed), state.position);
    for (int i = 0; i < 10; i++)
        set.emit(0, 100, 1);
    CHECK_EQUAL(set.flush(Plan::kAppend, 1).events, 10u);
    const Viewed viewed = babeltrace(set.directory());
    CHECK_EQUAL(viewed.status, 0);
    CHECK_EQUAL(viewed.strange, "");
    CHECK_EQUAL(viewed.events, state.events + 10);
}

void position_beyond_the_ring() {
    Attacked set;
    store(&set.writer().ring()->position, word_at(1ull << 40));
    expect(set, Cause::kPositionTooFar);
}
void position_one_sub_buffer_too_far() {
    Attacked set;
    store(&set.writer().ring()->position, word_at(4 * kSize));
    expect(set, Cause::kPositionTooFar);
}
void all_bits_of_the_position_set() {
    Attacked set;
    store(&set.writer().ring()->position, ~0ull);
    expect(set, Cause::kReservedBit);
}
void position_with_an_impossible_slot() {
    Attacked set;
    store(&set.writer().ring()->position, word_at(700, 2));
    expect(set, Cause::kReservedBit);
}
void position_moves_backwards() {
    Attacked set(WEFT_MODE_DISCARD, 400);
    store(&set.writer().ring()->position, word_at(12));
    expect(set, Cause::kPositionBackwards);
}
void position_moves_back_over_bytes_not_yet_taken() {
    Attacked set;
    set.take();
    const uint64_t seen = set.writer().position();
    store(&set.writer().ring()->position, word_at(seen - 24));
    expect(set, Cause::kPositionBackwards);
}
void position_zero_again() {
    Attacked set(WEFT_MODE_DISCARD, 400);
    store(&set.writer().ring()->position, 0);
    expect(set, Cause::kPositionBackwards);
}
void bytes_in_a_ring_without_memory() {
    Attacked set;
    store(&set.writer().ring()->ready, 0);
    expect(set, Cause::kNotReady);
}
void entry_of_another_sub_buffer() {
    Attacked set;
    store(&entry(set, 1).sequence, 5);
    expect(set, Cause::kEntrySequence);
}
void flipped_table_entries() {
    Attacked set;
    std::swap(entry(set, 0), entry(set, 1));
    expect(set, Cause::kEntrySequence);
}
void sub_buffer_longer_than_it_is() {
    Attacked set;
    store(&entry(set, 0).end_offset, UINT32_MAX);
    expect(set, Cause::kEntryEndBeyond);
}
void sub_buffer_exactly_full() {
    Attacked set;
    store(&entry(set, 0).end_offset, kSize);
    expect(set, Cause::kEntryEndBeyond);
}
void sub_buffer_that_ends_before_what_was_taken() {
    Attacked set(WEFT_MODE_DISCARD, 100);
    store(&entry(set, 0).end_offset, 16);
    expect(set, Cause::kEntryEndBackwards);
}
void end_before_begin_in_time() {
    Attacked set;
    store(&entry(set, 0).end_timestamp, kStart - 1);
    store(&entry(set, 1).begin_timestamp, kStart - 1);
    expect(set, Cause::kTimestampBackwards);
}
void slot_with_a_time_in_the_past() {
    Attacked set;
    store(&slot(set).last_timestamp, 1);
    expect(set, Cause::kTimestampBackwards, Cut::kPartial);
}
void times_that_do_not_join() {
    Attacked set;
    store(&entry(set, 1).begin_timestamp, kStart + 1);
    expect(set, Cause::kTimestampMismatch);
}
void time_at_the_end_of_the_universe() {
    Attacked set;
    store(&entry(set, 0).end_timestamp, UINT64_MAX);
    store(&entry(set, 1).begin_timestamp, UINT64_MAX);
    expect(set, Cause::kTimestampFuture);
}
void slot_with_a_time_in_the_future() {
    Attacked set;
    store(&slot(set).last_timestamp, set.now() + 2 * Gather::kFutureNs);
    expect(set, Cause::kTimestampFuture, Cut::kPartial);
}
void huge_event_count() {
    Attacked set;
    store(&entry(set, 1).events_before, UINT64_MAX);
    expect(set, Cause::kEventCountTooBig);
}
void slot_with_a_huge_event_count() {
    Attacked set;
    store(&slot(set).event_count, 1ull << 60);
    expect(set, Cause::kEventCountTooBig, Cut::kPartial);
}
void bytes_without_an_event() {
    Attacked set;
    store(&entry(set, 1).events_before, 0);
    expect(set, Cause::kEventCountTooBig);
}
void event_count_backwards() {
    Attacked set(WEFT_MODE_DISCARD, 100);
    store(&entry(set, 1).events_before, 3);
    expect(set, Cause::kEventCountBackwards);
}
void sub_buffer_that_changes_the_count_before_it() {
    Attacked set;
    set.take(); /* the first two are taken; what the third says about them is changed now */
    while (set.writer().position() < 3 * kSize)
        set.emit();
    store(&entry(set, 2).events_before, 1);
    expect(set, Cause::kEventCountMismatch);
}
void losses_that_shrink() {
    Attacked set;
    store(&set.writer().ring()->lost[WEFT_LOST_NESTED], 10);
    set.flush();
    store(&set.writer().ring()->lost[WEFT_LOST_NESTED], 4);
    expect(set, Cause::kLossBackwards, Cut::kPartial);
}
void losses_beyond_64_bits() {
    Attacked set;
    store(&set.writer().ring()->lost[WEFT_LOST_FULL], UINT64_MAX);
    store(&set.writer().ring()->lost[WEFT_LOST_NESTED], UINT64_MAX);
    expect(set, Cause::kLossTooBig);
}
void overwritten_count_that_cannot_be() {
    Attacked set(WEFT_MODE_OVERWRITE, 100);
    for (int i = 0; i < 3000; i++)
        set.emit();
    for (weft_entry *each = set.writer().ring()->table; each < set.writer().ring()->table + 8; each++)
        each->events_before += 1ull << 40;
    expect(set, Cause::kEventCountTooBig);
}
void overwritten_count_backwards() {
    Attacked set(WEFT_MODE_OVERWRITE, 400);
    for (int i = 0; i < 3000; i++)
        set.emit();
    for (weft_entry *each = set.writer().ring()->table; each < set.writer().ring()->table + 8; each++)
        each->events_before = 7;
    expect(set, Cause::kEventCountBackwards);
}
void overwrite_position_that_leaps() {
    Attacked set(WEFT_MODE_OVERWRITE);
    store(&set.writer().ring()->position, word_at(1ull << 55));
    expect(set, Cause::kEntrySequence);
}

/* An application cannot write reader pages, but a damaged one must not harm either. */
void reader_page_of_nobody() {
    Attacked set(WEFT_MODE_DISCARD, 100);
    const weft_reader_page good = *set.page();
    store(&set.page()->selector, 7);
    CHECK(set.new_reader() == Cause::kReaderState);
    *set.page() = good;
    for (weft_reader_state &state : set.page()->state)
        state.file_bytes = UINT64_MAX;
    CHECK(set.new_reader() == Cause::kReaderState);
    *set.page() = good;
    for (weft_reader_state &state : set.page()->state)
        state.position = 1ull << 50;
    CHECK(set.new_reader() == Cause::kNone);
    CHECK(set.take().cause == Cause::kPositionBackwards);
}

/* Nobody may play for time: a position that never stands still ends a flush, with a verdict or without one. */
void position_that_never_stands_still() {
    for (const weft_mode mode : {WEFT_MODE_DISCARD, WEFT_MODE_OVERWRITE}) {
        Attacked set(mode);
        bool end = false;
        weft_ring *ring = set.writer().ring();
        const uint64_t base = load(&ring->position);
        std::thread player([&] {
            for (uint64_t i = 0; !__atomic_load_n(&end, __ATOMIC_RELAXED); i++)
                store(&ring->position, base + ((i % 256) << WEFT_POS_SHIFT) + (i & 1));
        });
        for (int i = 0; i < 200; i++)
            set.take(Cut::kPartial);
        __atomic_store_n(&end, true, __ATOMIC_RELAXED);
        player.join();
    }
}

/* The whole control page changes under the reader, all the time. */
void everything_changes_all_the_time() {
    for (const weft_mode mode : {WEFT_MODE_DISCARD, WEFT_MODE_OVERWRITE}) {
        Attacked set(mode);
        bool end = false;
        weft_ring *ring = set.writer().ring();
        std::thread player([&] {
            uint64_t random = 88172645463325252ull;
            uint64_t *words = reinterpret_cast<uint64_t *>(ring);
            while (!__atomic_load_n(&end, __ATOMIC_RELAXED)) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                const uint64_t at = random % (weft_control_stride(&set.geometry()) / 8);
                store(words + at, random & 1 ? random >> 20 : load(words + at) + 4);
            }
        });
        for (int i = 0; i < 300; i++) {
            set.take(i & 1 ? Cut::kPartial : Cut::kComplete);
            set.new_reader();
        }
        __atomic_store_n(&end, true, __ATOMIC_RELAXED);
        player.join();
        CHECK_EQUAL(load(&set.page()->consumed), set.reader().state().position);
    }
}

/* Control page and data change under a rotation and a clearing: they end, and what was consumed is what the state says. */
void everything_changes_under_a_rotation() {
    const std::vector<uint32_t> &words = number_layout();
    RecordLayout layout;
    CHECK(layout.parse(reinterpret_cast<const uint8_t *>(words.data()), 4 * words.size()));
    for (const weft_mode mode : {WEFT_MODE_DISCARD, WEFT_MODE_OVERWRITE}) {
        uint64_t cuts = 0;
        for (int round = 0; round < 30; round++) {
            Attacked set(mode, 600);
            bool end = false;
            std::thread player([&] {
                uint64_t random = 88172645463325252ull + static_cast<uint64_t>(round);
                uint64_t *control = reinterpret_cast<uint64_t *>(set.writer().ring());
                uint64_t *data = reinterpret_cast<uint64_t *>(set.writer().data());
                while (!__atomic_load_n(&end, __ATOMIC_RELAXED)) {
                    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                    store(data + random % (weft_data_bytes(&set.geometry()) / 8), random);
                    if (random % 64 == 0)
                        store(control + random / 64 % (weft_control_stride(&set.geometry()) / 8), random >> 30);
                }
            });
            for (int i = 0; i < 20; i++) {
                const uint64_t at = kStart + 100u * static_cast<uint64_t>(20 * i);
                set.reader().take(Cut::kPartial, Plan::kAppend, set.now(), at);
                cuts += set.reader().cut(at, layout, Plan::kAppend, set.now()).packets;
                if (i % 8 == 7)
                    set.reader().forget(set.now());
                set.new_reader();
            }
            __atomic_store_n(&end, true, __ATOMIC_RELAXED);
            player.join();
            CHECK_EQUAL(load(&set.page()->consumed), set.reader().state().position);
        }
        std::printf("# %llu cuts\n", static_cast<unsigned long long>(cuts));
    }
}

/* Sealing forbids shrinking, not punching holes: the pages are gone, the mapping is not. */
void holes_punched_into_the_memory() {
    for (const weft_mode mode : {WEFT_MODE_DISCARD, WEFT_MODE_OVERWRITE}) {
        Attacked set(mode, 400);
        const off_t bytes = static_cast<off_t>(weft_ring_memory_bytes(&set.geometry()));
        CHECK_EQUAL(fallocate(set.ring_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes), 0);
        CHECK(set.take(Cut::kPartial).cause != Cause::kNone);
    }
}

void memory_that_is_no_ring_set() {
    TestSet set;
    SetMap map;
    const int plain = memfd_create("plain", MFD_CLOEXEC);
    CHECK_EQUAL(map.open(set.geometry(), plain, set.reader_fd(), nullptr, true).error, EINVAL); /* too short */
    CHECK_EQUAL(ftruncate(plain, static_cast<off_t>(weft_ring_memory_bytes(&set.geometry()))), 0);
    CHECK_EQUAL(map.open(set.geometry(), plain, set.reader_fd(), nullptr, true).error, EPERM); /* not sealed */
    weft_geometry lie = set.geometry();
    lie.subbuf_count = 1u << 31;
    CHECK_EQUAL(map.open(lie, set.ring_fd(), set.reader_fd(), nullptr, true).error, EINVAL);
    const uint8_t other[16] = {9};
    CHECK_EQUAL(map.open(set.geometry(), set.ring_fd(), set.reader_fd(), other, true).error, EINVAL);
    close(plain);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"position beyond the ring", position_beyond_the_ring},
            {"position one sub-buffer too far", position_one_sub_buffer_too_far},
            {"all bits of the position set", all_bits_of_the_position_set},
            {"position with an impossible slot", position_with_an_impossible_slot},
            {"position moves backwards", position_moves_backwards},
            {"position moves back over bytes not yet taken", position_moves_back_over_bytes_not_yet_taken},
            {"position zero again", position_zero_again},
            {"bytes in a ring without memory", bytes_in_a_ring_without_memory},
            {"entry of another sub-buffer", entry_of_another_sub_buffer},
            {"flipped table entries", flipped_table_entries},
            {"sub-buffer longer than it is", sub_buffer_longer_than_it_is},
            {"sub-buffer exactly full", sub_buffer_exactly_full},
            {"sub-buffer that ends before what was taken", sub_buffer_that_ends_before_what_was_taken},
            {"end before begin in time", end_before_begin_in_time},
            {"slot with a time in the past", slot_with_a_time_in_the_past},
            {"times that do not join", times_that_do_not_join},
            {"time at the end of the universe", time_at_the_end_of_the_universe},
            {"slot with a time in the future", slot_with_a_time_in_the_future},
            {"huge event count", huge_event_count},
            {"slot with a huge event count", slot_with_a_huge_event_count},
            {"bytes without an event", bytes_without_an_event},
            {"event count backwards", event_count_backwards},
            {"sub-buffer that changes the count before it", sub_buffer_that_changes_the_count_before_it},
            {"losses that shrink", losses_that_shrink},
            {"losses beyond 64 bits", losses_beyond_64_bits},
            {"overwritten count that cannot be", overwritten_count_that_cannot_be},
            {"overwritten count backwards", overwritten_count_backwards},
            {"overwrite position that leaps", overwrite_position_that_leaps},
            {"reader page of nobody", reader_page_of_nobody},
            {"position that never stands still", position_that_never_stands_still},
            {"everything changes all the time", everything_changes_all_the_time},
            {"everything changes under a rotation", everything_changes_under_a_rotation},
            {"holes punched into the memory", holes_punched_into_the_memory},
            {"memory that is no ring set", memory_that_is_no_ring_set},
        },
        argc, argv);
}
