/*
 * Filters of real instrumentation points, without any daemon: what is rejected leaves no trace in the rings, and a filter is put in
 * the place of another while threads record. With restartable sequences and with the lock.
 */
#define _GNU_SOURCE
#define WEFT_TRACEPOINT_CREATE_PROBES
#define WEFT_TRACEPOINT_DEFINE
#include "test/filtered_provider.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "test/decode.h"
#include "ust/channel_table.h"
#include "ust/commit.h"
#include "ust/registry.h"
#include "ust/stage.h"
#include "ust/test_bytecode.h"
#include "ust/test_seam.h"

#define THREADS 3
#define CALLS 200 /* of each thread: enough for any that was inside to come out and try again */
enum { SOURCE, NUMBER, TEXT_FIELD, PARITY };

static enum weft_sync sync_mode;
static struct seam seam;
static struct weft_channel *channel;
static struct weft_channel *attached[8]; /* libweft keeps no hold of what was detached, and never frees it: late threads */
static int attached_count;
static uint64_t calls[THREADS];
static int enough;

static char *stage(struct weft_sink *sink, size_t length)
{
    (void)sink;
    return weft_stage_take(length);
}

/* What the probes call: the parts of the library that need no listener. */
static const struct weft_library library = {
    .abi = WEFT_LIBRARY_ABI, .size = sizeof(struct weft_library), .record = weft_record, .stage = stage, .unstage = weft_stage_give,
    .evaluate = weft_evaluate,
};

/* Before the objects' own constructors: no libweft is looked for, and the provider is registered by hand. */
static __attribute__((constructor(101))) void stand_alone(void)
{
    weft_module.looked = 1;
}

static void open_all(void)
{
    const struct weft_geometry g = { .cpu_count = (uint32_t)sysconf(_SC_NPROCESSORS_CONF), .subbuf_size = 4096, .subbuf_count = 4,
                                     .mode = WEFT_MODE_OVERWRITE, .sync = (uint8_t)sync_mode };
    weft_module.library = &library;
    seam_open(&seam, &g, NULL, 0);
    CHECK_EQUAL(weft_registry_add_provider(&weft_provider_weft_filtered), 0);
    CHECK_EQUAL(weft_registry_add_points(__start_weft_points, weft_points_count()), 0);
    channel = attached[attached_count++] = weft_channels_new();
    CHECK_EQUAL(weft_channel_map(channel, &seam.geometry, seam.ring_fd, seam.reader_fd), 0);
    channel->application = 1;
    weft_channels_add(channel);
}

static void close_all(void)
{
    CHECK_EQUAL(weft_registry_detach(channel), 0);
    weft_registry_remove_points(__start_weft_points, weft_points_count());
    weft_registry_remove_provider(&weft_provider_weft_filtered);
    weft_registry_prune();
    CHECK(!weft_registry_catalog());
    weft_module.library = NULL;
    seam_close(&seam);
}

static int set(const struct program *p)
{
    return weft_registry_enable(channel, weft_registry_catalog()->id, 1, p ? p->bytes : NULL, p ? p->length : 0);
}

static int set_comparison(uint32_t field, uint32_t operator, int64_t value)
{
    struct program p = program_begin();
    COMPARE(&p, field, operator, value);
    RETURN(&p);
    return set(&p);
}

static uint32_t visit(const struct decoded *r, void *argument)
{
    uint64_t *sum = argument;
    sum[decode_u64(r->payload + 4) & 1]++;
    return 12;
}

/* How many events of either parity lie in the rings. */
static void count(uint64_t sum[2])
{
    sum[0] = sum[1] = 0;
    for (uint32_t cpu = 0; cpu < seam.geometry.cpu_count; cpu++)
        CHECK(!decode_ring(seam.ring_memory, &seam.geometry, cpu, 0, visit, sum).wrong);
}

static void hit(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        weft_tracepoint(weft_filtered, pair, 0, i, i % 3 ? "no" : "third");
}

static void nothing_of_the_rejected(void)
{
    uint64_t sum[2];
    open_all();
    const size_t bytes = weft_ring_memory_bytes(&seam.geometry);
    uint8_t *before = malloc(bytes);
    CHECK_EQUAL(set(NULL), 0);
    CHECK_EQUAL(weft_registry_start(channel), 0);
    hit(0, 10);
    CHECK_EQUAL(set_comparison(NUMBER, LT, 10), 0);
    memcpy(before, seam.ring_memory, bytes);
    hit(10, 1000);
    CHECK(memcmp(before, seam.ring_memory, bytes) == 0);
    hit(9, 11);
    CHECK(memcmp(before, seam.ring_memory, bytes) != 0);
    count(sum);
    CHECK(sum[0] == 5 && sum[1] == 6);
    CHECK_EQUAL(set_comparison(PARITY, EQ, 1), 0); /* which is not written */
    hit(0, 10);
    count(sum);
    CHECK(sum[0] == 5 && sum[1] == 11);
    struct program p = program_begin();
    WORD(&p, WEFT_OP_FIELD_STRING, TEXT_FIELD);
    TEXT(&p, WEFT_OP_PREFIX_EQ, "thi");
    RETURN(&p);
    CHECK_EQUAL(set(&p), 0);
    hit(0, 3);
    count(sum);
    CHECK(sum[0] == 6 && sum[1] == 11);
    CHECK_EQUAL(set_comparison(TEXT_FIELD, EQ, 1), EINVAL);
    CHECK_EQUAL(weft_registry_stop(channel), 0);
    free(before);
    close_all();
}

static void point_that_comes_later(void)
{
    uint64_t sum[2];
    open_all();
    weft_registry_remove_points(__start_weft_points, weft_points_count());
    CHECK_EQUAL(set_comparison(NUMBER, EQ, 5), 0);
    CHECK_EQUAL(weft_registry_start(channel), 0);
    CHECK_EQUAL(weft_registry_add_points(__start_weft_points, weft_points_count()), 0);
    hit(0, 10);
    count(sum);
    CHECK(sum[0] == 0 && sum[1] == 1);
    CHECK_EQUAL(weft_registry_stop(channel), 0);
    close_all();
}

static void *hit_for_ever(void *argument)
{
    const uint32_t source = (uint32_t)(uintptr_t)argument;
    for (uint64_t n = 0; !__atomic_load_n(&enough, __ATOMIC_ACQUIRE); n++) {
        weft_tracepoint(weft_filtered, pair, source, n, "text");
        __atomic_store_n(&calls[source], n, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void let_threads_run(void)
{
    for (int i = 0; i < THREADS; i++) {
        const uint64_t until = __atomic_load_n(&calls[i], __ATOMIC_ACQUIRE) + CALLS;
        while (__atomic_load_n(&calls[i], __ATOMIC_ACQUIRE) < until)
            sched_yield();
    }
}

/* Bytes committed while every thread goes through some calls. */
static uint64_t grown(void)
{
    uint64_t sum[2] = { 0, 0 };
    let_threads_run();
    for (int i = 0; i < 2; i++) {
        for (uint32_t cpu = 0; cpu < seam.geometry.cpu_count; cpu++)
            sum[i] += __atomic_load_n(&seam_ring(&seam, cpu)->position, __ATOMIC_ACQUIRE) >> WEFT_POS_SHIFT;
        if (i == 0)
            let_threads_run();
    }
    return sum[1] - sum[0];
}

static void replaced_under_load(void)
{
    pthread_t threads[THREADS];
    open_all();
    enough = 0;
    CHECK_EQUAL(set_comparison(NUMBER, LT, 0), 0);
    CHECK_EQUAL(weft_registry_start(channel), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, hit_for_ever, (void *)i), 0);
    for (int round = 0; round < 10 && !seam_failed_here; round++) {
        CHECK_EQUAL(set_comparison(NUMBER, LT, 0), 0);
        CHECK_EQUAL(grown(), 0);
        for (int i = 0; i < 100; i++) /* in haste, and taken away in between */
            CHECK_EQUAL(i % 7 ? set_comparison(SOURCE, EQ, i % 20) : set(NULL), 0);
        CHECK_EQUAL(set_comparison(PARITY, EQ, 0), 0);
        CHECK(grown() > 0);
    }
    CHECK_EQUAL(weft_registry_stop(channel), 0);
    __atomic_store_n(&enough, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    close_all();
}

static void cases(enum weft_sync sync)
{
    sync_mode = sync;
    seam_case("an event that is rejected changes no byte of a ring", nothing_of_the_rejected);
    seam_case("a point that comes later has the filter of its event", point_that_comes_later);
    seam_case("filters are replaced while threads record, and hold when the command returns", replaced_under_load);
}

int main(void)
{
    if (weft_registry_init() == 0 && weft_rseq_available())
        cases(WEFT_SYNC_RSEQ);
    else
        printf("ok - # skip: no restartable sequences here\n");
    cases(WEFT_SYNC_LOCK);
    return seam_failures ? 1 : 0;
}
