/*
 * Many threads whose signal handlers trace in the middle of recording: recorded + overwritten + lost = emitted, exactly; per CPU
 * each source's numbers rise and time does not go back; nothing twice. And: once a target is off and the sequences were
 * restarted (as STOP does), nothing is committed any more.
 */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "test/decode.h"
#include "ust/commit.h"
#include "ust/test_seam.h"

#define THREADS 4
#define EVENTS 60000
#define SOURCES (2 * THREADS) /* a thread and its signal handler are two */
#define CPUS 64

static struct seam seam;
static struct weft_target target;
static uint64_t emitted[SOURCES];
static int running;
static __thread uint32_t self;

static void trace_in_handler(int signal)
{
    (void)signal;
    seam_emit(&target, THREADS + self, emitted[THREADS + self]++, 0);
}

static void *emit_all(void *number)
{
    self = (uint32_t)(uintptr_t)number;
    sigset_t traced;
    sigemptyset(&traced);
    sigaddset(&traced, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &traced, NULL);
    for (uint64_t i = 0; i < EVENTS; i++)
        seam_emit(&target, self, emitted[self]++, (uint32_t)(i % 40));
    pthread_sigmask(SIG_BLOCK, &traced, NULL);
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
    return NULL;
}

struct check {
    uint64_t next[SOURCES];
    uint64_t timestamp;
    const char *wrong;
};

static uint32_t visit(const struct decoded *r, void *context)
{
    struct check *c = context;
    const uint32_t source = decode_u32(r->payload);
    const uint64_t number = decode_u64(r->payload + 4);
    if (source >= SOURCES) {
        c->wrong = "no source of ours";
        return SEAM_PAYLOAD_BYTES;
    }
    if (number < c->next[source] || r->timestamp < c->timestamp)
        c->wrong = "twice, or out of order";
    c->next[source] = number + 1;
    c->timestamp = r->timestamp;
    return SEAM_PAYLOAD_BYTES + (source < THREADS ? (uint32_t)(number % 40) : 0);
}

static void judge(void)
{
    uint64_t accounted = 0, wanted = 0;
    for (int i = 0; i < SOURCES; i++)
        wanted += emitted[i];
    for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
        struct check c = { { 0 }, 0, NULL };
        const struct decode_totals t = decode_ring(seam.ring_memory, &seam.geometry, cpu, 0, visit, &c);
        if (t.wrong || c.wrong)
            printf("# CPU %u: %s\n", cpu, t.wrong ? t.wrong : c.wrong);
        CHECK(!t.wrong && !c.wrong);
        accounted += t.records + t.overwritten + t.lost;
    }
    CHECK_EQUAL(accounted, wanted);
    CHECK(wanted > THREADS * EVENTS); /* handlers did trace */
}

static void run(enum weft_sync sync, enum weft_mode mode)
{
    const struct weft_geometry g = { .cpu_count = CPUS, .subbuf_size = 1 << 14, .subbuf_count = 8, .mode = (uint8_t)mode,
                                     .sync = (uint8_t)sync };
    pthread_t threads[THREADS];
    seam_open(&seam, &g, NULL, 0);
    target = seam_target(&seam, 40);
    memset(emitted, 0, sizeof(emitted));
    running = THREADS;
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, emit_all, (void *)i);
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
        for (int i = 0; i < THREADS; i++)
            pthread_kill(threads[i], SIGUSR1);
        sched_yield();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    judge();
    seam_close(&seam);
}

static void rseq_discard(void) { run(WEFT_SYNC_RSEQ, WEFT_MODE_DISCARD); }
static void rseq_overwrite(void) { run(WEFT_SYNC_RSEQ, WEFT_MODE_OVERWRITE); }
static void lock_discard(void) { run(WEFT_SYNC_LOCK, WEFT_MODE_DISCARD); }
static void lock_overwrite(void) { run(WEFT_SYNC_LOCK, WEFT_MODE_OVERWRITE); }

static void *emit_until_off(void *unused)
{
    (void)unused;
    /* Large ones: a thread is in the middle of copying more often than not. */
    for (uint64_t i = 0; __atomic_load_n(&running, __ATOMIC_ACQUIRE); i++)
        seam_emit(&target, 0, i, 12000);
    return NULL;
}

static uint64_t positions(void)
{
    uint64_t sum = 0;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        sum += __atomic_load_n(&seam_ring(&seam, cpu)->position, __ATOMIC_ACQUIRE);
    return sum;
}

#define ROUNDS 120
/* Off, grace, look, look again after the other threads were let run: many times, with more threads than CPUs. */
static void stop_grace(enum weft_sync sync)
{
    const struct weft_geometry g = { .cpu_count = CPUS, .subbuf_size = 1 << 14, .subbuf_count = 8, .mode = WEFT_MODE_OVERWRITE,
                                     .sync = (uint8_t)sync };
    pthread_t threads[THREADS];
    seam_open(&seam, &g, NULL, 0);
    target = seam_target(&seam, 1);
    running = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, emit_until_off, NULL);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        __atomic_store_n(&target.public.on, round, __ATOMIC_RELEASE);
        const uint64_t before = positions();
        while (positions() == before)
            sched_yield();
        __atomic_store_n(&target.public.on, 0, __ATOMIC_RELEASE);
        if (sync == WEFT_SYNC_RSEQ)
            syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
        else
            CHECK_EQUAL(weft_channel_quiesce(&seam.channel), 0);
        const uint64_t at_stop = positions();
        sched_yield();
        CHECK_EQUAL(positions(), at_stop);
    }
    __atomic_store_n(&running, 0, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    seam_close(&seam);
}

static void rseq_stop(void) { stop_grace(WEFT_SYNC_RSEQ); }
static void lock_stop(void) { stop_grace(WEFT_SYNC_LOCK); }

int main(void)
{
    alarm(100); /* a thread that is held up ends the test */
    struct sigaction action = { .sa_handler = trace_in_handler };
    sigaction(SIGUSR1, &action, NULL);
    sigset_t traced;
    sigemptyset(&traced);
    sigaddset(&traced, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &traced, NULL);
    if (weft_rseq_available() && syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0) {
        seam_case("threads with tracing signal handlers: every event is accounted for, in order (discard)", rseq_discard);
        seam_case("threads with tracing signal handlers: every event is accounted for, in order (overwrite)", rseq_overwrite);
        seam_case("after a stop no thread commits", rseq_stop);
    } else {
        printf("ok - restartable sequences # SKIP this system has none\n");
    }
    seam_case("under locks: every event is accounted for, in order (discard)", lock_discard);
    seam_case("under locks: every event is accounted for, in order (overwrite)", lock_overwrite);
    seam_case("under locks: after a stop no thread commits", lock_stop);
    return seam_failures ? 1 : 0;
}
