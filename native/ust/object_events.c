#define _GNU_SOURCE
#include "ust/object_events.h"

#include <limits.h>
#include <string.h>

#include "ust/record.h"
#include "ust/registry.h"
#include "ust/target.h"
#include "weft/serialize.h"

#define VALUES_MAX 6
/* The largest event is one with a path. */
#define PAYLOAD_MAX (PATH_MAX + 64)

#define CHARACTER { 8, WEFT_INT_SIGNED, 10 }
#define BASE { .name = "baddr", .kind = WEFT_KIND_INTEGER, .integer = { 64, 0, 16 } }
#define MEMSZ { .name = "memsz", .kind = WEFT_KIND_INTEGER, .integer = { 64, 0, 10 } }
#define TEXT(name_) { .name = name_, .kind = WEFT_KIND_STRING, .encoding = 1 }
#define FLAG(name_) { .name = name_, .kind = WEFT_KIND_INTEGER, .integer = { 8, 0, 10 } }

static const struct weft_field procname_fields[] = {
    { .name = "procname", .kind = WEFT_KIND_ARRAY, .encoding = 1, .integer = CHARACTER, .length = WEFT_PROCNAME_BYTES },
};
static const struct weft_field bin_info_fields[] = { BASE, MEMSZ, TEXT("path"), FLAG("is_pic"), FLAG("has_build_id"),
                                                     FLAG("has_debug_link") };
static const struct weft_field load_fields[] = { BASE, MEMSZ, TEXT("path"), FLAG("has_build_id"), FLAG("has_debug_link") };
static const struct weft_field build_id_fields[] = {
    BASE, { .name = "build_id", .kind = WEFT_KIND_SEQUENCE, .integer = { 8, 0, 16 }, .length_type = { 64, 0, 10 } },
};
static const struct weft_field debug_link_fields[] = {
    BASE, { .name = "crc", .kind = WEFT_KIND_INTEGER, .integer = { 32, 0, 10 } }, TEXT("filename"),
};
static const struct weft_field unload_fields[] = { BASE };

static void no_probe(void)
{
}

static const int debug_line_level = 13;

#define FOR_EACH_STATEDUMP(do) \
    do(start, NULL, 0) do(procname, procname_fields, 1) do(bin_info, bin_info_fields, 6) do(build_id, build_id_fields, 2) \
    do(debug_link, debug_link_fields, 3) do(end, NULL, 0)
#define FOR_EACH_LIB(do) \
    do(load, load_fields, 5) do(build_id, build_id_fields, 2) do(debug_link, debug_link_fields, 3) do(unload, unload_fields, 1)

enum statedump { DUMP_start, DUMP_procname, DUMP_bin_info, DUMP_build_id, DUMP_debug_link, DUMP_end, DUMPS };
enum lib { LIB_load, LIB_build_id, LIB_debug_link, LIB_unload, LIBS };

#define EVENT(provider_, name_, fields_, count_)                                                                            \
    { .size = sizeof(struct weft_event), .provider = provider_, .name = name_, .signature = "weft", .fields = fields_,        \
      .field_count = count_, .loglevel = &debug_line_level, .probe = no_probe, .flags = WEFT_EVENT_EVALUATES },
#define POINT(provider_, name_) \
    { .size = sizeof(struct weft_point), .provider = provider_, .name = name_, .signature = "weft" },
#define DUMP_EVENT(name, fields, count) EVENT("lttng_ust_statedump", #name, fields, count)
#define DUMP_POINT(name, fields, count) POINT("lttng_ust_statedump", #name)
#define LIB_EVENT(name, fields, count) EVENT("lttng_ust_lib", #name, fields, count)
#define LIB_POINT(name, fields, count) POINT("lttng_ust_lib", #name)

static struct weft_event dump_events[DUMPS] = { FOR_EACH_STATEDUMP(DUMP_EVENT) }, lib_events[LIBS] = { FOR_EACH_LIB(LIB_EVENT) };
static struct weft_point dump_points[DUMPS] = { FOR_EACH_STATEDUMP(DUMP_POINT) }, lib_points[LIBS] = { FOR_EACH_LIB(LIB_POINT) };

static void register_all(struct weft_provider *provider, struct weft_event **of, struct weft_event *events, struct weft_point *points)
{
    for (uint32_t i = 0; i < provider->event_count; i++)
        of[i] = &events[i];
    weft_registry_add_provider(provider);
    for (uint32_t i = 0; i < provider->event_count; i++) {
        struct weft_point *const point = &points[i];
        weft_registry_add_points(&point, 1);
    }
}

void weft_object_events_register(void)
{
    static struct weft_event *dump[DUMPS], *lib[LIBS];
    static struct weft_provider dump_provider = { sizeof(struct weft_provider), "lttng_ust_statedump", dump, DUMPS, NULL };
    static struct weft_provider lib_provider = { sizeof(struct weft_provider), "lttng_ust_lib", lib, LIBS, NULL };
    register_all(&dump_provider, dump, dump_events, dump_points);
    register_all(&lib_provider, lib, lib_events, lib_points);
}

/* ---- one event: its payload and, for filters, its values ---- */

/* Under the registry's lock, so there is one. */
static struct {
    char stage[WEFT_STAGE_HEADROOM + PAYLOAD_MAX + WEFT_STAGE_TAIL];
    struct weft_value values[VALUES_MAX];
    char *at;
    uint32_t count;
} event;

static void begin(void)
{
    event.at = event.stage + WEFT_STAGE_HEADROOM;
    event.count = 0;
}

static const char *put(const void *bytes, size_t length)
{
    const char *from = memcpy(event.at, bytes, length);
    event.at += length;
    return from;
}

static void put_integer(uint64_t value, size_t bytes)
{
    weft_value_integer(&event.values[event.count++], put(&value, bytes), bytes, 0);
}

static void put_string(const char *text)
{
    const size_t length = strnlen(text, PATH_MAX);
    weft_value_text(&event.values[event.count++], put(text, length), length);
    *event.at++ = 0;
}

static void put_sequence(const uint8_t *bytes, uint64_t length)
{
    put(&length, sizeof(length));
    weft_value_array(&event.values[event.count++], put(bytes, length), length, 8, 0);
}

static int passes(struct weft_sink *sink, void *ip)
{
    const uint32_t filtered = __atomic_load_n(&sink->filtered, __ATOMIC_RELAXED);
    if (filtered == WEFT_FILTERED_NOT)
        return 1;
    if (filtered == WEFT_FILTERED_NO_VALUES)
        return weft_evaluate(sink, NULL, 0, ip);
    return weft_evaluate(sink, event.count ? event.values : NULL, event.count, ip);
}

/* To one channel; NULL: wherever the point is on. */
static void record(struct weft_point *point, const struct weft_channel *only)
{
    void *ip = __builtin_return_address(0);
    char *payload = event.stage + WEFT_STAGE_HEADROOM;
    for (struct weft_sink *s = __atomic_load_n(&point->sinks, __ATOMIC_ACQUIRE); s; s = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE)) {
        if ((!only || ((struct weft_target *)s)->channel == only) && passes(s, ip))
            weft_record_at_once(s, payload, (size_t)(event.at - payload), ip);
    }
}

/* The words that both providers have in common; a NULL point is passed over. */
static void describe(const struct weft_object *o, struct weft_point *build_id, struct weft_point *debug_link,
                     const struct weft_channel *only)
{
    if (o->build_id_bytes) {
        begin();
        put_integer(o->base, 8);
        put_sequence(o->build_id, o->build_id_bytes);
        record(build_id, only);
    }
    if (o->has_debug_link) {
        begin();
        put_integer(o->base, 8);
        put_integer(o->debug_crc, 4);
        put_string(o->debug_link);
        record(debug_link, only);
    }
}

static void begin_object(const struct weft_object *o)
{
    begin();
    put_integer(o->base, 8);
    put_integer(o->bytes, 8);
    put_string(o->path);
}

static void put_has(const struct weft_object *o)
{
    put_integer(o->build_id_bytes != 0, 1);
    put_integer(o->has_debug_link, 1);
}

/* ---- what others see of it ---- */

int weft_statedump_wanted(const struct weft_channel *c)
{
    for (int i = 0; i < DUMPS; i++) {
        const struct weft_sink *s = dump_points[i].sinks;
        for (; s; s = s->next) {
            if (s->on && ((const struct weft_target *)s)->channel == c)
                return 1;
        }
    }
    return 0;
}

void weft_statedump_start(const struct weft_channel *c)
{
    begin();
    record(&dump_points[DUMP_start], c);
}

void weft_statedump_procname(const struct weft_channel *c, const char name[WEFT_PROCNAME_BYTES])
{
    begin();
    weft_value_text(&event.values[event.count++], put(name, WEFT_PROCNAME_BYTES), WEFT_PROCNAME_BYTES);
    record(&dump_points[DUMP_procname], c);
}

void weft_statedump_object(const struct weft_channel *c, const struct weft_object *o)
{
    begin_object(o);
    put_integer(o->relocated, 1);
    put_has(o);
    record(&dump_points[DUMP_bin_info], c);
    describe(o, &dump_points[DUMP_build_id], &dump_points[DUMP_debug_link], c);
}

void weft_statedump_end(const struct weft_channel *c)
{
    begin();
    record(&dump_points[DUMP_end], c);
}

int weft_lib_wanted(void)
{
    for (int i = 0; i < LIBS; i++) {
        if (lib_points[i].sinks)
            return 1;
    }
    return 0;
}

void weft_lib_load(const struct weft_object *o)
{
    begin_object(o);
    put_has(o);
    record(&lib_points[LIB_load], NULL);
    describe(o, &lib_points[LIB_build_id], &lib_points[LIB_debug_link], NULL);
}

void weft_lib_unload(uint64_t base)
{
    begin();
    put_integer(base, 8);
    record(&lib_points[LIB_unload], NULL);
}
