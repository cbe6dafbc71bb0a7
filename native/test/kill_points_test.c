/*
 * Death at every instruction of the recording path.
 *
 * A producer is stopped by a breakpoint at one instruction of weft_record and what it calls (a breakpoint, for single-stepping a
 * restartable sequence only restarts it), at its n-th arrival there, and killed. Then others go on in the same ring. What must
 * hold after each of these steps: every event that was confirmed is there or counted as lost, and at most the one more that the
 * victim was at; nothing twice, everything in order, the tables agree with the records, nobody is held up.
 *
 * Singles: every instruction, in four settings. Pairs: with one producer stopped at p, for every q another one runs to q and dies
 * there; at last the first is killed too. All ordered pairs in discard mode, in the others drawn by the printed seed (argv[1] or
 * WEFT_SEED), all with WEFT_SOAK=1. Triples: three stopped, then killed, drawn by the seed. Instructions at which no producer
 * arrives are listed by function, and are not counted as passed. Two workers share the work, each with a CPU and a ring.
 *
 * Lock mode: a victim that dies between taking the ring's lock and releasing it leaves the lock held. That event alone is lost; until
 * the session daemon frees the lock, events of that ring are counted as `contended`. The test frees it as the daemon does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring/format.h"
#include "test/decode.h"
#include "test/victim.h"
#include "ust/clock.h"
#include "ust/commit.h"
#include "ust/context.h"
#include "ust/record.h"

#define WORKERS 2u
#define SETTINGS 4
#define BATCH 64u                /* second victims in one ring set: few, for all that they recorded is read again after each */
#define SURVIVOR (BATCH + 1)     /* producers are numbered: the first victim 0, then the others */
#define EVENTS 700
#define EVENTS_LOCKED_OUT 10     /* each waits for the lock in vain */
#define SURVIVOR_EVENTS 40
#define KINDS 6

struct setting {
    const char *name;
    uint32_t subbuf_count;
    enum weft_mode mode;
    enum weft_sync sync;
};

static const struct setting settings[] = {
    { "discard", 64, WEFT_MODE_DISCARD, WEFT_SYNC_RSEQ },
    { "discard, full", 2, WEFT_MODE_DISCARD, WEFT_SYNC_RSEQ },
    { "overwrite", 2, WEFT_MODE_OVERWRITE, WEFT_SYNC_RSEQ },
    { "lock", 64, WEFT_MODE_DISCARD, WEFT_SYNC_LOCK },
};

/* What the victims and the workers tell. */
struct shared {
    volatile uint64_t confirmed[WORKERS]; /* events that came back from weft_record */
    uint32_t cases, failures, missed;
    uint8_t reached[SETTINGS][VICTIM_POINTS_MAX];
};

/* What the ring held, and what was confirmed, when it was last looked at. */
struct books {
    uint64_t accounted;
    uint64_t confirmed;
};

static unsigned seed;
static struct shared *shared;
static struct weft_clock_page *clock_page;
static struct weft_geometry geometry;
static uint8_t *memory;
static struct weft_channel channel;
static struct weft_target targets[3];
static struct books books;
static uint32_t worker; /* and its CPU */

static const char *const functions[] = { "weft_record", "switch_subbuffer", "record_locked", "count_lost", "weft_context_write",
                                         "weft_context_tid", "try_locked", "switch_rseq", "switch_locked", "weft_put_long_header", "weft_commit_record", "no_memory", "wake_reader", NULL };

static void open_set(const struct setting *s)
{
    static const uint8_t id[16] = { 7 };
    int ring_fd, reader_fd;
    uint64_t bytes;
    geometry = (struct weft_geometry){ .cpu_count = WORKERS, .subbuf_size = 4096, .subbuf_count = s->subbuf_count,
                                       .mode = (uint8_t)s->mode, .sync = (uint8_t)s->sync };
    const struct weft_context_wanted contexts[] = { { .type = 1 }, { .type = 2 }, { .type = 6 } };
    if (weft_ring_set_create(&geometry, id, &worker, 1, &ring_fd, &reader_fd, &bytes) ||
        weft_channel_map(&channel, &geometry, ring_fd, reader_fd) || weft_channel_contexts(&channel, contexts, 3))
        exit(2);
    close(ring_fd);
    close(reader_fd);
    channel.clock = clock_page;
    channel.application = 1;
    memory = (uint8_t *)channel.memory;
    static const uint32_t ids[3] = { 3, 300, 70000 };
    for (int i = 0; i < 3; i++)
        targets[i] = (struct weft_target){ .public = { .on = 1 }, .event_id = ids[i], .channel = &channel };
    books = (struct books){ 0, shared->confirmed[worker] };
}

static void close_set(void)
{
    free(channel.need);
    munmap(channel.memory, weft_ring_memory_bytes(&geometry));
    munmap((void *)(uintptr_t)channel.reader, weft_reader_memory_bytes(&geometry));
}

/* All shapes of a record by turns: small, middle and large ids, a long payload, one that fits in no sub-buffer. */
static uint32_t payload_bytes(uint64_t number)
{
    static const uint32_t bytes[KINDS] = { 12, 12, 12, 200, 5000, 60 };
    return bytes[number % KINDS];
}

static void emit(uint32_t who, uint64_t number)
{
    static char stage[WEFT_STAGE_HEADROOM + 5000 + WEFT_STAGE_TAIL];
    char *payload = stage + WEFT_STAGE_HEADROOM;
    const uint32_t length = payload_bytes(number);
    memcpy(payload, &who, 4);
    memcpy(payload + 4, &number, 8);
    weft_record(&targets[number % 3].public, payload, length, NULL);
    shared->confirmed[worker]++;
}

static pid_t start_victim(uint32_t who, uint64_t events)
{
    const pid_t pid = fork();
    if (pid)
        return pid;
    weft_context_forked();
    channel.application = who + 1;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (uint64_t i = 0; i < events; i++)
        emit(who, i);
    _exit(0);
}

struct check {
    uint64_t next[SURVIVOR + 1];
    const char *wrong;
};

static uint32_t visit(const struct decoded *r, void *context)
{
    static const uint32_t ids[3] = { 3, 300, 70000 };
    struct check *c = context;
    const uint32_t who = decode_u32(r->payload);
    const uint64_t number = decode_u64(r->payload + 4);
    if (who > SURVIVOR || r->id != ids[number % 3]) {
        c->wrong = "no record of ours";
        return 4096;
    }
    if (number < c->next[who])
        c->wrong = "twice, or out of order";
    c->next[who] = number + 1;
    return payload_bytes(number);
}

static struct weft_ring *ring(void)
{
    return weft_channel_ring(&channel, worker);
}

/* As the session daemon does it. */
static void free_lock_of(uint32_t who)
{
    if (ring()->lock >> 32 == who + 1)
        ring()->lock = 0;
}

/* Compares what came into the ring since the last look with what was confirmed since: equal, or `more` events more. */
static const char *judge(uint64_t more)
{
    struct check c = { { 0 }, NULL };
    const struct decode_totals t = decode_ring(memory, &geometry, worker, channel.context_bytes, visit, &c);
    const struct books now = { t.records + t.overwritten + t.lost, shared->confirmed[worker] };
    const uint64_t came = now.accounted - books.accounted, confirmed = now.confirmed - books.confirmed;
    books = now;
    if (t.wrong || c.wrong)
        return t.wrong ? t.wrong : c.wrong;
    if (came < confirmed)
        return "a confirmed event is neither there nor counted";
    return came <= confirmed + more ? NULL : "more events than were emitted";
}

static void check(const struct setting *s, const char *wrong, int p, int q)
{
    if (!wrong)
        return;
    __atomic_fetch_add(&shared->failures, 1, __ATOMIC_RELAXED);
    printf("not ok - %s, a victim at %s %#lx, another at %s %#lx: %s\n", s->name, victim_point_function[p], (unsigned long)victim_points[p],
           victim_point_function[q], (unsigned long)victim_points[q], wrong);
}

/* Lets a victim run to its point. 0: it ended before. */
static int stop_at(const struct setting *s, uint32_t who, int p, int arrival, pid_t *pid)
{
    *pid = start_victim(who, ring()->lock ? EVENTS_LOCKED_OUT : EVENTS);
    const int there = victim_run_to(*pid, victim_points[p], arrival);
    if (there && arrival == 1)
        shared->reached[s - settings][p] = 1;
    return there;
}

static void survive(const struct setting *s, int p, int q)
{
    channel.application = SURVIVOR + 1;
    alarm(120); /* a survivor that is held up ends the test */
    for (uint64_t i = 0; i < SURVIVOR_EVENTS; i++)
        emit(SURVIVOR, i);
    alarm(0);
    check(s, judge(0), p, q);
}

/* All victims are stopped at their points, in turn, before the first of them is killed. */
static void run_case(const struct setting *s, const int *at, uint32_t victims, int arrival)
{
    pid_t pids[BATCH];
    int all = 1;
    open_set(s);
    for (uint32_t i = 0; i < victims; i++) {
        const int there = stop_at(s, i, at[i], arrival, &pids[i]);
        check(s, judge((uint64_t)there), at[0], at[i]);
        all &= there;
    }
    for (uint32_t i = 0; i < victims; i++) {
        victim_kill(pids[i]);
        free_lock_of(i);
    }
    survive(s, at[0], at[victims - 1]);
    __atomic_fetch_add(&shared->cases, (uint32_t)all, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->missed, (uint32_t)!all, __ATOMIC_RELAXED);
    close_set();
}

/* One stopped at p; while it stands there, others die at each of `at`, and others again record. */
static void run_batch(const struct setting *s, int p, const int *at, uint32_t count)
{
    pid_t first, second;
    open_set(s);
    const int there = stop_at(s, 0, p, 1, &first);
    check(s, judge((uint64_t)there), p, p);
    for (uint32_t i = 0; i < count; i++) {
        const int both = stop_at(s, i + 1, at[i], 1, &second);
        victim_kill(second);
        free_lock_of(i + 1);
        check(s, judge((uint64_t)both), p, at[i]);
        __atomic_fetch_add(both && there ? &shared->cases : &shared->missed, 1, __ATOMIC_RELAXED);
    }
    victim_kill(first);
    free_lock_of(0);
    survive(s, p, at[count - 1]);
    close_set();
}

/* A number that depends on its arguments alone: both workers and a repeated run draw the same. */
static unsigned draw(unsigned a, unsigned b)
{
    uint64_t x = ((uint64_t)seed << 40) ^ ((uint64_t)a << 20) ^ b;
    x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
    return (unsigned)(x >> 33);
}

static void singles(const struct setting *s, unsigned unused)
{
    (void)unused;
    for (int p = (int)worker; p < victim_point_count; p += WORKERS) {
        run_case(s, &p, 1, 1);
        if (shared->reached[s - settings][p])
            run_case(s, &p, 1, 5);
    }
}

static void pairs(const struct setting *s, unsigned one_in)
{
    const uint8_t *reached = shared->reached[s - settings];
    for (int p = (int)worker; p < victim_point_count; p += WORKERS) {
        int at[BATCH];
        uint32_t count = 0;
        for (int q = 0; reached[p] && q < victim_point_count; q++) {
            if (!reached[q] || draw((unsigned)p, (unsigned)q) % one_in)
                continue;
            at[count++] = q;
            if (count == BATCH) {
                run_batch(s, p, at, count);
                count = 0;
            }
        }
        if (count)
            run_batch(s, p, at, count);
    }
}

static void triples(const struct setting *unused, unsigned rounds)
{
    (void)unused;
    for (unsigned i = worker; i < rounds; i += WORKERS) {
        const unsigned setting = draw(i, 0) % SETTINGS;
        int at[3];
        for (unsigned k = 0, n = 1; k < 3; n++) {
            at[k] = (int)(draw(i, n) % (unsigned)victim_point_count);
            k += shared->reached[setting][at[k]];
        }
        run_case(&settings[setting], at, 3, 1);
    }
}

static void become_worker(uint32_t number)
{
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(number, &cpu);
    worker = number;
    if (sched_setaffinity(0, sizeof(cpu), &cpu) != 0) {
        printf("not ok - CPU %u can be used\n", number);
        exit(1);
    }
}

/* Runs one part of the test in all workers, and says how it went. */
static void run_part(const char *what, void (*part)(const struct setting *, unsigned), const struct setting *s, unsigned argument)
{
    const uint32_t failures = shared->failures, cases = shared->cases, missed = shared->missed;
    const uint64_t begin = weft_clock_system();
    pid_t pids[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            become_worker(i);
            part(s, argument);
            exit(0);
        }
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        int status = 1;
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
            shared->failures++;
            printf("not ok - %s: a worker ended with status %#x (0xe: a survivor was held up)\n", what, status);
        }
    }
    if (shared->failures == failures)
        printf("ok - %s%s%s\n", what, s ? ": " : "", s ? s->name : "");
    printf("# %u cases, %u in which a victim did not get to its point; %.1f s\n", shared->cases - cases, shared->missed - missed,
           (double)(weft_clock_system() - begin) / 1e9);
}

/* Which instructions nobody got to: paths of the other mode, of overload, of errors. */
static void print_unreached(void)
{
    for (int p = 0; p < victim_point_count;) {
        const char *const function = victim_point_function[p];
        unsigned total = 0, counts[SETTINGS] = { 0 }, never = 0;
        for (; p < victim_point_count && victim_point_function[p] == function; p++, total++) {
            int any = 0;
            for (int s = 0; s < SETTINGS; s++) {
                any |= shared->reached[s][p];
                counts[s] += shared->reached[s][p];
            }
            never += !any;
        }
        printf("# %-20s %3u instructions, %3u never reached; reached", function, total, never);
        for (int s = 0; s < SETTINGS; s++)
            printf(" %u (%s)%s", counts[s], settings[s].name, s < SETTINGS - 1 ? "," : "\n");
    }
}

int main(int argc, char **argv)
{
    const char *given = argc > 1 ? argv[1] : getenv("WEFT_SEED");
    const int soak = getenv("WEFT_SOAK") != NULL;
    seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) % 1000000;
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    weft_context_init();
    clock_page = victim_clock_page();
    victim_find_points(functions);
    printf("# seed %u, %d instructions\n", seed, victim_point_count);
    for (int s = 0; s < SETTINGS; s++)
        run_part("a producer killed at any instruction loses at most that event", singles, &settings[s], 0);
    print_unreached();
    run_part("two producers killed at any ordered pair of instructions", pairs, &settings[0], 1);
    for (int s = 2; s < SETTINGS; s++)
        run_part(soak ? "two producers killed at any ordered pair of instructions" : "two producers killed at pairs of instructions",
                 pairs, &settings[s], soak ? 1 : 3);
    run_part("three producers killed, at instructions in settings drawn by the seed", triples, NULL, soak ? 50000 : 2000);
    return shared->failures ? 1 : 0;
}
