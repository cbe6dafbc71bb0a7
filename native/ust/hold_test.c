/*
 * A thread that leaves a ring's lock behind, by jumping out of what interrupted it, gets it back with its next event; one that only
 * interrupts itself never takes what it holds. The record path calls weft_record_switched() under the lock: there we are interrupted.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "ust/test_seam.h"

#define NOINLINE __attribute__((noinline))
#define STACK_BYTES 65536

static struct seam s, other;
static struct weft_target target, other_target;
static jmp_buf out;
static ucontext_t here, there;
static uint64_t number;

static uint64_t lost(enum weft_loss cause)
{
    return seam_ring(&s, 0)->lost[cause];
}

static uint64_t recorded(void)
{
    const struct weft_ring *ring = seam_ring(&s, 0);
    return ring->slot[ring->position & 1].event_count;
}

static NOINLINE void emit(void)
{
    seam_emit(&target, 1, number++, 100);
    __asm__ volatile("" : : : "memory");
}

static void open_rings(void)
{
    const struct weft_geometry g = { .cpu_count = 1, .subbuf_size = 4096, .subbuf_count = 4, .mode = WEFT_MODE_OVERWRITE,
                                     .sync = WEFT_SYNC_LOCK };
    seam_open(&s, &g, NULL, 0);
    seam_open(&other, &g, NULL, 0);
    target = seam_target(&s, 1);
    other_target = seam_target(&other, 1);
    number = 0;
}

static void close_rings(void)
{
    weft_record_switched = NULL;
    CHECK_EQUAL(seam_ring(&s, 0)->lock, 0);
    seam_close(&s);
    seam_close(&other);
}

static void jump(void)
{
    weft_record_switched = NULL;
    longjmp(out, 1);
}

/* Until it was interrupted by `what`. */
static NOINLINE void emit_until(void (*what)(void))
{
    weft_record_switched = what;
    while (weft_record_switched)
        emit();
}

static NOINLINE void leave_behind(void)
{
    if (!setjmp(out))
        emit_until(jump);
    CHECK(seam_ring(&s, 0)->lock != 0);
}

/* All that comes is recorded, and nothing was lost but `nested` events. */
static void goes_on(uint64_t nested)
{
    const uint64_t before = recorded();
    for (int i = 0; i < 100; i++)
        emit();
    CHECK_EQUAL(recorded() - before, 100);
    CHECK_EQUAL(lost(WEFT_LOST_NESTED), nested);
}

static void from_the_same_place(void)
{
    open_rings();
    for (int i = 0; i < 1000; i++) {
        leave_behind();
        emit();
        CHECK_EQUAL(seam_ring(&s, 0)->lock, 0);
    }
    goes_on(0);
    close_rings();
}

static NOINLINE void deeper(int levels, void (*what)(void))
{
    char filled[128];
    memset(filled, levels, sizeof(filled));
    __asm__ volatile("" : : "r"(filled) : "memory");
    if (levels > 0)
        deeper(levels - 1, what);
    else
        what();
    __asm__ volatile("" : : "r"(filled) : "memory");
}

static void jump_from_there(void)
{
    emit_until(jump);
}

static void from_further_out_and_in(void)
{
    open_rings();
    if (!setjmp(out))
        deeper(4, jump_from_there);
    CHECK(seam_ring(&s, 0)->lock != 0);
    goes_on(0);
    leave_behind();
    deeper(20, emit);
    goes_on(0);
    close_rings();
}

/* Interrupts: the event counts, and the lock stays with who holds it. */
static void emit_inside(void)
{
    const uint64_t word = seam_ring(&s, 0)->lock;
    const uint64_t nested = lost(WEFT_LOST_NESTED);
    weft_record_switched = NULL;
    emit();
    deeper(8, emit);
    CHECK_EQUAL(seam_ring(&s, 0)->lock, word);
    CHECK(word != 0);
    CHECK_EQUAL(lost(WEFT_LOST_NESTED), nested + 2);
}

static void nested_on_one_stack(void)
{
    open_rings();
    for (int i = 0; i < 50; i++)
        emit_until(emit_inside);
    goes_on(100);
    close_rings();
}

static void on_signal(int number_)
{
    (void)number_;
    emit_inside();
}

static void raise_inside(void)
{
    weft_record_switched = NULL;
    raise(SIGUSR1);
}

static void nested_on_an_alternate_stack_at(char *stack)
{
    const stack_t alternate = { .ss_sp = stack, .ss_size = STACK_BYTES }, none = { .ss_flags = SS_DISABLE };
    const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
    CHECK_EQUAL(sigaltstack(&alternate, NULL), 0);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 20; i++)
        emit_until(raise_inside);
    sigaltstack(&none, NULL);
}

static void nested_on_an_alternate_stack(void)
{
    static char below[STACK_BYTES];
    char above[STACK_BYTES]; /* further out on our own stack */
    open_rings();
    nested_on_an_alternate_stack_at(below);
    nested_on_an_alternate_stack_at(above);
    goes_on(80);
    close_rings();
}

static void suspend(void)
{
    weft_record_switched = NULL;
    swapcontext(&there, &here);
}

static void in_a_coroutine(void)
{
    emit_until(suspend);
}

static char *begin_coroutine(void)
{
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = STACK_BYTES;
    there.uc_link = &here;
    makecontext(&there, in_a_coroutine, 0);
    swapcontext(&here, &there);
    CHECK(seam_ring(&s, 0)->lock != 0);
    return stack;
}

static void a_coroutine_that_waits(void)
{
    open_rings();
    char *stack = begin_coroutine();
    const uint64_t word = seam_ring(&s, 0)->lock;
    for (int i = 0; i < 100; i++)
        emit();
    CHECK_EQUAL(lost(WEFT_LOST_NESTED), 100);
    CHECK_EQUAL(seam_ring(&s, 0)->lock, word);
    swapcontext(&here, &there);
    goes_on(100);
    munmap(stack, STACK_BYTES);
    close_rings();
}

static void a_coroutine_that_is_gone(void)
{
    open_rings();
    munmap(begin_coroutine(), STACK_BYTES);
    goes_on(0);
    close_rings();
}

static void emit_to_the_other(void)
{
    weft_record_switched = NULL;
    for (int i = 0; i < 5; i++)
        seam_emit(&other_target, 1, number++, 0);
}

static void jump_later(void)
{
    emit_to_the_other();
    longjmp(out, 1);
}

static void other_rings_in_between(void)
{
    open_rings();
    emit_until(emit_to_the_other);
    goes_on(0);
    if (!setjmp(out))
        emit_until(jump_later);
    CHECK(seam_ring(&s, 0)->lock != 0);
    emit_to_the_other();
    CHECK_EQUAL(seam_ring(&other, 0)->lost[WEFT_LOST_NESTED], 0);
    goes_on(0);
    close_rings();
}

/* It has the word and the notes of its parent, who may be inside by now. */
static void the_child_of_a_bare_clone(void)
{
    open_rings();
    leave_behind();
    const uint64_t word = seam_ring(&s, 0)->lock;
    const long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        emit();
        _exit(seam_ring(&s, 0)->lock == word && lost(WEFT_LOST_NESTED) == 1 ? 0 : 1);
    }
    int status = -1;
    waitpid((pid_t)child, &status, 0);
    CHECK_EQUAL(status, 0);
    goes_on(1);
    close_rings();
}

int main(void)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    seam_case("a lock that was left behind is free with the next event from the same place", from_the_same_place);
    seam_case("also with one from further out, or further in", from_further_out_and_in);
    seam_case("an event inside of another one counts, and the lock stays", nested_on_one_stack);
    seam_case("the same in a handler on an alternate stack, above or below", nested_on_an_alternate_stack);
    seam_case("a coroutine that was switched away from keeps its lock", a_coroutine_that_waits);
    seam_case("one whose stack is gone does not", a_coroutine_that_is_gone);
    seam_case("other channels in between change nothing", other_rings_in_between);
    seam_case("the child of a bare clone() leaves its parent's lock alone", the_child_of_a_bare_clone);
    return seam_failures ? 1 : 0;
}
