/* Blocking channels: a writer that finds no space waits, outside of sequence and lock, in both modes. The test plays the reader. */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "ust/commit.h"
#include "ust/test_seam.h"

#define SMALL 4096u
#define COUNT 4u
#define MS 1000000ull
#define EVENTS 30000u

static enum weft_sync sync_mode;
static struct seam seam;

static void open_blocking(uint64_t blocking_ns)
{
    const struct weft_geometry g = { .cpu_count = 1, .subbuf_size = SMALL, .subbuf_count = COUNT, .mode = WEFT_MODE_DISCARD,
                                     .sync = (uint8_t)sync_mode };
    seam_open(&seam, &g, NULL, 0);
    seam.channel.blocking_ns = blocking_ns;
}

static uint64_t position(void)
{
    return __atomic_load_n(&seam_ring(&seam, 0)->position, __ATOMIC_ACQUIRE) >> WEFT_POS_SHIFT;
}

static uint64_t lost_full(void)
{
    return __atomic_load_n(&seam_ring(&seam, 0)->lost[WEFT_LOST_FULL], __ATOMIC_RELAXED);
}

static uint64_t recorded(void)
{
    const struct weft_ring *ring = seam_ring(&seam, 0);
    return ring->slot[ring->position & WEFT_SLOT_MASK].event_count;
}

static uint32_t waiters(void)
{
    return __atomic_load_n(&seam_ring(&seam, 0)->waiters, __ATOMIC_SEQ_CST);
}

static long give_space(uint64_t consumed)
{
    __atomic_store_n(&seam.reader[0].consumed, consumed, __ATOMIC_SEQ_CST);
    return syscall(SYS_futex, &seam.reader[0].consumed, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Until the next event has no place. */
static void fill(void)
{
    seam.channel.blocking_ns = 0;
    struct weft_target t = seam_target(&seam, 1);
    for (uint64_t i = 0; !lost_full(); i++)
        seam_emit(&t, 1, i, 0);
    seam_ring(&seam, 0)->lost[WEFT_LOST_FULL] = 0;
}

struct emitting {
    struct weft_target target;
    uint32_t events;
    uint64_t ns; /* that it took */
    int done;
};

static void *emit_all(void *argument)
{
    struct emitting *e = argument;
    const uint64_t begin = weft_clock_system();
    for (uint32_t i = 0; i < e->events; i++)
        seam_emit(&e->target, 1, i, 0);
    e->ns = weft_clock_system() - begin;
    __atomic_store_n(&e->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static struct emitting emitting(uint32_t events)
{
    return (struct emitting){ .target = seam_target(&seam, 1), .events = events };
}

static void nothing_is_lost(void)
{
    open_blocking(UINT64_MAX);
    struct emitting e[2] = { emitting(EVENTS), emitting(EVENTS) };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, emit_all, &e[i]);
    uint64_t consumed = 0;
    while (!__atomic_load_n(&e[0].done, __ATOMIC_ACQUIRE) || !__atomic_load_n(&e[1].done, __ATOMIC_ACQUIRE)) {
        usleep(100); /* a slow reader */
        if (position() / SMALL > consumed / SMALL)
            give_space(consumed += SMALL);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(recorded(), 2 * EVENTS);
    CHECK_EQUAL(lost_full(), 0);
    seam_close(&seam);
}

static void time_is_over(void)
{
    open_blocking(0);
    fill();
    const uint64_t before = recorded();
    seam.channel.blocking_ns = 30 * MS;
    struct emitting e = emitting(2);
    emit_all(&e);
    CHECK(e.ns >= 60 * MS && e.ns < 20000 * MS);
    CHECK_EQUAL(lost_full(), 2);
    CHECK_EQUAL(recorded(), before);
    seam_close(&seam);
}

/* The library's own thread, which serves the daemon, must not depend on the reader. */
static void the_librarys_thread_never_waits(void)
{
    char stage[WEFT_STAGE_HEADROOM + SEAM_PAYLOAD_BYTES + WEFT_STAGE_TAIL] = { 0 };
    open_blocking(0);
    fill();
    const uint64_t before = recorded();
    seam.channel.blocking_ns = UINT64_MAX;
    struct weft_target t = seam_target(&seam, 1);
    weft_record_at_once(&t.public, stage + WEFT_STAGE_HEADROOM, SEAM_PAYLOAD_BYTES, NULL);
    CHECK_EQUAL(lost_full(), 1);
    CHECK_EQUAL(recorded(), before);
    give_space(2 * SMALL);
    weft_record_at_once(&t.public, stage + WEFT_STAGE_HEADROOM, SEAM_PAYLOAD_BYTES, NULL);
    CHECK_EQUAL(recorded(), before + 1);
    seam_close(&seam);
}

static void names_what_it_waits_for(void)
{
    open_blocking(0);
    fill();
    seam.channel.blocking_ns = UINT64_MAX;
    struct emitting e = emitting(1);
    pthread_t thread;
    pthread_create(&thread, NULL, emit_all, &e);
    while (waiters() != COUNT)
        usleep(100);
    usleep(20000);
    CHECK(!__atomic_load_n(&e.done, __ATOMIC_ACQUIRE));
    give_space(SMALL);
    pthread_join(thread, NULL);
    CHECK_EQUAL(lost_full(), 0);
    CHECK_EQUAL(position() / SMALL, COUNT);
    seam_close(&seam);
}

/* Space that nobody tells of, a sleeping reader, a name that somebody else wrote over: a few milliseconds each. */
static void missed_wake(void)
{
    open_blocking(0);
    fill();
    seam.channel.blocking_ns = UINT64_MAX;
    seam.reader[0].sleeping = 1;
    struct emitting e = emitting(1);
    pthread_t thread;
    pthread_create(&thread, NULL, emit_all, &e);
    while (waiters() != COUNT)
        usleep(100);
    __atomic_store_n(&seam_ring(&seam, 0)->waiters, 0x7fffffff, __ATOMIC_RELAXED);
    while (__atomic_load_n(&((const struct weft_set_header *)seam.ring_memory)->doorbell, __ATOMIC_RELAXED) == 0)
        usleep(100);
    usleep(20000);
    __atomic_store_n(&seam.reader[0].consumed, SMALL, __ATOMIC_SEQ_CST);
    const uint64_t begin = weft_clock_system();
    pthread_join(thread, NULL);
    CHECK(weft_clock_system() - begin < 20000 * MS);
    CHECK_EQUAL(lost_full(), 0);
    seam_close(&seam);
}

static void switched_off(void)
{
    open_blocking(0);
    fill();
    seam.channel.blocking_ns = UINT64_MAX;
    struct emitting e = emitting(1);
    pthread_t thread;
    pthread_create(&thread, NULL, emit_all, &e);
    while (waiters() != COUNT)
        usleep(100);
    const uint64_t begin = weft_clock_system();
    __atomic_store_n(&e.target.public.on, 0, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    CHECK(weft_clock_system() - begin < 20000 * MS); /* 10 ms on a machine that has time */
    CHECK_EQUAL(lost_full(), 0);
    CHECK_EQUAL(seam_ring(&seam, 0)->lock, 0);
    seam_close(&seam);
}

static void cases(void)
{
    seam_case("with a slow reader two threads wait and lose nothing", nothing_is_lost);
    seam_case("when the time is over the event is counted as lost", time_is_over);
    seam_case("the library's own thread loses the event instead", the_librarys_thread_never_waits);
    seam_case("a writer that waits names the sub-buffer, and is woken by the reader that gives it back", names_what_it_waits_for);
    seam_case("a wake-up that goes astray costs milliseconds; a sleeping reader is woken", missed_wake);
    seam_case("switching the target off ends the wait", switched_off);
}

/* Also for the lock: whoever holds it, dead or off its CPU, is outlasted. */
static void waits_for_the_lock(void)
{
    open_blocking(UINT64_MAX);
    struct weft_ring *ring = seam_ring(&seam, 0);
    ring->lock = 2ull << 32 | 5; /* another application */
    struct emitting e = emitting(1);
    pthread_t thread;
    pthread_create(&thread, NULL, emit_all, &e);
    usleep(20000);
    CHECK(!__atomic_load_n(&e.done, __ATOMIC_ACQUIRE));
    __atomic_store_n(&ring->lock, 0, __ATOMIC_RELEASE); /* the daemon frees it */
    pthread_join(thread, NULL);
    CHECK_EQUAL(recorded(), 1);
    seam.channel.blocking_ns = 20 * MS;
    ring->lock = 2ull << 32 | 5;
    e = emitting(1);
    emit_all(&e);
    CHECK(e.ns >= 20 * MS);
    CHECK_EQUAL(ring->lost[WEFT_LOST_CONTENDED], 1);
    seam_close(&seam);
}

int main(void)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first); /* one ring */
    if (weft_rseq_available()) {
        sync_mode = WEFT_SYNC_RSEQ;
        cases();
    } else {
        printf("ok - restartable sequences # SKIP this system has none\n");
    }
    printf("# under the ring's lock\n");
    sync_mode = WEFT_SYNC_LOCK;
    cases();
    seam_case("a writer waits for the lock as for space", waits_for_the_lock);
    return seam_failures ? 1 : 0;
}
