#define _GNU_SOURCE
#include "ust/builtin.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ust/record.h"
#include "ust/registry.h"
#include "ust/stage.h"
#include "weft/serialize.h"

#define TEXT_BYTES 512
#define CHARACTER { 8, WEFT_INT_SIGNED, 10 }
#define LENGTH { 32, 0, 10 }

static const struct weft_field tracef_fields[] = {
    { .name = "msg", .kind = WEFT_KIND_SEQUENCE, .encoding = 1, .integer = CHARACTER, .length_type = LENGTH },
};
static const struct weft_field tracelog_fields[] = {
    { .name = "line", .kind = WEFT_KIND_INTEGER, .integer = { 32, WEFT_INT_SIGNED, 10 } },
    { .name = "file", .kind = WEFT_KIND_STRING, .encoding = 1 },
    { .name = "func", .kind = WEFT_KIND_STRING, .encoding = 1 },
    { .name = "msg", .kind = WEFT_KIND_SEQUENCE, .encoding = 1, .integer = CHARACTER, .length_type = LENGTH },
};

static void no_probe(void)
{
}

static const int debug_level = 14;
static struct weft_event tracef_event = {
    .size = sizeof(struct weft_event), .provider = "lttng_ust_tracef", .name = "event", .signature = "weft",
    .fields = tracef_fields, .field_count = 1, .loglevel = &debug_level, .probe = no_probe,
    .flags = WEFT_EVENT_EVALUATES,
};
struct weft_point weft_tracef_point = {
    .size = sizeof(struct weft_point), .provider = "lttng_ust_tracef", .name = "event", .signature = "weft",
};

/* Named as LTTng-UST 2.13 names them in its traces. */
#define FOR_EACH_LEVEL(do) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_EMERG, 0) do(LTTNG_UST_TRACEPOINT_LOGLEVEL_ALERT, 1) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_CRIT, 2) do(LTTNG_UST_TRACEPOINT_LOGLEVEL_ERR, 3) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING, 4) do(LTTNG_UST_TRACEPOINT_LOGLEVEL_NOTICE, 5) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_INFO, 6) do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_SYSTEM, 7) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_PROGRAM, 8) do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_PROCESS, 9) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_MODULE, 10) do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_UNIT, 11) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_FUNCTION, 12) do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG_LINE, 13) \
    do(LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG, 14)

#define DEFINE_LEVEL(level, value)                                                                                          \
    static const int level##_value = value;                                                                                 \
    static struct weft_event level##_event = {                                                                              \
        .size = sizeof(struct weft_event), .provider = "lttng_ust_tracelog", .name = #level, .signature = "weft",               \
        .fields = tracelog_fields, .field_count = 4, .loglevel = &level##_value, .probe = no_probe,                             \
        .flags = WEFT_EVENT_EVALUATES,                                                                                      \
    };                                                                                                                      \
    static struct weft_point level##_point = {                                                                              \
        .size = sizeof(struct weft_point), .provider = "lttng_ust_tracelog", .name = #level, .signature = "weft",               \
    };
FOR_EACH_LEVEL(DEFINE_LEVEL)

#define EVENT_OF(level, value) &level##_event,
#define POINT_OF(level, value) &level##_point,
static struct weft_event *const tracef_events[] = { &tracef_event };
static struct weft_event *const tracelog_events[] = { FOR_EACH_LEVEL(EVENT_OF) };
struct weft_point *const weft_tracelog_points[WEFT_LOGLEVELS] = { FOR_EACH_LEVEL(POINT_OF) };

static struct weft_provider tracef_provider = { sizeof(struct weft_provider), "lttng_ust_tracef", tracef_events, 1, NULL };
static struct weft_provider tracelog_provider = { sizeof(struct weft_provider), "lttng_ust_tracelog", tracelog_events,
                                                  WEFT_LOGLEVELS, NULL };

void weft_builtin_register(void)
{
    struct weft_point *const tracef_points[] = { &weft_tracef_point };
    weft_registry_add_provider(&tracef_provider);
    weft_registry_add_provider(&tracelog_provider);
    weft_registry_add_points(tracef_points, 1);
    weft_registry_add_points(weft_tracelog_points, WEFT_LOGLEVELS);
}

/* The formatted text, in `small` or, when it is longer, in staging memory. */
struct text {
    char small[TEXT_BYTES];
    char *bytes;
    uint32_t length;
};

static void format_text(struct text *t, const char *format, __builtin_va_list arguments)
{
    __builtin_va_list again;
    __builtin_va_copy(again, arguments);
    const int length = vsnprintf(t->small, sizeof(t->small), format, arguments);
    t->bytes = t->small;
    t->length = length < 0 ? 0 : (uint32_t)length;
    if (t->length >= sizeof(t->small)) {
        char *large = weft_stage_take(t->length + 1ul);
        if (large) {
            vsnprintf(large, t->length + 1ul, format, again);
            t->bytes = large;
        } else {
            t->length = sizeof(t->small) - 1;
        }
    }
    __builtin_va_end(again);
}

static char *put(char *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

/* Where a tracelog() call stands; file NULL: tracef(), which does not tell. */
struct place {
    int line;
    const char *file, *function;
    size_t file_bytes, function_bytes;
};

static size_t payload_bytes(const struct place *p, const struct text *t)
{
    return (p->file ? sizeof(p->line) + p->file_bytes + 1 + p->function_bytes + 1 : 0) + sizeof(t->length) + t->length;
}

static void put_payload(char *at, const struct place *p, const struct text *t)
{
    if (p->file) {
        at = put(at, &p->line, sizeof(p->line));
        at = put(at, p->file, p->file_bytes);
        *at++ = 0;
        at = put(at, p->function, p->function_bytes);
        *at++ = 0;
    }
    at = put(at, &t->length, sizeof(t->length));
    put(at, t->bytes, t->length);
}

/* Does the target's filter, if it has one, let the text through? */
static int passes(struct weft_sink *sink, const struct place *p, const struct text *t, void *ip)
{
    struct weft_value values[4], *at = values;
    const uint32_t filtered = __atomic_load_n(&sink->filtered, __ATOMIC_RELAXED);
    if (filtered == WEFT_FILTERED_NOT)
        return 1;
    if (filtered == WEFT_FILTERED_NO_VALUES)
        return weft_evaluate(sink, NULL, 0, ip);
    if (p->file) {
        weft_value_integer(at++, &p->line, sizeof(p->line), WEFT_INT_SIGNED);
        weft_value_text(at++, p->file, p->file_bytes);
        weft_value_text(at++, p->function, p->function_bytes);
    }
    weft_value_text(at++, t->bytes, t->length);
    return weft_evaluate(sink, values, (uint32_t)(at - values), ip);
}

/* Records on every target of `point` that is on. */
static void record_text(struct weft_point *point, const struct place *p, const struct text *t, void *ip)
{
    const size_t length = payload_bytes(p, t);
    char stack[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL];
    char *payload = length <= WEFT_STAGE_STACK ? stack + WEFT_STAGE_HEADROOM : weft_stage_take(length);
    if (payload)
        put_payload(payload, p, t);
    for (struct weft_sink *s = __atomic_load_n(&point->sinks, __ATOMIC_ACQUIRE); s; s = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE)) {
        if (!passes(s, p, t, ip))
            continue;
        if (payload)
            weft_record(s, payload, length, ip);
        else
            weft_record_lost(s, WEFT_LOST_NO_MEMORY);
    }
    if (payload && length > WEFT_STAGE_STACK)
        weft_stage_give(payload);
}

static void trace_text(struct weft_point *point, const struct place *p, void *ip, const char *format, __builtin_va_list arguments)
{
    const int saved = errno;
    struct text t;
    format_text(&t, format, arguments);
    record_text(point, p, &t, ip);
    if (t.bytes != t.small)
        weft_stage_give(t.bytes);
    errno = saved;
}

void weft_vtracef(void *ip, const char *format, __builtin_va_list arguments)
{
    const struct place nowhere = { 0, NULL, NULL, 0, 0 };
    trace_text(&weft_tracef_point, &nowhere, ip, format, arguments);
}

void weft_vtracelog(int level, void *ip, const char *file, int line, const char *function, const char *format,
                    __builtin_va_list arguments)
{
    if (level < 0 || level >= WEFT_LOGLEVELS)
        return;
    const struct place here = { line, file, function, strlen(file), strlen(function) };
    trace_text(weft_tracelog_points[level], &here, ip, format, arguments);
}
