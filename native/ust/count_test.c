/* Counting inside a program: what a played daemon asks to be counted, and what then lies in its maps. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "ring/format.h"
#include "ust/test_bytecode.h"
#include "ust/test_trace.h"

#define SLOTS 40
#define NO_FILTER NULL, 0

static struct test_daemon d;
static struct test_app a;

static struct map {
    struct weft_map_geometry geometry;
    char *memory;
    int fd;
} m;

static void open_map(struct map *map, uint8_t name, uint32_t bits)
{
    const uint8_t id[16] = { name };
    map->geometry = (struct weft_map_geometry){ TRACE_CPUS, SLOTS, bits };
    map->fd = weft_map_create(&map->geometry, id);
    map->memory = mmap(NULL, weft_map_bytes(&map->geometry), PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
    if (map->fd < 0 || map->memory == MAP_FAILED) {
        printf("not ok - a map can be made\n");
        exit(1);
    }
}

static void close_map(struct map *map)
{
    munmap(map->memory, weft_map_bytes(&map->geometry));
    close(map->fd);
}

static uint64_t *counter(uint32_t cpu, uint32_t slot)
{
    return (uint64_t *)(m.memory + weft_map_counter(&m.geometry, cpu, slot));
}

static uint64_t counted(uint32_t slot)
{
    uint64_t sum = 0;
    for (uint32_t cpu = 0; cpu < TRACE_CPUS; cpu++)
        sum += __atomic_load_n(counter(cpu, slot), __ATOMIC_RELAXED);
    return sum;
}

static void begin(void)
{
    trace_begin(&d, &a);
    trace_release(&d, &a);
    open_map(&m, 1, 64);
    CHECK_EQUAL(daemon_map(&d, 1, 1, &m.geometry, m.fd), 0);
}

static void finish(void)
{
    close_map(&m);
    trace_end(&d, &a);
}

static int count(uint32_t watch, uint32_t slot, uint8_t flags)
{
    return daemon_count(&d, watch, daemon_point(&d, "app:tick"), 1, slot, flags, NO_FILTER);
}

/* number OPERATOR value */
static int count_some(uint32_t watch, uint32_t slot, uint8_t flags, uint32_t operator, int64_t value)
{
    struct program p = program_begin();
    COMPARE(&p, 1, operator, value);
    RETURN(&p);
    return daemon_count(&d, watch, daemon_point(&d, "app:tick"), 1, slot, flags, p.bytes, p.length);
}

static int uncount(uint32_t watch, uint32_t point)
{
    const uint32_t words[] = { watch, point };
    return daemon_command(&d, WEFT_WIRE_UNCOUNT, words, sizeof(words));
}

static int unmap(uint32_t map)
{
    return daemon_command(&d, WEFT_WIRE_UNMAP, &map, sizeof(map));
}

static void counts(void)
{
    begin();
    CHECK_EQUAL(count(1, 0, 0), 0);
    CHECK_EQUAL(count_some(1, SLOTS - 1, 0, LT, 3), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 10);
    CHECK_EQUAL(counted(SLOTS - 1), 3);
    CHECK_EQUAL(count(2, 0, 0), 0); /* another rule: it counts for itself */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 30);
    CHECK_EQUAL(count_some(2, 0, 0, EQ, 5), 0); /* in its place */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 41);
    CHECK_EQUAL(uncount(1, daemon_point(&d, "app:tick")), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 42);
    CHECK_EQUAL(counted(SLOTS - 1), 9);
    CHECK_EQUAL(uncount(2, UINT32_MAX), 0);
    CHECK_EQUAL(uncount(2, UINT32_MAX), ENOENT);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 42);
    for (uint32_t slot = 1; slot < SLOTS - 1; slot++)
        CHECK_EQUAL(counted(slot), 0);
    finish();
}

static void once_an_event(void)
{
    begin();
    CHECK_EQUAL(count_some(1, 7, WEFT_COUNT_ONCE, LT, 4), 0);
    CHECK_EQUAL(count_some(2, 7, WEFT_COUNT_ONCE, LT, 6), 0);
    CHECK_EQUAL(count_some(3, 7, 0, LT, 2), 0); /* one that counts by itself */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(7), 6 + 2);
    CHECK_EQUAL(uncount(2, UINT32_MAX), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(7), 8 + 4 + 2);
    CHECK_EQUAL(count(4, 7, WEFT_COUNT_ONCE), 0);
    CHECK_EQUAL(count_some(3, 7, WEFT_COUNT_ONCE, LT, 2), 0); /* joins the others */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(7), 14 + 10);
    CHECK_EQUAL(uncount(4, UINT32_MAX), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(7), 24 + 4);
    finish();
}

static int overflowed(uint32_t slot)
{
    int any = 0;
    for (uint32_t cpu = 0; cpu < TRACE_CPUS; cpu++)
        any |= *(uint32_t *)(m.memory + weft_map_overflow(&m.geometry, cpu, slot)) >> slot % 32 & 1;
    return any;
}

static void overflow(uint32_t bits)
{
    struct map other;
    begin();
    close_map(&m);
    open_map(&other, 2, bits);
    m = other;
    CHECK_EQUAL(daemon_map(&d, 2, 2, &m.geometry, m.fd), 0);
    CHECK_EQUAL(daemon_count(&d, 1, daemon_point(&d, "app:tick"), 2, 33, 0, NO_FILTER), 0);
    CHECK_EQUAL(daemon_count(&d, 1, daemon_point(&d, "app:tick"), 2, 34, 0, NO_FILTER), 0);
    for (uint32_t cpu = 0; cpu < TRACE_CPUS; cpu++)
        *counter(cpu, 33) = bits == 32 ? INT32_MAX : INT64_MAX;
    app_do(&a, APP_EMIT, 3);
    CHECK(overflowed(33) && !overflowed(34) && !overflowed(1));
    CHECK_EQUAL(counted(34), 3);
    uint64_t wrapped = 0;
    for (uint32_t cpu = 0; cpu < TRACE_CPUS; cpu++)
        wrapped += *counter(cpu, 33) - (bits == 32 ? (uint64_t)INT32_MAX : (uint64_t)INT64_MAX);
    CHECK_EQUAL(wrapped, 3);
    finish();
}

static void overflows(void)
{
    overflow(32);
    overflow(64);
}

static void beside_channels(void)
{
    struct seam s;
    begin();
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    CHECK_EQUAL(count(1, 0, 0), 0);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(trace_tally(&s).total, 100);
    CHECK(!trace_tally(&s).wrong);
    CHECK_EQUAL(counted(0), 200);
    seam_close(&s);
    finish();
}

static void maps_go(void)
{
    begin();
    CHECK_EQUAL(count(1, 0, 0), 0);
    CHECK_EQUAL(unmap(1), 0);
    CHECK_EQUAL(unmap(1), ENOENT);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 0);
    CHECK_EQUAL(count(1, 0, 0), ENOENT);
    CHECK_EQUAL(uncount(1, UINT32_MAX), ENOENT);
    CHECK_EQUAL(daemon_map(&d, 1, 1, &m.geometry, m.fd), 0);
    CHECK_EQUAL(count(1, 0, 0), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 10);
    finish();
}

static void refuses(void)
{
    begin();
    struct weft_map_geometry g = m.geometry;
    CHECK_EQUAL(daemon_map(&d, 1, 2, &g, m.fd), EINVAL); /* the handle is taken */
    CHECK_EQUAL(daemon_map(&d, 2, 1, &g, m.fd), EINVAL); /* the map is there */
    CHECK_EQUAL(daemon_map(&d, 2, 2, &g, m.fd), EINVAL); /* another map's memory */
    CHECK_EQUAL(daemon_map(&d, 2, 2, &g, -1), EINVAL);
    g.slot_count = 4000;
    CHECK_EQUAL(daemon_map(&d, 2, 2, &g, m.fd), EINVAL); /* not so large */
    g = (struct weft_map_geometry){ TRACE_CPUS, SLOTS, 16 };
    CHECK_EQUAL(daemon_map(&d, 2, 2, &g, m.fd), EINVAL);
    const int loose = memfd_create("loose", MFD_CLOEXEC);
    CHECK(ftruncate(loose, (off_t)weft_map_bytes(&m.geometry)) == 0);
    CHECK_EQUAL(daemon_map(&d, 2, 2, &m.geometry, loose), EINVAL); /* not sealed */
    close(loose);
    CHECK_EQUAL(count(1, SLOTS, 0), EINVAL);
    CHECK_EQUAL(count(1, 0, 2), EINVAL);
    CHECK_EQUAL(daemon_count(&d, 1, 4000, 1, 0, 0, NO_FILTER), ENOENT);
    CHECK_EQUAL(daemon_count(&d, 1, daemon_point(&d, "app:tick"), 9, 0, 0, NO_FILTER), ENOENT);
    CHECK_EQUAL(daemon_count(&d, 1, daemon_point(&d, "app:tick"), 1, 0, 0, (const uint8_t *)"\1", 1), EINVAL);
    static const uint8_t zeros[64];
    for (size_t length = 0; length < 40; length++) {
        CHECK_EQUAL(daemon_command(&d, WEFT_WIRE_COUNT, zeros, length), length == 21 ? ENOENT : EINVAL);
        CHECK_EQUAL(daemon_command(&d, WEFT_WIRE_MAP, zeros, length), EINVAL);
        CHECK_EQUAL(daemon_command(&d, WEFT_WIRE_UNMAP, zeros, length), length == 4 ? ENOENT : EINVAL);
        CHECK_EQUAL(daemon_command(&d, WEFT_WIRE_UNCOUNT, zeros, length), length == 8 ? ENOENT : EINVAL);
    }
    CHECK_EQUAL(count_some(1, 3, WEFT_COUNT_ONCE, LT, 5), 0);
    CHECK_EQUAL(daemon_count(&d, 1, daemon_point(&d, "app:tick"), 1, 3, WEFT_COUNT_ONCE, (const uint8_t *)"\1", 1), EINVAL);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(3), 5); /* what was, stays */
    finish();
}

/* Without a daemon, and under the next one, which has other numbers. */
static void outlives_the_daemon(void)
{
    begin();
    CHECK_EQUAL(count(1, 0, 0), 0);
    CHECK_EQUAL(count_some(1, 1, WEFT_COUNT_ONCE, LT, 5), 0);
    CHECK_EQUAL(count(2, 2, 0), 0);
    daemon_die(&d);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 10);
    daemon_start(&d);
    CHECK(daemon_register(&d));
    CHECK_EQUAL(daemon_map(&d, 5, 1, &m.geometry, m.fd), 0);
    const uint32_t tick = daemon_point(&d, "app:tick");
    CHECK_EQUAL(daemon_count(&d, 71, tick, 5, 0, 0, NO_FILTER), 0);
    struct program p = program_begin();
    COMPARE(&p, 1, LT, 5);
    RETURN(&p);
    CHECK_EQUAL(daemon_count(&d, 71, tick, 5, 1, WEFT_COUNT_ONCE, p.bytes, p.length), 0);
    daemon_synced(&d);
    CHECK_EQUAL(uncount(99, UINT32_MAX), ENOENT); /* SYNCED was read */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 20);
    CHECK_EQUAL(counted(1), 10);
    CHECK_EQUAL(counted(2), 10); /* not asked for again */
    CHECK_EQUAL(uncount(1, UINT32_MAX), ENOENT);
    CHECK_EQUAL(uncount(71, UINT32_MAX), 0);
    daemon_die(&d);
    daemon_start(&d);
    CHECK(daemon_register(&d));
    daemon_synced(&d);
    CHECK_EQUAL(unmap(5), ENOENT);
    finish();
}

static void a_child_counts_by_itself(void)
{
    uint64_t status = 1;
    begin();
    CHECK_EQUAL(count(1, 0, 0), 0);
    app_order(&a, APP_FORK, 10);
    const int parent = d.fd;
    d.fd = -1;
    CHECK(daemon_register(&d));
    daemon_synced(&d);
    while (!app_answered(&a, 10, &status))
        daemon_receive(&d, 0);
    CHECK_EQUAL(status, 0);
    close(d.fd);
    d.fd = parent;
    CHECK_EQUAL(counted(0), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(counted(0), 10);
    finish();
}

static void exact_under_load(void)
{
    begin();
    CHECK_EQUAL(count(1, 0, 0), 0);
    app_do(&a, APP_EMIT_FOR_EVER, 8);
    for (uint32_t round = 0; round < 40; round++) {
        CHECK_EQUAL(round % 2 ? count(2, 1, WEFT_COUNT_ONCE) : count_some(2, 1, WEFT_COUNT_ONCE, GE, 0), 0);
        const uint64_t before = counted(1);
        while (counted(1) == before)
            sched_yield();
        CHECK_EQUAL(uncount(2, UINT32_MAX), 0);
    }
    /* Every event that is done with is counted, none twice: at most one each thread is in the middle of. */
    const uint64_t least = app_do(&a, APP_EMITTED, 0), here = counted(0), most = app_do(&a, APP_EMITTED, 0);
    CHECK(here + 0 >= least && here <= most + 8);
    CHECK_EQUAL(unmap(1), 0);
    const uint64_t at_end = counted(0), reached = app_do(&a, APP_EMITTED, 0);
    while (app_do(&a, APP_EMITTED, 0) < reached + 1000)
        ;
    CHECK_EQUAL(counted(0), at_end);
    finish();
}

static void cases(void)
{
    seam_case("slots count the events that each rule keeps, until UNCOUNT", counts);
    seam_case("rules of one slot count an event once, where that is asked for", once_an_event);
    seam_case("a counter that wraps says so, with 32 bits and 64", overflows);
    seam_case("channels record the same beside counters", beside_channels);
    seam_case("UNMAP ends all that count into a map, which may come again", maps_go);
    seam_case("bad commands are answered with their reason, and what was stays", refuses);
    seam_case("counting goes on without a daemon, and only what the next one wants goes on then", outlives_the_daemon);
    seam_case("a child counts nothing into its parent's maps", a_child_counts_by_itself);
    seam_case("every event of eight threads is counted once while rules come and go", exact_under_load);
}

int main(void)
{
    alarm(200);
    return trace_run(cases);
}
