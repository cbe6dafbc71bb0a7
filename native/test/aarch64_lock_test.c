/*
 * Recording in lock mode on another processor: threads record side by side, then what lies in the rings is compared with what was
 * emitted. Built statically for aarch64 and run by qemu-user (`make aarch64-check`), which has no restartable sequences: this
 * says nothing about those.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "test/decode.h"
#include "ust/commit.h"
#include "ust/test_seam.h"

#define THREADS 4
#define EVENTS 5000

static struct seam seam;
static struct weft_target targets[3];
static const uint32_t ids[3] = { 3, 300, 70000 };

struct content {
    uint64_t next[THREADS];
    const char *wrong;
};

static uint32_t extra_bytes(uint64_t number)
{
    return (uint32_t)(number * 7 % 120);
}

static uint32_t visit(const struct decoded *r, void *argument)
{
    struct content *c = argument;
    const uint32_t thread = decode_u32(r->payload);
    const uint64_t number = decode_u64(r->payload + 4);
    const uint32_t extra = extra_bytes(number);
    if (thread >= THREADS || r->id != ids[number % 3]) {
        c->wrong = "no record of ours";
        return 4096;
    }
    if (number < c->next[thread])
        c->wrong = "out of order";
    for (uint32_t i = 0; i < extra; i++) {
        if (r->payload[SEAM_PAYLOAD_BYTES + i] != (number & 0x7f))
            c->wrong = "a byte of a record";
    }
    c->next[thread] = number + 1;
    return SEAM_PAYLOAD_BYTES + extra;
}

static void *emit_all(void *thread)
{
    for (uint64_t i = 0; i < EVENTS; i++)
        seam_emit(&targets[i % 3], (uint32_t)(uintptr_t)thread, i, extra_bytes(i));
    return NULL;
}

static void balance(enum weft_mode mode)
{
    static const struct weft_context_wanted contexts[] = { { .type = 1 }, { .type = 2 } };
    const struct weft_geometry g = { .cpu_count = (uint32_t)sysconf(_SC_NPROCESSORS_CONF), .subbuf_size = 16384, .subbuf_count = 16,
                                     .mode = (uint8_t)mode, .sync = WEFT_SYNC_LOCK };
    pthread_t threads[THREADS];
    uint64_t accounted = 0, recorded = 0;
    seam_open(&seam, &g, contexts, 2);
    for (int i = 0; i < 3; i++)
        targets[i] = seam_target(&seam, ids[i]);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, emit_all, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t cpu = 0; cpu < g.cpu_count; cpu++) {
        struct content c = { { 0 }, NULL };
        const struct decode_totals t = decode_ring(seam.ring_memory, &g, cpu, seam.channel.context_bytes, visit, &c);
        CHECK(!t.wrong && !c.wrong);
        recorded += t.records;
        accounted += t.records + t.overwritten + t.lost;
    }
    CHECK(recorded > 0);
    CHECK_EQUAL(accounted, THREADS * EVENTS);
    seam_close(&seam);
}

static void discarding(void)
{
    balance(WEFT_MODE_DISCARD);
}

static void overwriting(void)
{
    balance(WEFT_MODE_OVERWRITE);
}

int main(void)
{
    struct utsname machine;
    uname(&machine);
    printf("# %s, lock mode only: restartable sequences %s here\n", machine.machine,
           weft_rseq_available() ? "exist too, but are not used" : "do not exist");
    seam_case("recorded and lost make up what was emitted, lock mode, discard", discarding);
    seam_case("recorded and lost make up what was emitted, lock mode, overwrite", overwriting);
    return seam_failures ? 1 : 0;
}
