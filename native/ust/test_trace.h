/* The rings that a played session daemon gives to test_app, and what the program recorded into them. */
#ifndef WEFT_UST_TEST_TRACE_H
#define WEFT_UST_TEST_TRACE_H

#include <signal.h>

#include "test/decode.h"
#include "ust/commit.h"
#include "ust/test_daemon.h"

#define TRACE_CPUS 64
#define TRACE_THREADS 256 /* thread numbers that test_app gives its events */
#define TRACE_IDS 16

static enum weft_sync trace_sync; /* mode that the present run of the cases is about */

static inline void trace_open(struct seam *s)
{
    const struct weft_geometry g = { .cpu_count = TRACE_CPUS, .subbuf_size = 1 << 14, .subbuf_count = 4,
                                     .mode = WEFT_MODE_OVERWRITE, .sync = (uint8_t)trace_sync };
    seam_open(s, &g, NULL, 0);
}

struct tally {
    uint64_t total; /* committed, also what is overwritten by now */
    uint64_t by_thread[TRACE_THREADS];
    uint64_t by_id[TRACE_IDS];
    const char *wrong;
};

static inline uint32_t trace_visit(const struct decoded *r, void *context)
{
    struct tally *t = context;
    const uint32_t thread = decode_u32(r->payload);
    if (thread < TRACE_THREADS && r->id < TRACE_IDS) {
        t->by_thread[thread]++;
        t->by_id[r->id]++;
    } else {
        t->wrong = "no event of ours";
    }
    return SEAM_PAYLOAD_BYTES;
}

/* What lies in the rings now; the program must not be recording. */
static inline struct tally trace_tally(const struct seam *s)
{
    struct tally t = { 0 };
    for (uint32_t cpu = 0; cpu < TRACE_CPUS; cpu++) {
        const struct decode_totals d = decode_ring(s->ring_memory, &s->geometry, cpu, 0, trace_visit, &t);
        t.total += d.records + d.overwritten;
        if (d.wrong || d.lost)
            t.wrong = d.wrong ? d.wrong : "lost events";
    }
    return t;
}

static inline uint64_t trace_committed(const struct seam *s)
{
    uint64_t sum = 0;
    for (uint32_t cpu = 0; cpu < TRACE_CPUS; cpu++) {
        const struct weft_ring *ring = seam_ring(s, cpu);
        sum += ring->slot[__atomic_load_n(&ring->position, __ATOMIC_ACQUIRE) & WEFT_SLOT_MASK].event_count;
    }
    return sum;
}

/* The set as channel `handle`, its ring id made from `name`. */
static inline int trace_attach(struct test_daemon *d, const struct seam *s, uint32_t handle, uint8_t name)
{
    uint8_t id[16] = { name };
    return daemon_attach(d, handle, id, &s->geometry, s->ring_fd, s->reader_fd, NULL, 0);
}

/* Attach, enable `event` as `event_id`, start. 0 if all of it was acknowledged so. */
static inline int trace_record(struct test_daemon *d, const struct seam *s, uint32_t handle, const char *event, uint32_t event_id)
{
    return trace_attach(d, s, handle, (uint8_t)handle) ?: daemon_enable(d, handle, daemon_point(d, event), event_id)
                                                       ?: daemon_simple(d, WEFT_WIRE_START, handle);
}

static inline const char *trace_environment(void)
{
    return trace_sync == WEFT_SYNC_LOCK ? "WEFT_UST_FORCE_LOCK=1" : NULL;
}

/* Home, daemon, program, registered up to READY; the program waits for SYNCED. */
static inline void trace_begin(struct test_daemon *d, struct test_app *a)
{
    daemon_home(d);
    daemon_start(d);
    app_start(a, d, trace_environment());
    app_order(a, APP_REGISTER, 0);
    CHECK(daemon_register(d));
}

/* Lets the program go on: a provider and its points may come as two batches, and the program waits for the later one. */
static inline void trace_release(struct test_daemon *d, struct test_app *a)
{
    uint64_t ms;
    daemon_synced(d);
    for (int tries = 0; !app_answered(a, 10, &ms); tries++) {
        if (daemon_ready(d, 0))
            daemon_synced(d);
        if (tries > 5000) {
            CHECK(!"the program is held up");
            return;
        }
    }
}

static inline void trace_end(struct test_daemon *d, struct test_app *a)
{
    CHECK(app_end(a));
    daemon_clean_up(d);
}

/* Runs the cases in each mode that this system has. */
static inline int trace_run(void (*cases)(void))
{
    signal(SIGPIPE, SIG_IGN);
    if (weft_rseq_available()) {
        trace_sync = WEFT_SYNC_RSEQ;
        cases();
    } else {
        printf("ok - restartable sequences # SKIP this system has none\n");
    }
    printf("# under the ring's lock\n");
    trace_sync = WEFT_SYNC_LOCK;
    cases();
    return seam_failures ? 1 : 0;
}

#endif
