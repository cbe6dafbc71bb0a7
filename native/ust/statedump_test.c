/* The state dump: what lies in the ring when a channel starts, for whom and how often; and what is told of objects that come and go. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>

#include "ust/test_trace.h"

#define EVENTS_MAX 512

enum { START = 1, PROCNAME, BIN_INFO, BUILD_ID, DEBUG_LINK, END };
static const char *const names[] = { "start", "procname", "bin_info", "build_id", "debug_link", "end" };

static struct test_daemon d;
static struct test_app a;
static struct seam s;

struct seen {
    uint32_t id;
    uint64_t timestamp, base, bytes;
    char text[PATH_MAX];
};
static struct {
    struct seen events[EVENTS_MAX];
    uint32_t count;
    const char *wrong;
} dump;

/* What every event but those without fields begins with is the base address. */
static uint32_t visit_event(const struct decoded *r, void *unused)
{
    (void)unused;
    struct seen *e = &dump.events[dump.count < EVENTS_MAX ? dump.count++ : 0];
    const char *payload = (const char *)r->payload;
    *e = (struct seen){ .id = r->id, .timestamp = r->timestamp, .base = r->id >= BIN_INFO && r->id < END ? decode_u64(r->payload) : 0 };
    switch (r->id) {
    case PROCNAME:
        memcpy(e->text, payload, 17);
        return 17;
    case BIN_INFO:
        e->bytes = decode_u64(r->payload + 8);
        snprintf(e->text, sizeof(e->text), "%s", payload + 16);
        return 16 + (uint32_t)strlen(e->text) + 1 + 3;
    case BUILD_ID:
        e->bytes = decode_u64(r->payload + 8);
        return 16 + (uint32_t)e->bytes;
    case DEBUG_LINK:
        snprintf(e->text, sizeof(e->text), "%s", payload + 12);
        return 12 + (uint32_t)strlen(e->text) + 1;
    default:
        return 0;
    }
}

static int earlier(const void *x, const void *y)
{
    const struct seen *l = x, *r = y;
    return l->timestamp < r->timestamp ? -1 : l->timestamp > r->timestamp;
}

/* The thread that dumps may have changed its CPU. */
static void read_events(const struct seam *from, decode_length visit)
{
    dump.count = 0;
    dump.wrong = NULL;
    for (uint32_t cpu = 0; cpu < from->geometry.cpu_count; cpu++) {
        const struct decode_totals t = decode_ring(from->ring_memory, &from->geometry, cpu, 0, visit, NULL);
        dump.wrong = t.wrong ? t.wrong : dump.wrong;
    }
    qsort(dump.events, dump.count, sizeof(*dump.events), earlier);
}

static void read_dump(const struct seam *from)
{
    read_events(from, visit_event);
}

static uint32_t seen(uint32_t id)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < dump.count; i++)
        n += dump.events[i].id == id;
    return n;
}

static const struct seen *object(const char *part)
{
    for (uint32_t i = 0; i < dump.count; i++) {
        if (dump.events[i].id == BIN_INFO && strstr(dump.events[i].text, part))
            return &dump.events[i];
    }
    return NULL;
}

/* The lowest address at which the kernel says that the program has a file. */
static uint64_t mapped_at(const char *path)
{
    char name[64], line[PATH_MAX + 128];
    uint64_t base = 0;
    snprintf(name, sizeof(name), "/proc/%d/maps", (int)a.pid);
    FILE *maps = fopen(name, "r");
    while (maps && base == 0 && fgets(line, sizeof(line), maps)) {
        if (strstr(line, path))
            base = strtoull(line, NULL, 16);
    }
    if (maps)
        fclose(maps);
    return base;
}

static void open_ring(struct seam *ring)
{
    const struct weft_geometry g = { .cpu_count = TRACE_CPUS, .subbuf_size = 1 << 16, .subbuf_count = 4, .mode = WEFT_MODE_DISCARD,
                                     .sync = (uint8_t)trace_sync };
    seam_open(ring, &g, NULL, 0);
}

static int enable_all(uint32_t channel)
{
    int status = 0;
    for (uint32_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char name[64];
        snprintf(name, sizeof(name), "lttng_ust_statedump:%s", names[i]);
        status = status ?: daemon_enable(&d, channel, daemon_point(&d, name), START + i);
    }
    return status;
}

static void begin(const char *variable)
{
    daemon_home(&d);
    daemon_start(&d);
    app_start(&a, &d, variable ? variable : trace_environment());
    app_order(&a, APP_REGISTER, 0);
    CHECK(daemon_register(&d));
    open_ring(&s);
    CHECK_EQUAL(trace_attach(&d, &s, 1, 1), 0);
    CHECK_EQUAL(enable_all(1), 0);
}

static void end(void)
{
    trace_end(&d, &a);
    seam_close(&s);
}

static void check_whole(uint32_t dumps)
{
    CHECK(!dump.wrong);
    CHECK_EQUAL(seen(START), dumps);
    CHECK_EQUAL(seen(PROCNAME), dumps);
    CHECK_EQUAL(seen(END), dumps);
    CHECK(dump.count >= 3 && dump.events[0].id == START && dump.events[dump.count - 1].id == END);
}

static void tells_where_objects_lie(void)
{
    begin(NULL);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    read_dump(&s);
    check_whole(1);
    CHECK(strcmp(dump.events[1].text, "test_app") == 0);
    const struct seen *program = object("/test_app"), *libc = object("/libc.so"), *kernel = object("[linux-vdso");
    CHECK(program && libc && object("/libweft.so.0"));
    CHECK(!kernel || kernel->bytes == 0);
    CHECK(program && program->base == mapped_at(program->text) && program->bytes > 4096);
    CHECK(libc && libc->base == mapped_at(libc->text) && libc->bytes > 1 << 20);
    for (uint32_t i = 1; i < dump.count; i++)
        CHECK(dump.events[i].id != BUILD_ID || (dump.events[i - 1].base == dump.events[i].base && dump.events[i].bytes >= 8));
    trace_release(&d, &a);
    end();
}

static void once_per_start_and_on_demand(void)
{
    struct seam other;
    begin(NULL);
    open_ring(&other);
    CHECK_EQUAL(trace_attach(&d, &other, 2, 2), 0);
    CHECK_EQUAL(enable_all(2), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 2), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STATEDUMP, 2), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STATEDUMP, 7), ENOENT);
    read_dump(&s);
    check_whole(1);
    read_dump(&other);
    check_whole(2);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STATEDUMP, 1), 0);
    read_dump(&s);
    check_whole(1);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    read_dump(&s);
    check_whole(2);
    trace_release(&d, &a);
    end();
    seam_close(&other);
}

static void without_objects(void)
{
    begin("LTTNG_UST_WITHOUT_BADDR_STATEDUMP=1");
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    read_dump(&s);
    check_whole(1);
    CHECK_EQUAL(dump.count, 3);
    trace_release(&d, &a);
    end();
}

static void switched_off(void)
{
    begin("WEFT_NO_STATEDUMP=1");
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STATEDUMP, 1), 0);
    read_dump(&s);
    CHECK_EQUAL(dump.count, 0);
    trace_release(&d, &a);
    end();
}

/* The provider of what is loaded and unloaded has fewer events of the same shapes. */
static uint32_t visit_lib(const struct decoded *r, void *unused)
{
    const uint32_t length = visit_event(r, unused);
    return r->id == BIN_INFO ? length - 1 : r->id == END ? 8 : length;
}

static void what_is_loaded_later(void)
{
    static const char *const lib[] = { "load", "build_id", "debug_link", "unload" };
    static const uint32_t ids[] = { BIN_INFO, BUILD_ID, DEBUG_LINK, END };
    begin(NULL);
    trace_release(&d, &a);
    app_do(&a, APP_LOAD, 1);
    app_do(&a, APP_LOAD, 0);
    struct seam later;
    open_ring(&later);
    CHECK_EQUAL(trace_attach(&d, &later, 3, 3), 0);
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "lttng_ust_lib:%s", lib[i]);
        CHECK_EQUAL(daemon_enable(&d, 3, daemon_point(&d, name), ids[i]), 0);
    }
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 3), 0);
    CHECK_EQUAL(app_do(&a, APP_LOAD, 1), 1);
    const uint64_t base = mapped_at("/libanl.so.1");
    app_do(&a, APP_LOAD, 0);
    read_events(&later, visit_lib);
    CHECK(!dump.wrong && base != 0);
    CHECK_EQUAL(seen(BIN_INFO), 1);
    CHECK_EQUAL(seen(END), 1);
    CHECK(object("/libanl.so.1") && object("/libanl.so.1")->base == base);
    CHECK(dump.count >= 2 && dump.events[0].id == BIN_INFO && dump.events[dump.count - 1].id == END);
    end();
    seam_close(&later);
}

static void cases(void)
{
    seam_case("the state dump tells where the program and its libraries lie", tells_where_objects_lie);
    seam_case("it goes to a channel that starts, once, and again on demand", once_per_start_and_on_demand);
    seam_case("what is loaded and unloaded later is told of, when somebody asked", what_is_loaded_later);
}

int main(void)
{
    const int status = trace_run(cases);
    seam_case("without objects it is start, name and end", without_objects);
    seam_case("switched off, it is nothing", switched_off);
    return status | (seam_failures ? 1 : 0);
}
