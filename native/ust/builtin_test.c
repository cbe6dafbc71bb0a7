/* tracef() and tracelog(): what lies in the ring, for texts of every size class. */
#define _GNU_SOURCE
#include "ust/test_bytecode.h"
#include "ust/test_trace.h"

static struct test_daemon d;
static struct test_app a;
static struct seam s;

struct texts {
    uint32_t lengths[2]; /* tracef's, tracelog's */
    int seen, wrong;
};

static int all_x(const uint8_t *text, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        if (text[i] != 'x')
            return 0;
    }
    return 1;
}

/* {u32 length, text}; with {i32 line, file, function} before it for tracelog. */
static uint32_t visit_text(const struct decoded *r, void *context)
{
    struct texts *t = context;
    const uint8_t *p = r->payload;
    if (r->id == 2) {
        t->wrong |= decode_u32(p) != 77 || strcmp((const char *)p + 4, "file.c") != 0 || strcmp((const char *)p + 11, "function") != 0;
        p += 4 + sizeof("file.c") + sizeof("function");
    }
    const uint32_t length = decode_u32(p);
    t->wrong |= (r->id != 1 && r->id != 2) || length > 100000 || !all_x(p + 4, length);
    t->lengths[r->id == 2] = length;
    t->seen++;
    return t->wrong ? 1 << 20 : (uint32_t)(p + 4 + length - r->payload);
}

static struct texts read_texts(void)
{
    struct texts t = { { 0, 0 }, 0, 0 };
    for (uint32_t cpu = 0; cpu < s.geometry.cpu_count; cpu++)
        t.wrong |= decode_ring(s.ring_memory, &s.geometry, cpu, 0, visit_text, &t).wrong != NULL;
    return t;
}

static void text_of(uint32_t length)
{
    const struct weft_geometry g = { .cpu_count = 8, .subbuf_size = 1 << 18, .subbuf_count = 2, .mode = WEFT_MODE_DISCARD,
                                     .sync = (uint8_t)trace_sync };
    seam_open(&s, &g, NULL, 0);
    trace_begin(&d, &a);
    CHECK_EQUAL(trace_record(&d, &s, 1, "lttng_ust_tracef:event", 1), 0);
    CHECK_EQUAL(daemon_enable(&d, 1, daemon_point(&d, "lttng_ust_tracelog:LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING"), 2), 0);
    trace_release(&d, &a);
    app_do(&a, APP_TRACE_TEXT, length);
    const struct texts t = read_texts();
    CHECK_EQUAL(t.seen, 2);
    CHECK(!t.wrong && t.lengths[0] == length && t.lengths[1] == length);
    trace_end(&d, &a);
    seam_close(&s);
}

/* msg == "xxx" of tracef; line == 77 && func == "function" && msg != "xxx" of tracelog. */
static int filter_texts(void)
{
    struct program tracef = program_begin(), tracelog = program_begin();
    WORD(&tracef, WEFT_OP_FIELD_STRING, 0);
    TEXT(&tracef, WEFT_OP_PUSH_STRING, "xxx");
    OP(&tracef, WEFT_OP_STRING_EQ);
    RETURN(&tracef);
    COMPARE(&tracelog, 0, EQ, 77);
    WORD(&tracelog, WEFT_OP_FIELD_STRING, 1);
    TEXT(&tracelog, WEFT_OP_GLOB_EQ, "*.c");
    OP(&tracelog, WEFT_OP_AND);
    WORD(&tracelog, WEFT_OP_FIELD_STRING, 2);
    TEXT(&tracelog, WEFT_OP_PREFIX_EQ, "func");
    OP(&tracelog, WEFT_OP_AND);
    WORD(&tracelog, WEFT_OP_FIELD_STRING, 3);
    TEXT(&tracelog, WEFT_OP_PUSH_STRING, "xxx");
    OP(&tracelog, WEFT_OP_STRING_EQ + NE);
    OP(&tracelog, WEFT_OP_AND);
    RETURN(&tracelog);
    return daemon_filter(&d, 1, daemon_point(&d, "lttng_ust_tracef:event"), 1, tracef.bytes, tracef.length)
               ?: daemon_filter(&d, 1, daemon_point(&d, "lttng_ust_tracelog:LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING"), 2,
                                tracelog.bytes, tracelog.length);
}

static void filtered(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_attach(&d, &s, 1, 1), 0);
    CHECK_EQUAL(filter_texts(), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), 0);
    trace_release(&d, &a);
    app_do(&a, APP_TRACE_TEXT, 3);
    struct texts t = read_texts();
    CHECK(!t.wrong && t.seen == 1 && t.lengths[0] == 3 && t.lengths[1] == 0);
    app_do(&a, APP_TRACE_TEXT, 4);
    t = read_texts();
    CHECK(!t.wrong && t.seen == 2 && t.lengths[0] == 3 && t.lengths[1] == 4);
    trace_end(&d, &a);
    seam_close(&s);
}

static void empty(void) { text_of(0); }
static void on_the_stack(void) { text_of(200); }
static void staged(void) { text_of(511); }
static void just_too_long(void) { text_of(512); }
static void formatted_elsewhere(void) { text_of(5000); }
static void large(void) { text_of(90000); }

static void cases(void)
{
    seam_case("tracef and tracelog record an empty text", empty);
    seam_case("... a short one", on_the_stack);
    seam_case("... the longest that is formatted on the stack", staged);
    seam_case("... one byte more", just_too_long);
    seam_case("... a long one", formatted_elsewhere);
    seam_case("... one that is larger than a staging block", large);
    seam_case("filters see line, file, function and text", filtered);
}

int main(void)
{
    return trace_run(cases);
}
