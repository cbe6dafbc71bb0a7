/* The record path, one thread on one CPU: what lies in the ring after each kind of record, in both modes. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test/decode.h"
#include "ust/commit.h"
#include "ust/lock.h"
#include "ust/test_seam.h"
#include "ust/wire.h"

#define SMALL 4096u

static enum weft_sync sync_mode;

static struct weft_geometry geometry(uint32_t subbuf_count, enum weft_mode mode)
{
    return (struct weft_geometry){ .cpu_count = 1, .subbuf_size = SMALL, .subbuf_count = subbuf_count, .mode = (uint8_t)mode,
                                   .sync = (uint8_t)sync_mode };
}

static void open_small(struct seam *s, uint32_t subbuf_count, enum weft_mode mode)
{
    const struct weft_geometry g = geometry(subbuf_count, mode);
    seam_open(s, &g, NULL, 0);
}

/* What the decoder found, for comparison with what was emitted. */
struct found {
    struct decoded records[2000];
    uint64_t numbers[2000];
    uint32_t count;
    uint32_t extra; /* of every record */
};

static uint32_t collect(const struct decoded *r, void *context)
{
    struct found *f = context;
    if (f->count < 2000) {
        f->records[f->count] = *r;
        f->numbers[f->count++] = decode_u64(r->payload + 4);
    }
    return SEAM_PAYLOAD_BYTES + f->extra;
}

static struct decode_totals decode(const struct seam *s, struct found *f)
{
    f->count = 0;
    return decode_ring(s->ring_memory, &s->geometry, 0, s->channel.context_bytes, collect, f);
}

static struct found found;

static void reads_back(void)
{
    static const uint32_t ids[] = { 0, 29, 30, 65535, 65536, UINT32_MAX };
    static const uint32_t header[] = { 4, 4, 6, 6, 13, 13 };
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    uint64_t now = seam_ring(&s, 0)->slot[0].last_timestamp, position = 0;
    for (int i = 0; i < 12; i++) {
        struct weft_target t = seam_target(&s, ids[i % 6]);
        now += i < 6 ? 5 : 1u << WEFT_TIMESTAMP_BITS; /* just too long a step for a short header */
        seam_time(&s, now);
        seam_emit(&t, 1, (uint64_t)i, 0);
        position += SEAM_PAYLOAD_BYTES + (i < 6 ? header[i] : WEFT_HEADER_MAX);
        CHECK_EQUAL(seam_ring(&s, 0)->position >> WEFT_POS_SHIFT, position);
    }
    found.extra = 0;
    const struct decode_totals t = decode(&s, &found);
    CHECK(!t.wrong && found.count == 12);
    for (uint32_t i = 0; i < found.count; i++)
        CHECK(found.records[i].id == ids[i % 6] && found.numbers[i] == i);
    CHECK_EQUAL(found.records[11].timestamp, now);
    seam_close(&s);
}

static void time_stands(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    struct weft_target t = seam_target(&s, 1);
    const uint64_t now = seam_ring(&s, 0)->slot[0].last_timestamp + 1000;
    seam_time(&s, now);
    seam_emit(&t, 1, 0, 0);
    seam_time(&s, now - 900);
    seam_emit(&t, 1, 1, 0);
    seam_time(&s, now + 1);
    seam_emit(&t, 1, 2, 0);
    found.extra = 0;
    CHECK(!decode(&s, &found).wrong);
    CHECK_EQUAL(found.records[1].timestamp, now);
    CHECK_EQUAL(found.records[2].timestamp, now + 1);
    seam_close(&s);
}

static void all_lengths(void)
{
    struct seam s;
    for (uint32_t extra = 0; extra < 1200; extra += extra < 150 ? 1 : 37) {
        open_small(&s, 2, WEFT_MODE_DISCARD);
        struct weft_target t = seam_target(&s, 1);
        seam_time(&s, seam_ring(&s, 0)->slot[0].last_timestamp);
        seam_emit(&t, 9, 77, extra);
        seam_emit(&t, 9, 78, extra);
        found.extra = extra;
        CHECK(!decode(&s, &found).wrong && found.count == 2 && found.numbers[1] == 78);
        for (uint32_t i = 0; i < extra && found.count == 2; i++)
            CHECK(found.records[0].payload[SEAM_PAYLOAD_BYTES + i] == 77 && found.records[1].payload[SEAM_PAYLOAD_BYTES + i] == 78);
        seam_close(&s);
    }
}

static void counts_full(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    struct weft_target t = seam_target(&s, 1);
    for (uint64_t i = 0; i < 2000; i++)
        seam_emit(&t, 1, i, 0);
    struct weft_ring *ring = seam_ring(&s, 0);
    const uint64_t recorded = ring->slot[ring->position & 1].event_count;
    CHECK_EQUAL(recorded + ring->lost[WEFT_LOST_FULL], 2000);
    CHECK(recorded > 900 && recorded < 1100);
    found.extra = 0;
    CHECK(!decode(&s, &found).wrong);
    CHECK_EQUAL(found.count, recorded);
    /* One sub-buffer is given back: so many more fit, and no more. */
    s.reader[0].consumed = SMALL;
    for (uint64_t i = 0; i < 2000; i++)
        seam_emit(&t, 1, 2000 + i, 0);
    const uint64_t later = ring->slot[ring->position & 1].event_count;
    CHECK_EQUAL(later + ring->lost[WEFT_LOST_FULL], 4000);
    CHECK_EQUAL(ring->position >> WEFT_POS_SHIFT >> 12, 4);
    /* What a reader can claim at most costs records, never the end of the program. */
    s.reader[0].consumed = UINT64_MAX;
    for (uint64_t i = 0; i < 2000; i++)
        seam_emit(&t, 1, i, 0);
    CHECK_EQUAL(ring->slot[ring->position & 1].event_count, later + 2000);
    seam_close(&s);
}

static void overwrites(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_OVERWRITE);
    struct weft_target t = seam_target(&s, 1);
    for (uint64_t i = 0; i < 5000; i++)
        seam_emit(&t, 1, i, 0);
    found.extra = 0;
    const struct decode_totals totals = decode(&s, &found);
    CHECK(!totals.wrong);
    CHECK_EQUAL(totals.records + totals.overwritten, 5000);
    CHECK_EQUAL(totals.lost, 0);
    CHECK_EQUAL(found.numbers[0], totals.overwritten);
    CHECK_EQUAL(found.numbers[found.count - 1], 4999);
    seam_close(&s);
}

static void too_big(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    struct weft_target t = seam_target(&s, 1);
    seam_time(&s, seam_ring(&s, 0)->slot[0].last_timestamp);
    const uint32_t largest = SMALL - WEFT_TAIL_SLACK - 4 - SEAM_PAYLOAD_BYTES;
    seam_emit(&t, 1, 0, largest + 1);
    CHECK_EQUAL(seam_ring(&s, 0)->lost[WEFT_LOST_TOO_BIG], 1);
    CHECK_EQUAL(seam_ring(&s, 0)->position, 0);
    seam_emit(&t, 1, 1, largest);
    seam_emit(&t, 1, 2, largest);
    CHECK_EQUAL(seam_ring(&s, 0)->lost[WEFT_LOST_TOO_BIG], 1);
    found.extra = largest;
    CHECK(!decode(&s, &found).wrong);
    CHECK_EQUAL(found.count, 2);
    seam_close(&s);
}

static int times_starved;

static void starved(void)
{
    times_starved++;
}

static void no_memory(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    struct weft_target t = seam_target(&s, 1);
    weft_record_starved = starved;
    times_starved = 0;
    seam_ring(&s, 0)->ready = 0;
    seam_emit(&t, 1, 0, 0);
    seam_emit(&t, 1, 0, 0);
    uint32_t cpu = 77;
    CHECK_EQUAL(times_starved, 1);
    CHECK(weft_channel_ask(&s.channel, &cpu) && cpu == 0);
    CHECK(!weft_channel_ask(&s.channel, &cpu));
    weft_channel_ask_again(&s.channel);
    CHECK(weft_channel_ask(&s.channel, &cpu) && cpu == 0);
    seam_ring(&s, 0)->ready = 1;
    weft_channel_ask_again(&s.channel);
    CHECK(!weft_channel_ask(&s.channel, &cpu));
    s.channel.cpu_count = 0; /* this thread's CPU is none of the set's */
    seam_emit(&t, 1, 1, 0);
    CHECK_EQUAL(seam_ring(&s, 0)->lost[WEFT_LOST_NO_MEMORY], 3);
    CHECK_EQUAL(seam_ring(&s, 0)->position, 0);
    seam_close(&s);
}

/* A ring that is frozen holds the same bytes afterwards, and each event is counted once. */
static void frozen_case(enum weft_sync sync)
{
    struct weft_geometry g = geometry(4, WEFT_MODE_OVERWRITE);
    g.sync = (uint8_t)sync;
    struct seam s;
    seam_open(&s, &g, NULL, 0);
    struct weft_target t = seam_target(&s, 1);
    const uint64_t now = weft_clock_system() + 1000000000; /* later than what the ring begins with */
    seam_time(&s, now);
    seam_emit(&t, 1, 0, 0);
    const uint64_t position = seam_ring(&s, 0)->position;
    s.reader[0].frozen_until = now + WEFT_FREEZE_MAX_NS;
    for (uint64_t i = 1; i <= 5000; i++) /* more than the ring would hold */
        seam_emit(&t, 1, i, 0);
    CHECK_EQUAL(seam_ring(&s, 0)->position, position);
    CHECK_EQUAL(seam_ring(&s, 0)->lost[WEFT_LOST_FROZEN], 5000);
    s.reader[0].frozen_until = 0; /* lifted */
    seam_emit(&t, 1, 5001, 0);
    s.reader[0].frozen_until = now + 100;
    seam_time(&s, now + 100); /* ended by itself */
    seam_emit(&t, 1, 5002, 0);
    s.reader[0].frozen_until = now + 101 + WEFT_FREEZE_MAX_NS; /* nobody may ask for that much */
    seam_emit(&t, 1, 5003, 0);
    CHECK_EQUAL(seam_ring(&s, 0)->lost[WEFT_LOST_FROZEN], 5000);
    found.extra = 0;
    CHECK(!decode(&s, &found).wrong);
    CHECK_EQUAL(found.numbers[0], 0);
    CHECK_EQUAL(found.numbers[1], 5001);
    CHECK_EQUAL(found.numbers[3], 5003);
    seam_close(&s);
}

static void frozen(void)
{
    frozen_case(WEFT_SYNC_RSEQ);
}

static void frozen_under_lock(void)
{
    frozen_case(WEFT_SYNC_LOCK);
}

static void contexts(void)
{
    static const struct weft_context_wanted types[] = {
        { .type = WEFT_CONTEXT_VPID }, { .type = WEFT_CONTEXT_VTID },       { .type = WEFT_CONTEXT_PROCNAME },
        { .type = WEFT_CONTEXT_IP },   { .type = WEFT_CONTEXT_PTHREAD_ID }, { .type = WEFT_CONTEXT_CPU_ID },
    };
    const struct weft_geometry g = geometry(4, WEFT_MODE_DISCARD);
    struct seam s;
    seam_open(&s, &g, types, 6);
    CHECK_EQUAL(s.channel.context_bytes, 4 + 4 + 17 + 8 + 8 + 4);
    struct weft_target t = seam_target(&s, 1);
    seam_emit(&t, 5, 6, 0);
    found.extra = 0;
    CHECK(!decode(&s, &found).wrong);
    const uint8_t *c = found.records[0].payload - s.channel.context_bytes;
    char name[17] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    CHECK_EQUAL(decode_u32(c), getpid());
    CHECK_EQUAL(decode_u32(c + 4), syscall(SYS_gettid));
    CHECK(strcmp((const char *)c + 8, name) == 0);
    CHECK(decode_u64(c + 25) != 0);
    CHECK_EQUAL(decode_u64(c + 33), pthread_self());
    CHECK_EQUAL(decode_u32(c + 41), 0);
    CHECK_EQUAL(found.numbers[0], 6);
    seam_close(&s);
}

static void switched_off(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    struct weft_target t = seam_target(&s, 1);
    t.public.on = 0;
    errno = 4711;
    seam_emit(&t, 1, 0, 0);
    seam_emit(&t, 1, 0, 5000);
    CHECK_EQUAL(seam_ring(&s, 0)->position, 0);
    t.public.on = 77;
    seam_emit(&t, 1, 0, 0);
    seam_emit(&t, 1, 0, 5000);
    CHECK(seam_ring(&s, 0)->position != 0);
    CHECK_EQUAL(errno, 4711);
    seam_close(&s);
}

/* The reader is woken when a sub-buffer fills and it sleeps, and is not disturbed otherwise. */
static void wakes(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_OVERWRITE);
    struct weft_target t = seam_target(&s, 1);
    const struct weft_set_header *header = (const struct weft_set_header *)s.ring_memory;
    for (uint64_t i = 0; i < 1000; i++)
        seam_emit(&t, 1, i, 0);
    CHECK_EQUAL(header->doorbell, 0);
    s.reader[0].sleeping = 1;
    const uint64_t before = seam_ring(&s, 0)->position >> WEFT_POS_SHIFT >> 12;
    for (uint64_t i = 0; i < 1000; i++)
        seam_emit(&t, 1, i, 0);
    CHECK_EQUAL(header->doorbell, (seam_ring(&s, 0)->position >> WEFT_POS_SHIFT >> 12) - before);
    seam_close(&s);
}

/* The reader of a live channel hears of each commit while it waits for one, and of none else. */
static void wakes_attentive(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_OVERWRITE);
    struct weft_target t = seam_target(&s, 1);
    const struct weft_set_header *header = (const struct weft_set_header *)s.ring_memory;
    seam_emit(&t, 1, 0, 0);
    CHECK_EQUAL(header->doorbell, 0);
    s.reader[0].attentive = 1;
    errno = 4711;
    seam_emit(&t, 1, 1, 0);
    seam_emit(&t, 1, 2, 0);
    CHECK_EQUAL(header->doorbell, 2);
    CHECK_EQUAL(errno, 4711);
    seam_emit(&t, 1, 3, SMALL); /* lost: there is nothing to read */
    CHECK_EQUAL(header->doorbell, 2);
    s.reader[0].attentive = 0;
    seam_emit(&t, 1, 4, 0);
    CHECK_EQUAL(header->doorbell, 2);
    seam_close(&s);
}

/* Whatever another application writes into the ring: our stores stay inside this ring's data and its control page. */
static void nonsense_in_the_ring(void)
{
    const struct weft_geometry g = { .cpu_count = 3, .subbuf_size = SMALL, .subbuf_count = 4, .mode = WEFT_MODE_OVERWRITE,
                                     .sync = (uint8_t)sync_mode };
    struct seam s;
    seam_open(&s, &g, NULL, 0);
    struct weft_target t = seam_target(&s, 1);
    struct weft_ring *ring = seam_ring(&s, 0);
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        const uint64_t noise = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
        ring->position = noise;
        ring->slot[0].last_timestamp = noise * 3;
        ring->slot[1].event_count = noise * 7;
        s.reader[0].consumed = noise * 5;
        ring->table[noise % 8].sequence = noise * 11;
        seam_emit(&t, 1, (uint64_t)i, (uint32_t)(noise % 5000));
    }
    uint64_t touched = 0;
    for (uint32_t cpu = 1; cpu < 3; cpu++) {
        touched += seam_ring(&s, cpu)->position;
        const uint64_t *data = (const uint64_t *)(s.ring_memory + weft_data_offset(&g, cpu));
        for (uint64_t i = 0; i < weft_data_bytes(&g) / 8; i++)
            touched |= data[i];
    }
    CHECK_EQUAL(touched, 0);
    seam_close(&s);
}

/* One ring for all CPUs: whichever this thread is on, and named truly in its contexts. */
static void one_for_all(void)
{
    static const struct weft_context_wanted types[] = { { .type = WEFT_CONTEXT_CPU_ID } };
    struct weft_geometry g = geometry(4, WEFT_MODE_DISCARD);
    g.allocation = WEFT_ALLOCATION_PER_CHANNEL;
    struct seam s;
    seam_open(&s, &g, types, 1);
    struct weft_target t = seam_target(&s, 1);
    cpu_set_t here, other;
    sched_getaffinity(0, sizeof(here), &here);
    CPU_ZERO(&other);
    CPU_SET(1, &other);
    const int moved = sched_setaffinity(0, sizeof(other), &other) == 0;
    seam_emit(&t, 1, 5, 0);
    sched_setaffinity(0, sizeof(here), &here);
    found.extra = 0;
    CHECK(!decode(&s, &found).wrong);
    CHECK_EQUAL(found.count, 1);
    CHECK_EQUAL(decode_u32(found.records[0].payload - 4), moved);
    seam_close(&s);
    g.sync = WEFT_SYNC_RSEQ;
    CHECK(weft_geometry_check(&g) < 0);
    g.sync = WEFT_SYNC_LOCK;
    g.cpu_count = 2;
    CHECK(weft_geometry_check(&g) < 0);
}

static void shared_cases(void)
{
    seam_case("every id and time step takes its shortest header and reads back", reads_back);
    seam_case("a clock that goes back does not make a ring's time go back", time_stands);
    seam_case("payloads of every length arrive byte for byte", all_lengths);
    seam_case("discard: what does not fit is counted exactly, and fits again when the reader gives space", counts_full);
    seam_case("overwrite: the newest stay, the overwritten are known exactly", overwrites);
    seam_case("an event larger than a sub-buffer is counted, the largest that fits is recorded", too_big);
    seam_case("events on a CPU without memory are counted, and the memory is asked for once", no_memory);
    seam_case("a frozen ring records nothing and counts exactly, and no longer than it may", frozen);
    seam_case("contexts name process, thread, name, caller and CPU", contexts);
    seam_case("a target that is off records nothing; errno is the program's", switched_off);
    seam_case("a sleeping reader is woken once per filled sub-buffer", wakes);
    seam_case("the reader of a live channel is woken by the next record", wakes_attentive);
    seam_case("nonsense in the ring sends no store outside of it", nonsense_in_the_ring);
}

/* A debugger that steps through a restartable sequence restarts it at each step: the event is given up, counted, and nothing hangs. */
__attribute__((unused)) static void single_stepped(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    struct weft_target t = seam_target(&s, 1);
    const pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        seam_emit(&t, 1, 0, 0);
        _exit(0);
    }
    int status, steps = 0;
    waitpid(pid, &status, 0);
    while (WIFSTOPPED(status) && steps++ < 5000000) {
        ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
        waitpid(pid, &status, 0);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQUAL(seam_ring(&s, 0)->lost[WEFT_LOST_RESTARTS], 1);
    CHECK_EQUAL(seam_ring(&s, 0)->position, 0);
    seam_close(&s);
}

static void held_locks(void)
{
    struct seam s;
    open_small(&s, 4, WEFT_MODE_DISCARD);
    struct weft_target t = seam_target(&s, 1);
    struct weft_ring *ring = seam_ring(&s, 0);
    ring->lock = 1ull << 32 | (uint64_t)syscall(SYS_gettid);
    seam_emit(&t, 1, 0, 0);
    CHECK_EQUAL(ring->lost[WEFT_LOST_NESTED], 1);
    ring->lock = 2ull << 32 | 5; /* another application, which does not come out */
    seam_emit(&t, 1, 1, 0);
    CHECK_EQUAL(ring->lost[WEFT_LOST_CONTENDED], 1);
    CHECK_EQUAL(ring->lock, 2ull << 32 | 5);
    ring->lock = 0; /* the daemon freed it: that application is dead */
    seam_emit(&t, 1, 2, 0);
    CHECK_EQUAL(ring->slot[ring->position & 1].event_count, 1);
    CHECK_EQUAL(ring->lock, 0);
    seam_close(&s);
}

int main(void)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    if (weft_rseq_available()) {
        sync_mode = WEFT_SYNC_RSEQ;
        shared_cases();
#if !defined(__SANITIZE_THREAD__) /* steps through its runtime for half a minute: there is one thread */
        seam_case("under a single-stepping debugger an event is given up and counted", single_stepped);
#endif
    } else {
        printf("ok - restartable sequences # SKIP this system has none\n");
    }
    printf("# under the ring's lock\n");
    sync_mode = WEFT_SYNC_LOCK;
    shared_cases();
    seam_case("one ring for all CPUs takes the events of each", one_for_all);
    seam_case("frozen with one lock for the ring: the same", frozen_under_lock);
    seam_case("a lock held by our own thread or by a dead application costs counted events", held_locks);
    return seam_failures ? 1 : 0;
}
