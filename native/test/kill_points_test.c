/*
 * Death at every instruction of the recording path.
 *
 * A producer is stopped by a breakpoint at one instruction of weft_record and what it calls (a breakpoint, for single-stepping a
 * restartable sequence only restarts it), at its n-th arrival there, and killed. Then another producer goes on in the same ring. What
 * must hold: every event that the victim had confirmed is there or counted as lost, at most one more per victim, nothing
 * twice, everything in order, the tables agree with the records, and the survivor is not held up.
 *
 * Single victims: every instruction, in four settings. Two victims, both stopped before either is killed: every ordered pair.
 * Three: drawn by the printed seed (or argv[1]). A point that no producer arrives at is reported as not reached, not as passed.
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
#include "ust/clock.h"
#include "ust/commit.h"
#include "ust/context.h"
#include "ust/record.h"

#define POINTS_MAX 2000
#define VICTIMS_MAX 3
#define EVENTS 700
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

struct shared {
    volatile uint64_t confirmed[VICTIMS_MAX + 1];
};

static uintptr_t points[POINTS_MAX];
static uint8_t reached[POINTS_MAX];
static int point_count;
static struct shared *shared;
static struct weft_clock_page *clock_page;
static struct weft_geometry geometry;
static uint8_t *memory;
static struct weft_channel channel;
static struct weft_target targets[3];
static int failures, cases;

static const char *const functions[] = { "weft_record", "switch_subbuffer", "record_locked", "count_lost", "weft_context_write",
                                         "weft_context_tid", "try_locked", "switch_rseq", "switch_locked", "stage_head", "find_ring" };

static int is_recording(const char *name)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        const size_t length = strlen(functions[i]);
        if (strncmp(name, functions[i], length) == 0 && (name[length] == '>' || name[length] == '.'))
            return 1;
    }
    return 0;
}

static void find_points(void)
{
    char command[256], line[512], name[256];
    snprintf(command, sizeof(command), "objdump -d --no-show-raw-insn -j .text /proc/%d/exe", (int)getpid());
    FILE *listing = popen(command, "r");
    int wanted = 0;
    unsigned long address;
    while (listing && fgets(line, sizeof(line), listing)) {
        if (sscanf(line, "%lx <%255[^\n]", &address, name) == 2)
            wanted = is_recording(name);
        else if (wanted && sscanf(line, " %lx:", &address) == 1 && point_count < POINTS_MAX)
            points[point_count++] = address;
    }
    if (!listing || pclose(listing) != 0 || !point_count) {
        printf("not ok - the instructions of weft_record can be listed (objdump)\n");
        exit(1);
    }
}

static void calibrate_clock(void)
{
    clock_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    clock_page->parameters[0] = (struct weft_clock_parameters){ weft_counter(), weft_clock_system(), 1ull << 31, 0 };
    clock_page->valid = 1;
}

static void open_set(const struct setting *s)
{
    static const uint8_t id[16] = { 7 };
    const uint32_t cpu = 0;
    int ring_fd, reader_fd;
    uint64_t bytes;
    geometry = (struct weft_geometry){ .cpu_count = 1, .subbuf_size = 4096, .subbuf_count = s->subbuf_count,
                                       .mode = (uint8_t)s->mode, .sync = (uint8_t)s->sync };
    const uint16_t contexts[] = { 1, 2, 6 };
    if (weft_ring_set_create(&geometry, id, &cpu, 1, &ring_fd, &reader_fd, &bytes) ||
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
    memset(shared, 0, sizeof(*shared));
}

static void close_set(void)
{
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
    shared->confirmed[who] = number + 1;
}

static pid_t start_victim(uint32_t who)
{
    const pid_t pid = fork();
    if (pid)
        return pid;
    weft_context_forked();
    channel.application = who + 1;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (uint64_t i = 0; i < EVENTS; i++)
        emit(who, i);
    _exit(0);
}

/* Lets the victim run to its `arrival`-th arrival at a point. 0: it ended before. */
static int run_to(pid_t pid, uintptr_t point, int arrival)
{
    int status;
    waitpid(pid, &status, 0);
    const long text = ptrace(PTRACE_PEEKTEXT, pid, (void *)point, NULL);
    const long trap = (text & ~0xffl) | 0xcc;
    for (;;) {
        ptrace(PTRACE_POKETEXT, pid, (void *)point, (void *)trap);
        ptrace(PTRACE_CONT, pid, NULL, NULL);
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            return 0;
        if (--arrival == 0)
            return 1;
        /* Past it: one step without the breakpoint. Inside the sequence that restarts the sequence, which arrives again. */
        ptrace(PTRACE_POKETEXT, pid, (void *)point, (void *)text);
        struct { long long words[27]; } registers;
        ptrace(PTRACE_GETREGS, pid, NULL, &registers);
        registers.words[16] -= 1; /* rip */
        ptrace(PTRACE_SETREGS, pid, NULL, &registers);
        ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            return 0;
    }
}

static void finish_victim(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status) && !WIFEXITED(status))
        ;
}

struct check {
    uint64_t next[VICTIMS_MAX + 1];
    const char *wrong;
};

static uint32_t visit(const struct decoded *r, void *context)
{
    static const uint32_t ids[3] = { 3, 300, 70000 };
    struct check *c = context;
    const uint32_t who = decode_u32(r->payload);
    const uint64_t number = decode_u64(r->payload + 4);
    if (who > VICTIMS_MAX || r->id != ids[number % 3]) {
        c->wrong = "no record of ours";
        return 4096;
    }
    if (number < c->next[who])
        c->wrong = "twice, or out of order";
    c->next[who] = number + 1;
    return payload_bytes(number);
}

static void release_dead_locks(void)
{
    struct weft_ring *ring = (struct weft_ring *)(memory + weft_control_offset(&geometry, 0));
    if (ring->lock && ring->lock >> 32 != VICTIMS_MAX + 1)
        ring->lock = 0;
}

static const char *judge(int victims)
{
    struct check c = { { 0 }, NULL };
    const struct decode_totals t = decode_ring(memory, &geometry, 0, channel.context_bytes, visit, &c);
    uint64_t confirmed = 0;
    for (int i = 0; i <= VICTIMS_MAX; i++)
        confirmed += shared->confirmed[i];
    const uint64_t accounted = t.records + t.overwritten + t.lost;
    if (t.wrong || c.wrong)
        return t.wrong ? t.wrong : c.wrong;
    return accounted >= confirmed && accounted <= confirmed + (uint64_t)victims ? NULL : "recorded + lost is not what was emitted";
}

/* One case: victims stopped at their points in order, then killed, then a survivor. */
static void run_case(const struct setting *s, const int *at, int victims, int arrival)
{
    pid_t pids[VICTIMS_MAX];
    int all = 1;
    open_set(s);
    for (int i = 0; i < victims; i++) {
        pids[i] = start_victim((uint32_t)i);
        const int there = run_to(pids[i], points[at[i]], arrival);
        reached[at[i]] |= (uint8_t)there;
        all &= there;
    }
    for (int i = 0; i < victims; i++)
        finish_victim(pids[i]);
    if (s->sync == WEFT_SYNC_LOCK)
        release_dead_locks();
    channel.application = VICTIMS_MAX + 1;
    alarm(10); /* a survivor that is held up ends the test */
    for (uint64_t i = 0; i < SURVIVOR_EVENTS; i++)
        emit(VICTIMS_MAX, i);
    alarm(0);
    const char *wrong = judge(victims);
    cases += all;
    if (wrong) {
        failures++;
        printf("not ok - %s, %d victims, first at %#lx (arrival %d): %s\n", s->name, victims, (unsigned long)points[at[0]], arrival,
               wrong);
    }
    close_set();
}

static void report(const char *what, int failed_before, int cases_before)
{
    if (failures == failed_before)
        printf("ok - %s (%d cases)\n", what, cases - cases_before);
    fflush(stdout);
}

static void singles(void)
{
    for (size_t s = 0; s < sizeof(settings) / sizeof(*settings); s++) {
        const int failed = failures, done = cases;
        for (int p = 0; p < point_count; p++) {
            run_case(&settings[s], &p, 1, 1);
            run_case(&settings[s], &p, 1, 5);
        }
        char what[96];
        snprintf(what, sizeof(what), "a producer killed at any instruction loses at most that event: %s", settings[s].name);
        report(what, failed, done);
    }
}

static void pairs(const struct setting *s, int stride)
{
    const int failed = failures, done = cases;
    for (int p = 0; p < point_count; p++) {
        for (int q = p % stride; q < point_count; q += stride) {
            const int at[2] = { p, q };
            if (reached[p] && reached[q])
                run_case(s, at, 2, 1);
        }
    }
    char what[128];
    snprintf(what, sizeof(what), "two producers killed at any ordered pair of instructions: %s%s", s->name, stride > 1 ? ", sampled" : "");
    report(what, failed, done);
}

static void triples(unsigned seed, int count)
{
    const int failed = failures, done = cases;
    srandom(seed);
    for (int i = 0; i < count; i++) {
        const int at[3] = { (int)(random() % point_count), (int)(random() % point_count), (int)(random() % point_count) };
        if (reached[at[0]] && reached[at[1]] && reached[at[2]])
            run_case(&settings[random() % 4], at, 3, 1);
    }
    char what[128];
    snprintf(what, sizeof(what), "three producers killed at points drawn by seed %u", seed);
    report(what, failed, done);
}

int main(int argc, char **argv)
{
    const unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : (unsigned)time(NULL);
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    weft_context_init();
    calibrate_clock();
    find_points();
    singles();
    int never = 0;
    for (int p = 0; p < point_count; p++)
        never += !reached[p];
    printf("# %d instructions, %d of them never reached\n", point_count, never);
    pairs(&settings[0], 1);
    pairs(&settings[3], getenv("WEFT_SOAK") ? 1 : 7);
    pairs(&settings[2], getenv("WEFT_SOAK") ? 1 : 7);
    triples(seed, getenv("WEFT_SOAK") ? 50000 : 2000);
    return failures ? 1 : 0;
}
