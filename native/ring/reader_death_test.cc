/*
 * Readers that die. A child process takes the ring and is killed: at every system call, after every store of the bookkeeping
 * that follows a write, at random moments beside a busy writer. The next one continues; in the end nothing may be
 * missing, nothing twice, and babeltrace2 must read the files.
 */
#include <sys/syscall.h>
#include <sys/user.h>

#include "ring/test_tracee.h"

using namespace weft;
using namespace weft_test;

namespace {

/* Runs in the child: what a new reader does. */
bool read_all(TestSet &set) { return set.new_reader() == Cause::kNone && set.flush().cause == Cause::kNone; }

void check_all_there(TestSet &set) {
    CHECK(set.new_reader() == Cause::kNone);
    CHECK(set.flush().cause == Cause::kNone);
    const weft_reader_state &state = set.reader().state();
    uint64_t lost = 0;
    set.reader().ring().lost_sum(&lost);
    CHECK_EQUAL(state.events + state.overwritten + lost, uint64_t{set.writer().emitted()});
    uint64_t count = 0, next = 0;
    for (const ReadPacket &packet : read_packets(set))
        for (const uint32_t number : packet.numbers) {
            CHECK(number >= next);
            next = number + 1;
            count++;
        }
    CHECK_EQUAL(count, state.events);
    const Viewed viewed = babeltrace(set.directory());
    CHECK_EQUAL(viewed.status, 0);
    CHECK_EQUAL(viewed.strange, "");
    CHECK_EQUAL(viewed.events, state.events);
    CHECK_EQUAL(viewed.discarded, state.overwritten + lost);
}

void emit_some(TestSet &set) {
    for (int i = 0; i < 700; i++)
        set.emit();
}

void killed_at_every_system_call(weft_mode mode) {
    TestSet set(4096, 8, mode);
    const unsigned kills = kill_at_every_system_call([&] { emit_some(set); }, [&] { return read_all(set); });
    std::printf("# %u kills\n", kills);
    CHECK(kills >= 10);
    check_all_there(set);
}
void killed_at_every_system_call_discarding() { killed_at_every_system_call(WEFT_MODE_DISCARD); }
void killed_at_every_system_call_overwriting() { killed_at_every_system_call(WEFT_MODE_OVERWRITE); }

#if defined(__x86_64__)
bool at_syscall_exit_of(pid_t child, long number) {
    user_regs_struct registers;
    ptrace(PTRACE_GETREGS, child, nullptr, &registers);
    return static_cast<long>(registers.orig_rax) == number && static_cast<long>(registers.rax) >= 0;
}

/* A reader that has just written packets and index, and now stores state, selector and consumed position: no system call follows. */
pid_t start_bookkeeping(TestSet &set) {
    emit_some(set);
    const pid_t child = start_traced([&] { return read_all(set); });
    for (int writes = 0; writes < 2;) {
        if (!advance(child, PTRACE_SYSCALL))
            return -1;
        writes += at_syscall_exit_of(child, SYS_pwritev);
    }
    return child;
}

/* What memory looks like changes only with a store, so dying after each of them is dying at each instruction. */
void killed_after_every_store_of_the_bookkeeping() {
    TestSet set(4096, 8);
    unsigned kills = 0, before = 0, between = 0; /* ... the selector's and the consumed position's store */
    for (bool killed = true; killed; kills += killed) {
        const pid_t child = start_bookkeeping(set);
        killed = step_stores(set, child, kills);
        if (killed)
            kill_child(child);
        const uint64_t taken = set.page()->state[set.page()->selector].position, consumed = set.page()->consumed;
        before += killed && taken < set.writer().position();
        between += killed && taken != consumed;
    }
    std::printf("# %u kills, %u before, %u between the last two stores\n", kills, before, between);
    CHECK(before > 5 && between > 0 && kills > before + between); /* so the last of them came after both stores */
    check_all_there(set);
}
#endif

void killed_at_random_moments_beside_a_busy_writer() {
    TestSet set(4096, 8);
    const unsigned seed = static_cast<unsigned>(getpid());
    std::printf("# seed %u\n", seed);
    std::srand(seed);
    for (int round = 0; round < 60; round++) {
        const pid_t child = fork();
        if (child == 0) {
            set.new_reader();
            for (;;)
                set.take(Cut::kPartial, Plan::kAppend);
        }
        for (int i = std::rand() % 20000; i > 0; i--)
            set.emit();
        kill_child(child);
    }
    check_all_there(set);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"killed at every system call, discarding", killed_at_every_system_call_discarding},
            {"killed at every system call, overwriting", killed_at_every_system_call_overwriting},
#if defined(__x86_64__)
            {"killed after every store of the bookkeeping", killed_after_every_store_of_the_bookkeeping},
#endif
            {"killed at random moments beside a busy writer", killed_at_random_moments_beside_a_busy_writer},
        },
        argc, argv);
}
