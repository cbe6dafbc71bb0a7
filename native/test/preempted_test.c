/*
 * A thread may lose its CPU at any instruction of the recording path. Whatever it commits after that has a timestamp from after that:
 * a reader that heard of everything until some time never sees an earlier event come later, however long a thread was away.
 *
 * A producer is stopped by a breakpoint at each instruction, and goes on after the clock has moved. Not in lock mode: there the lock
 * holds others off, but not the clock. And twice in one try, while somebody else commits at the second stop: whatever was armed and
 * taken away at the first, the second must not go unseen, or the position would go back over what the other committed.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/format.h"
#include "test/decode.h"
#include "test/victim.h"
#include "ust/clock.h"
#include "ust/commit.h"
#include "ust/context.h"
#include "ust/record.h"

#define EVENTS 3
#define PAYLOAD 12
#define LONG_PAYLOAD 200 /* copied by the other sequence */

static struct weft_clock_page *clock_page;
static const struct weft_geometry geometry = { .cpu_count = 1, .subbuf_size = 4096, .subbuf_count = 2,
                                               .mode = WEFT_MODE_DISCARD, .sync = WEFT_SYNC_RSEQ };
static struct weft_channel channel;
static struct weft_target target = { .public = { .on = 1 }, .event_id = 3, .channel = &channel };

#define NEAR 48 /* instructions between two stops of one try, at most */
#define NEAR_STEP 3

static const char *const functions[] = { "weft_record", "weft_commit_record", "weft_context_write", "weft_put_long_header", NULL };

static void open_set(void)
{
    static const uint8_t id[16] = { 7 };
    const uint32_t cpu = 0;
    int ring_fd, reader_fd;
    uint64_t bytes;
    const struct weft_context_wanted contexts[] = { { .type = 1 }, { .type = 2 } };
    if (weft_ring_set_create(&geometry, id, &cpu, 1, &ring_fd, &reader_fd, &bytes) ||
        weft_channel_map(&channel, &geometry, ring_fd, reader_fd) || weft_channel_contexts(&channel, contexts, 2))
        exit(2);
    close(ring_fd);
    close(reader_fd);
    channel.clock = clock_page;
}

static void close_set(void)
{
    free(channel.need);
    munmap(channel.memory, weft_ring_memory_bytes(&geometry));
    munmap((void *)(uintptr_t)channel.reader, weft_reader_memory_bytes(&geometry));
}

static uint32_t length_of(uint64_t number)
{
    return number == 1 ? LONG_PAYLOAD : PAYLOAD;
}

static void emit(uint32_t who, uint64_t number)
{
    static char stage[WEFT_STAGE_HEADROOM + LONG_PAYLOAD + WEFT_STAGE_TAIL];
    char *payload = stage + WEFT_STAGE_HEADROOM;
    memcpy(payload, &who, 4);
    memcpy(payload + 4, &number, 8);
    weft_record(&target.public, payload, length_of(number), NULL);
}

static pid_t start_victim(void)
{
    const pid_t pid = fork();
    if (pid)
        return pid;
    weft_context_forked();
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (uint64_t i = 0; i < EVENTS; i++)
        emit(0, i);
    _exit(0);
}

struct course {
    uint64_t before;  /* events that were committed when it was stopped */
    uint64_t went_on; /* when */
    uint64_t seen;
    uint64_t next[2]; /* of the victim, of the other */
    int too_early;
    int disorder;
};

static uint32_t visit(const struct decoded *r, void *context)
{
    struct course *c = context;
    const uint32_t who = decode_u32(r->payload) & 1;
    const uint64_t number = decode_u64(r->payload + 4);
    c->too_early |= c->seen++ >= c->before && r->timestamp < c->went_on;
    c->disorder |= number != c->next[who]++;
    return length_of(number);
}

static uint64_t committed(void)
{
    const struct weft_ring *ring = weft_channel_ring(&channel, 0);
    return ring->slot[ring->position & WEFT_SLOT_MASK].event_count;
}

static const char *wrong_with(const struct course *c, const struct decode_totals *t, int status, uint64_t events)
{
    if (status != 0)
        return "it did not end well";
    if (t->wrong)
        return t->wrong;
    if (t->lost)
        return "an event was lost";
    if (t->records != events || c->disorder)
        return "an event is missing, or twice";
    return c->too_early ? "an event was committed that is older than the interruption" : NULL;
}

/* Lets the victim go on, and judges what is in the ring then. 1: something is wrong. */
static int finish(pid_t pid, int at, struct course *c, uint64_t events)
{
    const int status = victim_go_on(pid, victim_points[at]);
    const struct decode_totals t = decode_ring((const uint8_t *)channel.memory, &geometry, 0, channel.context_bytes, visit, c);
    const char *wrong = wrong_with(c, &t, status, events);
    if (wrong)
        printf("not ok - stopped at %s %#lx: %s\n", victim_point_function[at], (unsigned long)victim_points[at], wrong);
    return wrong != NULL;
}

/* 1: the victim came there. */
static int interrupt(int point, int arrival, int *failures)
{
    open_set();
    const pid_t pid = start_victim();
    const int there = victim_run_to(pid, victim_points[point], arrival);
    if (there) {
        struct course c = { .before = committed(), .went_on = weft_clock_read(clock_page) };
        *failures += finish(pid, point, &c, EVENTS);
    }
    victim_kill(pid);
    close_set();
    return there;
}

/* Stopped at one instruction, then at a later one, where another thread of this CPU commits. */
static int interrupt_twice(int first, int second, int *failures)
{
    open_set();
    const pid_t pid = start_victim();
    const int there = victim_run_to(pid, victim_points[first], 1) &&
                      victim_run_on(pid, victim_points[first], victim_points[second]);
    if (there) {
        emit(1, 0);
        struct course c = { 0 };
        *failures += finish(pid, second, &c, EVENTS + 1);
    }
    victim_kill(pid);
    close_set();
    return there;
}

int main(void)
{
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(0, &cpu);
    if (!weft_rseq_available() || sched_setaffinity(0, sizeof(cpu), &cpu) != 0) {
        printf("ok - # skip: no restartable sequences, or no CPU 0\n");
        return 0;
    }
    weft_context_init();
    clock_page = victim_clock_page();
    victim_find_points(functions);
    int failures = 0, reached = 0;
    for (int point = 0; point < victim_point_count; point++)
        for (int arrival = 1; arrival <= 2; arrival++)
            reached += interrupt(point, arrival, &failures);
    int twice = 0;
    for (int first = 0; first < victim_point_count; first++)
        for (int second = first + 1 + first % NEAR_STEP; second < victim_point_count && second < first + NEAR; second += NEAR_STEP)
            twice += interrupt_twice(first, second, &failures);
    printf("# %d instructions, %d interruptions, %d double ones\n", victim_point_count, reached, twice);
    if (reached == 0 || twice == 0)
        printf("not ok - a producer comes to any of its instructions\n");
    else if (failures == 0)
        printf("ok - what is committed after an interruption is not older than that, and takes nothing from others\n");
    return failures || !reached || !twice;
}
