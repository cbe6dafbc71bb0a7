/* A traced program and its session daemon, which this test plays message by message: registering, commands, bad commands. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "ust/test_bytecode.h"
#include "ust/test_trace.h"

static struct test_daemon d;
static struct test_app a;
static struct seam s;

static void announces(void)
{
    trace_begin(&d, &a);
    CHECK_EQUAL(d.pid, a.pid);
    CHECK_EQUAL(d.rseq, trace_sync == WEFT_SYNC_RSEQ);
    CHECK_EQUAL(d.point_count, 1 + 1 + 15 + 6 + 4); /* tick, tracef, tracelog, lttng_ust_statedump, lttng_ust_lib */
    CHECK(daemon_point(&d, "lttng_ust_tracef:event") && daemon_point(&d, "lttng_ust_tracelog:LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_LINE"));
    for (uint32_t i = 0; i < d.point_count; i++) {
        if (strcmp(d.points[i].name, "app:tick") == 0)
            CHECK(d.points[i].level == 6 && d.points[i].fields == 2);
        if (strcmp(d.points[i].name, "lttng_ust_tracelog:LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING") == 0)
            CHECK(d.points[i].level == 4 && d.points[i].fields == 4);
    }
    /* What a later dlopen() brings is announced alone, and taken back by dlclose(). */
    trace_release(&d, &a);
    d.point_count = 0;
    app_order(&a, APP_REGISTER_LATE, 0);
    CHECK(daemon_until_ready(&d));
    while (!daemon_point(&d, "app:late") && daemon_until_ready(&d))
        ;
    CHECK(d.point_count == 1);
    trace_release(&d, &a);
    app_do(&a, APP_UNREGISTER_LATE, 0);
    int type;
    do {
        type = daemon_receive(&d, PATIENCE_MS);
    } while (type == WEFT_WIRE_READY);
    CHECK_EQUAL(type, WEFT_WIRE_POINT_GONE);
    trace_end(&d, &a);
}

static void waits_until_synced(void)
{
    uint64_t ms;
    trace_begin(&d, &a);
    CHECK(!app_answered(&a, 100, &ms));
    trace_release(&d, &a);
    trace_end(&d, &a);
}

/* The daemon answers, but a session has not attached the program yet: who gave it time waits for that as well. */
static int waits_for_late_sessions(const char *timeout, int looks)
{
    uint64_t ms;
    daemon_home(&d);
    daemon_start(&d);
    app_start(&a, &d, timeout);
    app_order(&a, APP_REGISTER, 0);
    CHECK(daemon_register(&d));
    daemon_late(&d);
    int answered = 0;
    while (!(answered = app_answered(&a, 10, &ms)) && looks-- > 0) {
        if (daemon_ready(&d, 0)) /* the points came as a batch of their own */
            daemon_late(&d);
    }
    if (!answered)
        trace_release(&d, &a);
    trace_end(&d, &a);
    return !answered;
}

static void waits_as_long_as_it_is_told(void)
{
    CHECK(waits_for_late_sessions("WEFT_REGISTER_TIMEOUT=60000", 20));
    CHECK(!waits_for_late_sessions("WEFT_REGISTER_TIMEOUT=-1", PATIENCE_MS / 10));
}

static uint64_t register_unanswered(const char *timeout, int daemon_there)
{
    uint64_t ms = 0;
    daemon_home(&d);
    if (daemon_there)
        daemon_start(&d);
    app_start(&a, &d, timeout);
    app_order(&a, APP_REGISTER, 0);
    CHECK(app_answered(&a, PATIENCE_MS, &ms));
    trace_end(&d, &a);
    return ms;
}

/* Of several tries: a machine may hold up any of them. */
static uint64_t least_wait(const char *timeout, int daemon_there, uint64_t wanted)
{
    uint64_t least = UINT64_MAX;
    for (int tries = 0; tries < 10 && least >= wanted; tries++) {
        const uint64_t ms = register_unanswered(timeout, daemon_there);
        least = ms < least ? ms : least;
    }
    return least;
}

static void bounded_wait(void)
{
    const uint64_t short_wait = least_wait("WEFT_REGISTER_TIMEOUT=300", 1, 2500);
    CHECK(short_wait >= 299 && short_wait < 2500);
    CHECK(least_wait("WEFT_REGISTER_TIMEOUT=0", 1, 250) < 250);
    CHECK(least_wait("WEFT_REGISTER_TIMEOUT=-1", 0, 250) < 250); /* no daemon: nothing to wait for */
}

static void records(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 5), 0);
    trace_release(&d, &a);
    app_do(&a, APP_EMIT, 1000);
    struct tally t = trace_tally(&s);
    CHECK(!t.wrong);
    CHECK_EQUAL(t.total, 1000);
    CHECK_EQUAL(t.by_id[5], t.by_thread[0]);
    /* Once more what is so already: changes nothing. */
    CHECK_EQUAL(daemon_enable(&d, 1, daemon_point(&d, "app:tick"), 5), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).total, 1010);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).total, 1010);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    CHECK_EQUAL(daemon_disable(&d, 1, daemon_point(&d, "app:tick")), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).total, 1010);
    CHECK_EQUAL(daemon_enable(&d, 1, daemon_point(&d, "app:tick"), 6), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).by_id[6], 10);
    seam_close(&s);
    trace_end(&d, &a);
}

static void two_channels(void)
{
    struct seam other;
    trace_begin(&d, &a);
    trace_open(&s);
    trace_open(&other);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    CHECK_EQUAL(trace_record(&d, &other, 2, "app:tick", 2), 0);
    trace_release(&d, &a);
    app_do(&a, APP_EMIT, 20);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    app_do(&a, APP_EMIT, 20);
    CHECK_EQUAL(trace_tally(&s).by_id[1], 20);
    CHECK_EQUAL(trace_tally(&other).by_id[2], 40);
    seam_close(&other);
    seam_close(&s);
    trace_end(&d, &a);
}

/* After the acknowledgement not one event more, though threads record at full speed all the time. */
static void stop_under_load(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    trace_release(&d, &a);
    app_do(&a, APP_EMIT_FOR_EVER, 3);
    uint64_t recorded = 0;
    for (int round = 0; round < 30; round++) {
        const uint64_t before = trace_committed(&s);
        while (trace_committed(&s) == before)
            sched_yield();
        CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
        const uint64_t at_stop = trace_committed(&s), reached = app_do(&a, APP_EMITTED, 0);
        while (app_do(&a, APP_EMITTED, 0) < reached + 1000)
            ;
        CHECK_EQUAL(trace_committed(&s), at_stop);
        recorded += at_stop - before;
        CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    }
    CHECK(recorded > 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_DETACH, 1), 0);
    const uint64_t at_end = trace_committed(&s), reached = app_do(&a, APP_EMITTED, 0);
    while (app_do(&a, APP_EMITTED, 0) < reached + 1000)
        ;
    CHECK_EQUAL(trace_committed(&s), at_end);
    seam_close(&s);
    trace_end(&d, &a);
}

/* number OPERATOR value */
static int filter_ticks(uint32_t operator, int64_t value)
{
    struct program p = program_begin();
    COMPARE(&p, 1, operator, value);
    RETURN(&p);
    return daemon_filter(&d, 1, daemon_point(&d, "app:tick"), 1, p.bytes, p.length);
}

static uint64_t recorded_of(uint32_t events)
{
    const uint64_t before = trace_tally(&s).total;
    app_do(&a, APP_EMIT, events);
    return trace_tally(&s).total - before;
}

static void filters(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_attach(&d, &s, 1, 1), 0);
    CHECK_EQUAL(filter_ticks(LT, 3), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    trace_release(&d, &a);
    CHECK_EQUAL(recorded_of(10), 3);
    CHECK_EQUAL(filter_ticks(GE, 3), 0); /* in the place of the other */
    CHECK_EQUAL(recorded_of(10), 7);
    CHECK_EQUAL(daemon_filter(&d, 1, daemon_point(&d, "app:tick"), 1, (const uint8_t *)"nonsense", 8), EINVAL); /* changes nothing */
    CHECK_EQUAL(recorded_of(10), 7);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    CHECK_EQUAL(recorded_of(10), 7);
    CHECK_EQUAL(daemon_enable(&d, 1, daemon_point(&d, "app:tick"), 1), 0); /* none */
    CHECK_EQUAL(recorded_of(10), 10);
    /* Another object's description, whose probe would record everything: then nothing is. */
    CHECK_EQUAL(filter_ticks(GE, 3), 0);
    app_do(&a, APP_REGISTER_TWIN, 0);
    CHECK_EQUAL(recorded_of(10), 7);
    app_do(&a, APP_UNREGISTER, 0);
    CHECK_EQUAL(recorded_of(10), 0);
    CHECK_EQUAL(filter_ticks(GE, 3), ENOTSUP);
    CHECK_EQUAL(daemon_enable(&d, 1, daemon_point(&d, "app:tick"), 1), 0);
    CHECK_EQUAL(recorded_of(10), 10);
    seam_close(&s);
    trace_end(&d, &a);
}

/* $app.app:mode == 7, before and after the program gives it. */
static void filter_on_an_application_context(void)
{
    struct program p = program_begin();
    TEXT(&p, WEFT_OP_APP_INT, "app:mode");
    INT(&p, 7);
    OP(&p, WEFT_OP_INT_EQ);
    RETURN(&p);
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_attach(&d, &s, 1, 1), 0);
    CHECK_EQUAL(daemon_filter(&d, 1, daemon_point(&d, "app:tick"), 1, p.bytes, p.length), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    trace_release(&d, &a);
    CHECK_EQUAL(recorded_of(10), 0);
    CHECK_EQUAL(app_do(&a, APP_CONTEXT, 7), 0);
    CHECK_EQUAL(recorded_of(10), 10);
    app_do(&a, APP_CONTEXT, 0);
    CHECK_EQUAL(recorded_of(10), 0);
    CHECK_EQUAL(app_do(&a, APP_CONTEXT, 8), 0);
    CHECK_EQUAL(recorded_of(10), 0);
    seam_close(&s);
    trace_end(&d, &a);
}

static int attach_geometry(struct weft_geometry g)
{
    const uint8_t id[16] = { 9 };
    return daemon_attach(&d, 9, id, &g, s.ring_fd, s.reader_fd, NULL, 0);
}

static void refuses_geometry(void)
{
    struct weft_geometry g = s.geometry;
    g.subbuf_size = 5000;
    CHECK_EQUAL(attach_geometry(g), EINVAL);
    g = s.geometry;
    g.subbuf_count = 0;
    CHECK_EQUAL(attach_geometry(g), EINVAL);
    g = s.geometry;
    g.cpu_count = UINT32_MAX;
    CHECK_EQUAL(attach_geometry(g), EINVAL);
    g = s.geometry;
    g.mode = 7;
    CHECK_EQUAL(attach_geometry(g), EINVAL);
    g = s.geometry;
    g.cpu_count *= 2; /* more than the memory that comes with it */
    CHECK_EQUAL(attach_geometry(g), EBADF);
    if (trace_sync == WEFT_SYNC_LOCK) {
        g = s.geometry;
        g.sync = WEFT_SYNC_RSEQ;
        CHECK_EQUAL(attach_geometry(g), EOPNOTSUPP);
    }
}

static void refuses_memory(void)
{
    static const uint8_t bytes[300] = "no colon";
    static const struct weft_context_wanted unknown[] = { { .type = 1 }, { .type = 99 } }, fat[] = { { 1, 4, bytes } },
                                            empty[] = { { .type = WEFT_CONTEXT_PERF_THREAD } },
                                            nameless[] = { { WEFT_CONTEXT_APP, 8, bytes } };
    struct weft_context_wanted many[WEFT_CONTEXTS_MAX + 1];
    for (uint32_t i = 0; i <= WEFT_CONTEXTS_MAX; i++)
        many[i] = (struct weft_context_wanted){ .type = 1 };
    const uint8_t id[16] = { 9 };
    const int unsealed = memfd_create("unsealed", MFD_CLOEXEC);
    const int resized = ftruncate(unsealed, (off_t)weft_ring_memory_bytes(&s.geometry));
    CHECK_EQUAL(resized, 0);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, unsealed, s.reader_fd, NULL, 0), EBADF);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, s.reader_fd, s.ring_fd, NULL, 0), EBADF);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, s.ring_fd, -1, NULL, 0), EINVAL);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, s.ring_fd, s.reader_fd, unknown, 2), EINVAL);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, s.ring_fd, s.reader_fd, many, WEFT_CONTEXTS_MAX + 1), EINVAL);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, s.ring_fd, s.reader_fd, fat, 1), EINVAL);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, s.ring_fd, s.reader_fd, empty, 1), EINVAL);
    CHECK_EQUAL(daemon_attach(&d, 9, id, &s.geometry, s.ring_fd, s.reader_fd, nameless, 1), EINVAL);
    close(unsealed);
}

static void refuses(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    refuses_geometry();
    refuses_memory();
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 9), ENOENT);
    CHECK_EQUAL(daemon_enable(&d, 9, daemon_point(&d, "app:tick"), 1), ENOENT);
    CHECK_EQUAL(trace_attach(&d, &s, 1, 1), 0);
    CHECK_EQUAL(trace_attach(&d, &s, 1, 2), EINVAL); /* the handle is taken */
    CHECK_EQUAL(daemon_enable(&d, 1, 4711, 1), ENOENT);
    CHECK_EQUAL(daemon_filter(&d, 1, daemon_point(&d, "app:tick"), 1, (const uint8_t *)"nonsense", 8), EINVAL);
    CHECK_EQUAL(daemon_disable(&d, 1, daemon_point(&d, "app:tick")), ENOENT);
    CHECK_EQUAL(daemon_enable(&d, 1, daemon_point(&d, "app:tick"), 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    trace_release(&d, &a);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).total, 10);
    seam_close(&s);
    trace_end(&d, &a);
}

/* Reads until the program gives the connection up. */
static int hangs_up(void)
{
    int type;
    while ((type = daemon_receive(&d, PATIENCE_MS)) > 0)
        ;
    return type == -1;
}

static void nonsense_from_the_daemon(void)
{
    static uint8_t noise[WEFT_WIRE_MAX];
    trace_begin(&d, &a);
    trace_release(&d, &a);
    const int handed[3] = { STDERR_FILENO, STDERR_FILENO, STDERR_FILENO };
    srandom(7);
    for (int round = 0; round < 60; round++) {
        uint32_t length = (uint32_t)random() % (round % 10 ? 80 : sizeof(noise) - 1) + 1;
        for (uint32_t i = 0; i < length; i++)
            noise[i] = (uint8_t)random();
        const struct weft_wire_header header = { (uint16_t)(60 + round % 20), 0, length + (round % 7 == 0) };
        if (length >= sizeof(header) && round % 3)
            memcpy(noise, &header, sizeof(header));
        daemon_send_raw(&d, noise, length, handed, round % 4);
        /* Sane or not: nothing that we send now is a proper message, so the connection ends here at the latest. */
        daemon_send_raw(&d, noise, 3, NULL, 0);
        CHECK(hangs_up());
        CHECK(daemon_register(&d));
        daemon_synced(&d);
    }
    app_do(&a, APP_EMIT, 10);
    trace_end(&d, &a);
}

static void descriptions_of_one_event(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    trace_release(&d, &a);
    app_do(&a, APP_REGISTER_TWIN, 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).by_thread[0], 10);
    app_do(&a, APP_UNREGISTER, 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).by_thread[200], 10);
    CHECK_EQUAL(trace_tally(&s).total, 20);
    seam_close(&s);
    trace_end(&d, &a);
}

static void cases(void)
{
    seam_case("a program announces its points, built-in ones, and later ones alone", announces);
    seam_case("the constructor waits until the daemon has said everything", waits_until_synced);
    seam_case("who gave WEFT_REGISTER_TIMEOUT a time waits for sessions that are late, too", waits_as_long_as_it_is_told);
    seam_case("the wait is bounded by WEFT_REGISTER_TIMEOUT, and there is none without a daemon", bounded_wait);
    seam_case("enable, start, stop, disable: exactly the events in between are recorded", records);
    seam_case("one event into two channels, each with its own id", two_channels);
    seam_case("no event is committed after a stop or detach is acknowledged, under load", stop_under_load);
    seam_case("filters of a point: set, replaced, refused, removed; never passed over", filters);
    seam_case("a filter asks for an application's context, which may come later and go", filter_on_an_application_context);
    seam_case("bad commands are answered with their reason, and good ones still work", refuses);
    seam_case("nonsense from a daemon ends the connection, never the program", nonsense_from_the_daemon);
    seam_case("an event described by two objects outlives the first one", descriptions_of_one_event);
}

int main(void)
{
    return trace_run(cases);
}
