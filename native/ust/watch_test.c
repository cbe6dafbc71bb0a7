/* Triggers inside a program: what a played daemon asks to be told, and what it is told. */
#define _GNU_SOURCE
#include <errno.h>

#include "ust/fired.h"
#include "ust/test_bytecode.h"
#include "ust/test_fields.h"
#include "ust/test_trace.h"

#define VALUES 16

static struct test_daemon d;
static struct test_app a;
static struct seam s;

/* The captures of a WATCH, one after another. */
static struct captures {
    uint8_t bytes[4096];
    size_t length;
    uint16_t count;
} c;

static void capture(uint8_t kind, uint16_t what, size_t what_bytes, uint32_t index, size_t index_bytes)
{
    c.count++;
    c.bytes[c.length++] = kind;
    memcpy(c.bytes + c.length, &what, what_bytes);
    memcpy(c.bytes + c.length + what_bytes, &index, index_bytes);
    c.length += what_bytes + index_bytes;
}

static void capture_nothing(void) { capture(WEFT_CAPTURE_UNAVAILABLE, 0, 0, 0, 0); }
static void capture_field(uint16_t field) { capture(WEFT_CAPTURE_FIELD, field, 2, 0, 0); }
static void capture_element(uint16_t field, uint32_t index) { capture(WEFT_CAPTURE_ELEMENT, field, 2, index, 4); }
static void capture_context(uint16_t type) { capture(WEFT_CAPTURE_CONTEXT, type, 2, 0, 0); }

static void capture_app_context(const char *name)
{
    capture(WEFT_CAPTURE_APP_CONTEXT, (uint16_t)strlen(name), 1, 0, 0);
    memcpy(c.bytes + c.length, name, strlen(name));
    c.length += strlen(name);
}

static struct captures none(void)
{
    return c = (struct captures){ .length = 0 };
}

static int watch(uint32_t id, const char *point)
{
    return daemon_watch(&d, id, daemon_point(&d, point), NULL, 0, c.bytes, c.count, c.length);
}

/* number OPERATOR value */
static int watch_ticks(uint32_t id, uint32_t operator, int64_t value)
{
    struct program p = program_begin();
    COMPARE(&p, 1, operator, value);
    RETURN(&p);
    return daemon_watch(&d, id, daemon_point(&d, "app:tick"), p.bytes, p.length, c.bytes, c.count, c.length);
}

struct told {
    uint32_t watch, point, discarded;
    uint64_t timestamp;
    uint16_t count;
    struct {
        uint8_t kind;
        uint16_t length; /* of text or row */
        uint64_t number; /* or the row's first one */
        const uint8_t *bytes;
    } values[VALUES];
};

static void take_value(struct weft_cursor *m, struct told *t, uint32_t i)
{
    const uint8_t *kind = weft_get(m, 1);
    t->values[i].kind = kind ? *kind : 255;
    if (t->values[i].kind == 0)
        return;
    if (t->values[i].kind >= 4)
        t->values[i].length = weft_get_u16(m);
    t->values[i].bytes = weft_get(m, t->values[i].kind < 4 ? 8 : t->values[i].length * (t->values[i].kind == 4 ? 1u : 8u));
    if (t->values[i].bytes && t->values[i].kind != 4 && (t->values[i].kind < 4 || t->values[i].length))
        memcpy(&t->values[i].number, t->values[i].bytes, 8);
}

/* The next FIRED; 0 when none comes. */
static int told(struct told *t, int ms)
{
    memset(t, 0, sizeof(*t));
    if (daemon_receive(&d, ms) != WEFT_WIRE_FIRED)
        return 0;
    struct weft_cursor m = daemon_cursor(&d);
    t->watch = weft_get_u32(&m);
    t->point = weft_get_u32(&m);
    const uint8_t *timestamp = weft_get(&m, 8);
    if (timestamp)
        memcpy(&t->timestamp, timestamp, 8);
    t->discarded = weft_get_u32(&m);
    t->count = weft_get_u16(&m);
    for (uint32_t i = 0; i < t->count; i++) {
        struct told over = { .watch = 0 };
        take_value(&m, i < VALUES ? t : &over, i < VALUES ? i : 0);
    }
    CHECK(!m.short_message && m.at == m.length && d.length <= WEFT_FIRED_MAX);
    return 1;
}

static uint32_t count_told(uint32_t id)
{
    struct told t;
    uint32_t count = 0;
    while (told(&t, 0)) {
        CHECK_EQUAL(t.watch, id);
        count += 1 + t.discarded;
    }
    return count;
}

static void begin(void)
{
    none();
    trace_begin(&d, &a);
    trace_release(&d, &a);
}

static void begin_kinds(void)
{
    uint64_t status;
    begin();
    app_order(&a, APP_REGISTER_KINDS, 0);
    for (int tries = 0; !app_answered(&a, 10, &status); tries++) {
        if (daemon_ready(&d, 0))
            daemon_synced(&d);
        if (tries > 250) {
            printf("not ok - the program registers\n");
            exit(1);
        }
    }
    daemon_ready(&d, 0);
}

static int is_text(const struct told *t, uint32_t i, const char *text)
{
    return t->values[i].kind == 4 && t->values[i].length == strlen(text) && memcmp(t->values[i].bytes, text, strlen(text)) == 0;
}

static void captures_fields(void)
{
    struct told t;
    begin_kinds();
    for (uint16_t f = 0; f < FIELDS; f++)
        capture_field(f);
    capture_element(NUMBERS, 1);
    capture_element(NUMBERS, 3);
    capture_element(QUEUE, 1);
    capture_element(NETWORK, 1);
    CHECK_EQUAL(watch(5, "app:kinds"), 0);
    app_do(&a, APP_EMIT_KINDS, 1);
    CHECK(told(&t, PATIENCE_MS) && t.watch == 5 && t.point == daemon_point(&d, "app:kinds") && t.count == FIELDS + 4 && t.discarded == 0);
    CHECK(t.timestamp != 0);
    CHECK(t.values[A].kind == 1 && (int64_t)t.values[A].number == -1);
    CHECK(t.values[B].kind == 1 && t.values[B].number == 2);
    CHECK(t.values[X].kind == 3 && t.values[X].number == 0x3ff8000000000000u);
    CHECK(is_text(&t, NAME, "xxxxxxxxxx") && is_text(&t, LABEL, "four"));
    CHECK(t.values[NUMBERS].kind == 5 && t.values[NUMBERS].length == 3 && t.values[NUMBERS].number == 7);
    CHECK(t.values[QUEUE].kind == 6 && t.values[QUEUE].length == 2 && t.values[QUEUE].number == 1);
    CHECK(t.values[NETWORK].kind == 6 && t.values[NETWORK].length == 2 && t.values[NETWORK].number == 0x0102);
    CHECK(t.values[FIELDS].kind == 1 && (int64_t)t.values[FIELDS].number == -8);
    CHECK_EQUAL(t.values[FIELDS + 1].kind, 0);
    CHECK(t.values[FIELDS + 2].kind == 2 && t.values[FIELDS + 2].number == UINT64_MAX);
    CHECK(t.values[FIELDS + 3].kind == 2 && t.values[FIELDS + 3].number == 0xfffe);
    trace_end(&d, &a);
}

/* Names of 2000 characters, three times, and numbers behind them. */
static void cuts_long_ones(void)
{
    struct told t;
    begin_kinds();
    capture_field(NAME);
    capture_field(NAME);
    capture_field(NAME);
    capture_field(A);
    capture_field(QUEUE);
    CHECK_EQUAL(watch(6, "app:kinds"), 0);
    app_do(&a, APP_EMIT_KINDS, 200);
    CHECK(told(&t, PATIENCE_MS) && t.count == 5);
    CHECK_EQUAL(t.values[0].length, 2000);
    CHECK_EQUAL(t.values[1].length, 2000);
    CHECK(t.values[2].kind == 4 && t.values[2].length < 40);
    CHECK(t.values[3].kind == 1 && (int64_t)t.values[3].number == -1);
    CHECK(t.values[4].kind == 6 && d.length <= WEFT_FIRED_MAX);
    none();
    for (int i = 0; i < 256; i++)
        capture_field(A);
    CHECK_EQUAL(watch(6, "app:kinds"), 0);
    while (told(&t, 0))
        ;
    app_do(&a, APP_EMIT_KINDS, 1);
    CHECK(told(&t, PATIENCE_MS) && t.count == 256 && t.values[15].kind == 1);
    capture_field(A);
    CHECK_EQUAL(watch(6, "app:kinds"), EINVAL);
    trace_end(&d, &a);
}

static void captures_contexts(void)
{
    struct told t;
    begin();
    capture_context(WEFT_CONTEXT_VPID);
    capture_context(WEFT_CONTEXT_VTID);
    capture_context(WEFT_CONTEXT_PROCNAME);
    capture_context(WEFT_CONTEXT_PTHREAD_ID);
    capture_context(WEFT_CONTEXT_IP);
    capture_context(WEFT_CONTEXT_CPU_ID);
    capture_app_context("app:mode");
    capture_nothing();
    capture_context(WEFT_CONTEXT_NET_NS);
    capture_context(WEFT_CONTEXT_VEUID);
    CHECK_EQUAL(watch(7, "app:tick"), 0);
    app_do(&a, APP_EMIT, 1);
    CHECK(told(&t, PATIENCE_MS) && t.count == 10);
    CHECK(t.values[0].kind == 1 && t.values[0].number == (uint64_t)a.pid);
    CHECK(t.values[1].kind == 1 && t.values[1].number == (uint64_t)a.pid);
    CHECK(is_text(&t, 2, "test_app"));
    CHECK(t.values[3].kind == 2 && t.values[3].number != 0 && t.values[4].kind == 2 && t.values[4].number != 0);
    CHECK(t.values[5].kind == 1 && t.values[5].number < TRACE_CPUS);
    CHECK(t.values[6].kind == 0 && t.values[7].kind == 0);
    CHECK(t.values[8].kind == 2 && t.values[8].number != 0 && t.values[9].kind == 2 && t.values[9].number == geteuid());
    app_do(&a, APP_CONTEXT, 9);
    app_do(&a, APP_EMIT, 1);
    CHECK(told(&t, PATIENCE_MS) && t.values[6].kind == 2 && t.values[6].number == 9);
    trace_end(&d, &a);
}

static void filters_and_stops(void)
{
    struct told t;
    begin();
    capture_field(1);
    CHECK_EQUAL(watch_ticks(1, EQ, 3), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK(told(&t, PATIENCE_MS) && t.values[0].kind == 2 && t.values[0].number == 3 && !told(&t, 0));
    none();
    CHECK_EQUAL(watch_ticks(1, GE, 4), 0); /* in its place */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(1), 6);
    CHECK_EQUAL(watch_ticks(2, LT, 2), 0); /* beside it */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(daemon_unwatch(&d, 1, daemon_point(&d, "app:tick")), 0);
    while (told(&t, 0))
        ;
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(2), 2);
    CHECK_EQUAL(daemon_unwatch(&d, 2, UINT32_MAX), 0);
    CHECK_EQUAL(daemon_unwatch(&d, 2, UINT32_MAX), ENOENT);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(2), 0);
    CHECK_EQUAL(watch(2, "app:tick"), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(2), 10);
    trace_end(&d, &a);
}

/* What the daemon does not take is counted, and nobody waits for it. */
static void counts_what_is_discarded(void)
{
    struct told t;
    uint32_t came = 0;
    begin();
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    app_do(&a, APP_EMIT, 20000);
    while (told(&t, 0)) {
        CHECK_EQUAL(t.discarded, 0);
        came++;
    }
    CHECK(came > 10 && came < 20000);
    CHECK_EQUAL(watch_ticks(1, EQ, 0), 0); /* the number is handed on */
    app_do(&a, APP_EMIT, 1);
    CHECK(told(&t, PATIENCE_MS));
    CHECK_EQUAL(t.discarded, 20000 - came);
    app_do(&a, APP_EMIT, 1);
    CHECK(told(&t, PATIENCE_MS) && t.discarded == 0);
    trace_end(&d, &a);
}

struct sequence {
    uint64_t next;
    const char *wrong;
};

static uint32_t in_order(const struct decoded *r, void *context)
{
    struct sequence *q = context;
    uint64_t number = decode_u64(r->payload + 4);
    if (r->id != 1 || decode_u32(r->payload) != 0 || number < q->next)
        q->wrong = "not what was emitted";
    q->next = number + 1;
    return SEAM_PAYLOAD_BYTES;
}

static void leaves_recording_alone(void)
{
    uint64_t records = 0;
    trace_begin(&d, &a);
    none();
    trace_open(&s);
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    CHECK_EQUAL(watch_ticks(2, LT, 25), 0);
    trace_release(&d, &a);
    app_do(&a, APP_EMIT, 50);
    for (uint32_t cpu = 0; cpu < TRACE_CPUS; cpu++) {
        struct sequence q = { 0, NULL };
        const struct decode_totals totals = decode_ring(s.ring_memory, &s.geometry, cpu, 0, in_order, &q);
        CHECK(!q.wrong && !totals.wrong && !totals.lost);
        records += totals.records;
    }
    CHECK_EQUAL(records, 50);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_DETACH, 1), 0);
    CHECK_EQUAL(daemon_unwatch(&d, 2, UINT32_MAX), 0);
    struct told t;
    while (told(&t, 0))
        ;
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(1), 10);
    CHECK_EQUAL(trace_tally(&s).total, 50);
    seam_close(&s);
    trace_end(&d, &a);
}

static void refuse(const void *bytes, size_t length, int status)
{
    CHECK_EQUAL(daemon_command(&d, WEFT_WIRE_WATCH, bytes, length), status);
}

static void refuses(void)
{
    begin_kinds();
    const uint32_t point = daemon_point(&d, "app:kinds");
    struct {
        uint32_t watch, point, filter;
        uint16_t count;
        uint8_t captures[16];
    } __attribute__((packed)) m = { 1, point, 0, 0, { 0 } };
    const size_t head = offsetof(__typeof__(m), captures);
    for (size_t i = 0; i < head; i++)
        refuse(&m, i, EINVAL);
    refuse(&m, head + 1, EINVAL);
    m.filter = UINT32_MAX;
    refuse(&m, head, EINVAL);
    m.filter = 2;
    refuse(&m, head, EINVAL);
    m.filter = 0;
    m.point = 4000;
    refuse(&m, head, ENOENT);
    m.point = point;
    m.count = 1;
    static const struct { uint8_t bytes[12]; size_t length; } bad[] = {
        { { 0 }, 0 }, { { 0, 0 }, 2 }, { { 5 }, 1 }, { { 1, 0 }, 2 }, { { 1, FIELDS, 0 }, 3 }, { { 1, 0xff, 0xff }, 3 },
        { { 2, A, 0, 0, 0, 0, 0 }, 7 }, { { 2, LABEL, 0, 0, 0, 0, 0 }, 7 }, { { 2, NUMBERS, 0, 0, 0, 0 }, 6 }, { { 3, 0, 0 }, 3 },
        { { 3, 77, 0 }, 3 }, { { 4, 3, 'a', ':' }, 4 }, { { 4, 3, 'a', 'b', 'c' }, 5 }, { { 4 }, 1 }, { { 4, 0 }, 2 },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(m.captures, bad[i].bytes, bad[i].length);
        refuse(&m, head + bad[i].length, EINVAL);
    }
    for (size_t i = 0; i < 8; i++)
        CHECK_EQUAL(daemon_command(&d, WEFT_WIRE_UNWATCH, &m, i), EINVAL);
    m.captures[0] = 0;
    refuse(&m, head + 1, 0);
    m.captures[0] = 9; /* what was, stays */
    refuse(&m, head + 1, EINVAL);
    app_do(&a, APP_EMIT_KINDS, 1);
    CHECK_EQUAL(count_told(1), 1);
    trace_end(&d, &a);
}

static void a_point_that_cannot(void)
{
    begin();
    app_do(&a, APP_REGISTER_TWIN, 0);
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    app_do(&a, APP_UNREGISTER, 0); /* the twin was built before there were filters */
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(1), 0);
    CHECK_EQUAL(watch(2, "app:tick"), ENOTSUP);
    CHECK_EQUAL(daemon_unwatch(&d, 1, UINT32_MAX), 0);
    trace_end(&d, &a);
}

static void every_connection_anew(void)
{
    begin();
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    daemon_die(&d);
    app_do(&a, APP_EMIT, 10);
    daemon_start(&d);
    CHECK(daemon_register(&d));
    daemon_synced(&d);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(1), 0);
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(1), 10);
    trace_end(&d, &a);
}

/* The child says nothing on its parent's connection. */
static void a_child_has_none(void)
{
    begin();
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    app_order(&a, APP_FORK, 10);
    const int parent = d.fd;
    uint64_t status = 1;
    d.fd = -1;
    CHECK(daemon_register(&d));
    daemon_synced(&d);
    while (!app_answered(&a, 10, &status))
        daemon_receive(&d, 0);
    CHECK_EQUAL(status, 0);
    close(d.fd);
    d.fd = parent;
    CHECK_EQUAL(count_told(1), 0);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(count_told(1), 10);
    trace_end(&d, &a);
}

static void the_programs_own_files(void)
{
    begin();
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    app_do(&a, APP_CLOSE_FDS, 0);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(app_do(&a, APP_FILES_TOUCHED, 0), 0);
    trace_end(&d, &a);
}

/* At full speed on all threads: after the answer to UNWATCH nothing comes, and the daemon is always answered. */
static void stops_under_load(void)
{
    struct told t;
    begin();
    capture_field(1);
    app_do(&a, APP_EMIT_FOR_EVER, 8);
    for (uint32_t round = 1; round <= 40; round++) {
        CHECK_EQUAL(round % 3 ? watch(round, "app:tick") : watch_ticks(round, GE, 0), 0);
        CHECK(told(&t, PATIENCE_MS) && t.watch == round && t.values[0].kind == 2);
        if (round % 2)
            CHECK_EQUAL(watch_ticks(round, GE, 10), 0);
        CHECK_EQUAL(daemon_unwatch(&d, round, UINT32_MAX), 0);
        const uint64_t reached = app_do(&a, APP_EMITTED, 0);
        while (app_do(&a, APP_EMITTED, 0) < reached + 100)
            ;
        CHECK(!told(&t, 0));
    }
    CHECK_EQUAL(watch(1, "app:tick"), 0);
    daemon_die(&d);
    daemon_start(&d);
    CHECK(daemon_register(&d));
    daemon_synced(&d);
    CHECK_EQUAL(watch(2, "app:tick"), 0);
    CHECK(told(&t, PATIENCE_MS) && t.watch == 2);
    trace_end(&d, &a);
}

static void cases(void)
{
    seam_case("each kind of field is told with its value, and elements", captures_fields);
    seam_case("texts and rows are cut to 4096 bytes, numbers never", cuts_long_ones);
    seam_case("contexts, the application's too, and what is not there", captures_contexts);
    seam_case("filters, several watches, another one in place, an end", filters_and_stops);
    seam_case("a daemon that does not read is told how much it missed", counts_what_is_discarded);
    seam_case("channels record the same beside watches", leaves_recording_alone);
    seam_case("bad commands are answered with their reason, and what was stays", refuses);
    seam_case("a probe that cannot ask is not watched", a_point_that_cannot);
    seam_case("watches end with their connection", every_connection_anew);
    seam_case("a child has none", a_child_has_none);
    seam_case("descriptors that the program took over are left alone", the_programs_own_files);
    seam_case("after the answer to UNWATCH nothing is told, under load", stops_under_load);
}

int main(void)
{
    alarm(200);
    return trace_run(cases);
}
