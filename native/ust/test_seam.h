/*
 * The record path without any daemon, for native tests (link libweft-ust.a). One ring set, mapped as an application would, and the
 * means to look at it and to play the reader:
 *
 *     struct seam s;
 *     seam_open(&s, &geometry, contexts, 2);      ring set, channel; every ring has memory
 *     struct weft_target t = seam_target(&s, 7);  a (point, channel) that is on, event id 7
 *     seam_emit(&t, thread, number, extra);       one event {i32 thread, u64 number, extra bytes}, as a probe records it
 *     s.ring_memory, seam_ring(&s, cpu)           what lies in shared memory
 *     s.reader[cpu].consumed = ...                what only a reader may write
 *     seam_close(&s);
 *
 * The clock is `s.clock`, whose time the test sets (seam_time), or the real one (seam_real_time). A target is switched off by
 * t.public.on = 0; another generation is any other nonzero number.
 */
#ifndef WEFT_UST_TEST_SEAM_H
#define WEFT_UST_TEST_SEAM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/format.h"
#include "ust/clock.h"
#include "ust/context.h"
#include "ust/record.h"

#define SEAM_PAYLOAD_BYTES 12u

struct seam {
    struct weft_geometry geometry;
    struct weft_channel channel;
    struct weft_clock_page clock;
    uint8_t *ring_memory;
    struct weft_reader_page *reader; /* writable */
    int ring_fd, reader_fd;
};

static inline struct weft_ring *seam_ring(const struct seam *s, uint32_t cpu)
{
    return (struct weft_ring *)(s->ring_memory + weft_control_offset(&s->geometry, cpu));
}

/* From now on every reading of the clock gives `ns`. */
static inline void seam_time(struct seam *s, uint64_t ns)
{
    s->clock.valid = 1;
    s->clock.parameters[0] = (struct weft_clock_parameters){ 0, ns, 0, 0 };
}

static inline void seam_real_time(struct seam *s)
{
    s->clock.valid = 0;
}

static inline void seam_open(struct seam *s, const struct weft_geometry *g, const struct weft_context_wanted *contexts, uint32_t count)
{
    static const uint8_t id[16] = { 42 };
    uint32_t *cpus = calloc(g->cpu_count, sizeof(*cpus));
    uint64_t bytes;
    for (uint32_t i = 0; cpus && i < g->cpu_count; i++)
        cpus[i] = i;
    memset(s, 0, sizeof(*s));
    s->geometry = *g;
    weft_context_init();
    if (!cpus || weft_ring_set_create(g, id, cpus, g->cpu_count, &s->ring_fd, &s->reader_fd, &bytes) ||
        weft_channel_map(&s->channel, g, s->ring_fd, s->reader_fd) || weft_channel_contexts(&s->channel, contexts, count)) {
        printf("not ok - a ring set can be made and mapped\n");
        exit(1);
    }
    free(cpus);
    s->channel.clock = &s->clock;
    s->channel.application = 1;
    s->ring_memory = (uint8_t *)s->channel.memory;
    s->reader = mmap(NULL, weft_reader_memory_bytes(g), PROT_READ | PROT_WRITE, MAP_SHARED, s->reader_fd, 0);
}

static inline void seam_close(struct seam *s)
{
    free(s->channel.need);
    munmap(s->ring_memory, weft_ring_memory_bytes(&s->geometry));
    munmap((void *)(uintptr_t)s->channel.reader, weft_reader_memory_bytes(&s->geometry));
    munmap(s->reader, weft_reader_memory_bytes(&s->geometry));
    free((void *)(uintptr_t)s->channel.contexts);
    close(s->ring_fd);
    close(s->reader_fd);
}

static inline struct weft_target seam_target(struct seam *s, uint32_t event_id)
{
    return (struct weft_target){ .public = { .on = 1 }, .event_id = event_id, .channel = &s->channel };
}

static inline void seam_emit(struct weft_target *t, uint32_t thread, uint64_t number, uint32_t extra)
{
    char small[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL], *large = NULL, *payload = small + WEFT_STAGE_HEADROOM;
    if (SEAM_PAYLOAD_BYTES + extra > WEFT_STAGE_STACK) {
        large = calloc(1, WEFT_STAGE_HEADROOM + SEAM_PAYLOAD_BYTES + extra + WEFT_STAGE_TAIL);
        payload = large + WEFT_STAGE_HEADROOM;
    }
    memcpy(payload, &thread, 4);
    memcpy(payload + 4, &number, 8);
    memset(payload + SEAM_PAYLOAD_BYTES, (int)(number & 0x7f), extra);
    weft_record(&t->public, payload, SEAM_PAYLOAD_BYTES + extra, __builtin_return_address(0));
    free(large);
}

/* ---- the test program: one `ok` or `not ok` line per case ---- */

static int seam_failures, seam_failed_here;

#define CHECK(holds)                                                          \
    do {                                                                      \
        if (!(holds)) {                                                       \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #holds);              \
            seam_failed_here = 1;                                             \
        }                                                                     \
    } while (0)
#define CHECK_EQUAL(got, wanted)                                                                                             \
    do {                                                                                                                     \
        const long long got_ = (long long)(got), wanted_ = (long long)(wanted);                                              \
        if (got_ != wanted_) {                                                                                               \
            printf("# %s:%d: %s is %lld, not %s = %lld\n", __FILE__, __LINE__, #got, got_, #wanted, wanted_);                \
            seam_failed_here = 1;                                                                                            \
        }                                                                                                                    \
    } while (0)

static inline void seam_case(const char *name, void (*run)(void))
{
    seam_failed_here = 0;
    run();
    seam_failures += seam_failed_here;
    printf("%s - %s\n", seam_failed_here ? "not ok" : "ok", name);
    fflush(stdout);
}

#endif
