/* What recording costs, in ns per event, without any daemon: one thread, a reader that frees the ring as fast as it fills. Each
 * figure is the best of some blocks: whatever else the machine does only adds. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ring/format.h"
#include "ust/clock.h"
#include "ust/commit.h"
#include "ust/context.h"
#include "ust/filter.h"
#include "ust/map.h"
#include "ust/tap.h"
#include "ust/record.h"
#include "ust/test_bytecode.h"
#include "ust/wire.h"
#include "weft/serialize.h"

#define BLOCKS 20
#define EVENTS 1000000 /* of a block */

static struct weft_clock_page page;
static struct weft_channel channel;
static struct weft_target target;

static void calibrate(void)
{
    const uint64_t ticks = weft_counter(), ns = weft_clock_system();
    while (weft_clock_system() - ns < 50000000)
        ;
    const uint64_t mult = (uint64_t)(((unsigned __int128)(weft_clock_system() - ns) << 32) / (weft_counter() - ticks));
    page.parameters[0] = (struct weft_clock_parameters){ ticks, ns, mult, 0 };
    page.valid = 1;
}

static struct weft_reader_page *open_channel(enum weft_sync sync, const struct weft_context_wanted *contexts, uint32_t count)
{
    const struct weft_geometry g = { .cpu_count = 64, .subbuf_size = 1 << 20, .subbuf_count = 8, .sync = (uint8_t)sync };
    const uint8_t id[16] = { 0 };
    uint32_t cpus[64];
    for (uint32_t i = 0; i < 64; i++)
        cpus[i] = i;
    int ring_fd, reader_fd;
    uint64_t bytes;
    if (weft_ring_set_create(&g, id, cpus, 4, &ring_fd, &reader_fd, &bytes) || weft_channel_map(&channel, &g, ring_fd, reader_fd) ||
        weft_channel_contexts(&channel, contexts, count))
        exit(1);
    channel.clock = &page;
    channel.application = 1;
    target.channel = &channel;
    target.public.on = 1;
    return mmap(NULL, weft_reader_memory_bytes(&g), PROT_READ | PROT_WRITE, MAP_SHARED, reader_fd, 0);
}

static __attribute__((noinline)) void probe(struct weft_sink *sink, int a, uint64_t b)
{
    char stage[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL];
    char *payload = stage + WEFT_STAGE_HEADROOM;
    memcpy(payload, &a, 4);
    memcpy(payload + 4, &b, 8);
    weft_record(sink, payload, 12, __builtin_return_address(0));
}

static double best;

static void begin_blocks(void)
{
    best = 1e9;
}

static void note_block(uint64_t begin)
{
    const double ns = (double)(weft_clock_system() - begin) / EVENTS;
    best = ns < best ? ns : best;
}

static void measure(const char *what, enum weft_sync sync, const struct weft_context_wanted *contexts, uint32_t count)
{
    struct weft_reader_page *reader = open_channel(sync, contexts, count);
    for (int cpu = 0; cpu < 64; cpu++)
        reader[cpu].consumed = UINT64_MAX >> 4; /* always free */
    begin_blocks();
    for (int block = 0; block < BLOCKS; block++) {
        const uint64_t begin = weft_clock_system();
        for (int i = 0; i < EVENTS; i++)
            probe(&target.public, i, (uint64_t)i);
        note_block(begin);
    }
    printf("%-44s %6.2f ns\n", what, best);
}

static void measure_clock(void)
{
    volatile uint64_t last;
    begin_blocks();
    for (int block = 0; block < BLOCKS; block++) {
        const uint64_t begin = weft_clock_system();
        for (int i = 0; i < EVENTS; i++)
            last = weft_clock_read(&page);
        note_block(begin);
    }
    (void)last;
    printf("%-44s %6.2f ns\n", "clock read", best);
}

/* As the provider macros make it. */
static __attribute__((noinline)) void filtered_probe(struct weft_sink *sink, int a, uint64_t b)
{
    struct weft_value values[3];
    weft_value_integer(&values[0], &a, sizeof(a), WEFT_INT_SIGNED);
    weft_value_integer(&values[1], &b, sizeof(b), 0);
    if (weft_evaluate(sink, values, 2, __builtin_return_address(0)))
        probe(sink, a, b);
}

/* a > 100 && b < 5, of which the second part rejects every event: the whole program runs. */
static void measure_rejected(void)
{
    static const struct weft_field fields[] = {
        { .name = "a", .kind = WEFT_KIND_INTEGER, .integer = { 32, WEFT_INT_SIGNED, 10 } },
        { .name = "b", .kind = WEFT_KIND_INTEGER, .integer = { 64, 0, 10 } },
    };
    struct weft_filter *filter;
    struct program p = program_begin();
    COMPARE(&p, 0, GT, 100);
    WORD(&p, WEFT_OP_JUMP_IF_FALSE, program_here(&p) + 3 + 13);
    COMPARE(&p, 1, LT, 5);
    RETURN(&p);
    if (weft_filter_verify(p.bytes, p.length, fields, 2, &filter))
        exit(1);
    target.filter = filter;
    begin_blocks();
    for (int block = 0; block < BLOCKS; block++) {
        const uint64_t begin = weft_clock_system();
        for (int i = 0; i < EVENTS; i++)
            filtered_probe(&target.public, i + 101, (uint64_t)i + 5);
        note_block(begin);
    }
    target.filter = NULL;
    weft_filter_free(filter);
    printf("%-44s %6.2f ns\n", "rejected by a > 100 && b < 5", best);
}

struct bench_tap {
    struct weft_tap tap;
    struct weft_map map;
};

static void hit(struct weft_tap *tap, const struct weft_value *values, uint32_t count, void *ip)
{
    (void)values, (void)count, (void)ip;
    weft_map_add(&((struct bench_tap *)tap)->map, 0);
}

/* What a rule without a filter costs a point that is counted. */
static void measure_count(uint32_t bits)
{
    const struct weft_map_geometry g = { 64, 1, bits };
    char *memory = calloc(1, weft_map_bytes(&g));
    struct bench_tap t = { { hit, 0 }, { .geometry = g, .stride = weft_map_stride(&g), .memory = memory } };
    target.public.on = 1;
    target.tap = &t.tap;
    begin_blocks();
    for (int block = 0; memory && block < BLOCKS; block++) {
        const uint64_t begin = weft_clock_system();
        for (int i = 0; i < EVENTS; i++)
            weft_evaluate(&target.public, NULL, 0, NULL);
        note_block(begin);
    }
    target.tap = NULL;
    free(memory);
    printf("count into a map of %u bits %17s %6.2f ns\n", bits, "", best);
}

/* What stands at a call site when nobody records: the loop around it is measured too, and taken off. */
static void measure_disabled(void)
{
    static struct weft_point point;
    double took[2];
    for (int with = 0; with < 2; with++) {
        begin_blocks();
        for (int block = 0; block < BLOCKS; block++) {
            const uint64_t begin = weft_clock_system();
            for (int i = 0; i < EVENTS; i++) {
                if (with && __builtin_expect(!!__atomic_load_n(&point.sinks, __ATOMIC_RELAXED), 0))
                    probe(point.sinks, i, 0);
                __asm__ volatile("" ::: "memory");
            }
            note_block(begin);
        }
        took[with] = best;
    }
    printf("%-44s %6.2f ns\n", "disabled instrumentation point", took[1] - took[0]);
}

int main(void)
{
    static const struct weft_context_wanted contexts[] = { { .type = WEFT_CONTEXT_VPID }, { .type = WEFT_CONTEXT_VTID }, { .type = WEFT_CONTEXT_PROCNAME } };
    calibrate();
    weft_context_init();
    measure_disabled();
    measure_clock();
    measure_rejected();
    measure_count(32);
    measure_count(64);
    if (weft_rseq_available()) {
        measure("record int, u64 (restartable sequence)", WEFT_SYNC_RSEQ, NULL, 0);
        measure("the same with vpid, vtid, procname", WEFT_SYNC_RSEQ, contexts, 3);
    }
    measure("record int, u64 (lock)", WEFT_SYNC_LOCK, NULL, 0);
    return 0;
}
