/*
 * Readers that die. A child process takes the ring and is killed: at every system call, at every instruction between the last write
 * and the end of the bookkeeping, at random moments beside a busy writer. The next one continues; in the end nothing may be
 * missing, nothing twice, and babeltrace2 must read the files.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "ring/test_cases.h"
#include "ring/test_set.h"

using namespace weft;
using namespace weft_test;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true; /* ten times the instructions to step through */
#else
constexpr bool kSanitized = false;
#endif

/* Runs in the child: what a new reader does. */
[[noreturn]] void read_all(TestSet &set, bool traced) {
    if (traced) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
    }
    const bool good = set.new_reader() == Cause::kNone && set.flush().cause == Cause::kNone;
    _exit(good ? 0 : 1);
}

pid_t start_traced(TestSet &set) {
    const pid_t child = fork();
    if (child == 0)
        read_all(set, true);
    int status = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    return child;
}

/* Lets the child run to its next stop of this kind. False: it ended by itself, as it should. */
bool advance(pid_t child, __ptrace_request how) {
    int status = 0;
    ptrace(how, child, nullptr, nullptr);
    waitpid(child, &status, 0);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
    return WIFSTOPPED(status);
}

void kill_child(pid_t child) {
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
}

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

/* Kills one reader at its first stop in the kernel, the next at its second, and so on until one gets through. */
void killed_at_every_system_call(weft_mode mode) {
    TestSet set(4096, 8, mode);
    unsigned kills = 0;
    for (bool killed = true; killed; kills += killed) {
        emit_some(set);
        const pid_t child = start_traced(set);
        bool stopped = true;
        for (unsigned stop = 0; stopped && stop <= kills; stop++)
            stopped = advance(child, PTRACE_SYSCALL);
        killed = stopped;
        if (stopped)
            kill_child(child);
    }
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
    const pid_t child = start_traced(set);
    for (int writes = 0; writes < 2;) {
        if (!advance(child, PTRACE_SYSCALL))
            return -1;
        writes += at_syscall_exit_of(child, SYS_pwritev);
    }
    return child;
}

/* Single-steps from there until the space is given back: how long the bookkeeping is. */
unsigned count_steps(TestSet &set) {
    const pid_t child = start_bookkeeping(set);
    const uint64_t before = load(&set.page()->consumed);
    unsigned steps = 0;
    while (load(&set.page()->consumed) == before && advance(child, PTRACE_SINGLESTEP))
        steps++;
    kill_child(child);
    return steps;
}

void killed_at_every_instruction_of_the_bookkeeping() {
    TestSet set(4096, 8);
    const unsigned length = count_steps(set), last = kSanitized ? 20 : 160;
    unsigned before = 0, between = 0, after = 0; /* ... the selector's and the consumed position's store */
    for (unsigned steps = length > last ? length - last : 0; steps < length + 10; steps++) {
        const pid_t child = start_bookkeeping(set);
        for (unsigned i = 0; i < steps; i++)
            CHECK(advance(child, PTRACE_SINGLESTEP));
        kill_child(child);
        const uint64_t taken = set.page()->state[set.page()->selector].position, consumed = set.page()->consumed;
        before += taken < set.writer().position();
        between += taken != consumed;
        after += consumed == set.writer().position();
    }
    std::printf("# %u instructions; killed %u times before, %u between, %u after the stores\n", length, before, between, after);
    CHECK(before > 0 && between > 0 && after > 0);
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
            {"killed at every instruction of the bookkeeping", killed_at_every_instruction_of_the_bookkeeping},
#endif
            {"killed at random moments beside a busy writer", killed_at_random_moments_beside_a_busy_writer},
        },
        argc, argv);
}
