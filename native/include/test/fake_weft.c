#define _GNU_SOURCE
#include "fake_weft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_text.h"

#define EVENTS_MAX 256
#define POINTS_MAX 256
#define RECORDS_MAX 4096
#define JUDGED_MAX 64
#define KEPT_BYTES (4u << 20)
#define EXPORT __attribute__((visibility("default")))

/* Two per point: a point may be recorded into several channels. */
struct fake_sink {
    struct weft_sink public;
    const struct weft_event *event;
};
struct fake_point {
    struct weft_point *point;
    struct fake_sink sinks[2];
};

/* No malloc anywhere: the helper libraries under test replace it. */
static struct weft_event *events[EVENTS_MAX];
static struct fake_point points[POINTS_MAX];
static struct fake_record records[RECORDS_MAX];
static char kept[KEPT_BYTES];
static uint32_t record_count, staged_now, staged_ever;
static size_t kept_bytes;
static struct {
    const struct weft_event *event;
    char text[512];
} judgements[JUDGED_MAX];
static uint32_t judgement_count;
static int wanted_sinks = 1, refusing, filtering;
static int out = -1;

static int matches(const struct weft_event *e, const struct weft_point *p)
{
    return strcmp(e->provider, p->provider) == 0 && strcmp(e->name, p->name) == 0 && strcmp(e->signature, p->signature) == 0;
}

static void connect_point(struct fake_point *f)
{
    int on = 0;
    for (int i = 0; i < EVENTS_MAX && !on; i++) {
        if (!events[i] || !matches(events[i], f->point))
            continue;
        for (on = 0; on < wanted_sinks; on++) {
            f->sinks[on].event = events[i];
            f->sinks[on].public.on = 1;
            f->sinks[on].public.filtered = filtering == 3 ? WEFT_FILTERED_NO_VALUES : filtering ? WEFT_FILTERED_BY_VALUES : WEFT_FILTERED_NOT;
            f->sinks[on].public.probe = events[i]->probe;
            f->sinks[on].public.next = on + 1 < wanted_sinks ? &f->sinks[on + 1].public : NULL;
        }
    }
    __atomic_store_n(&f->point->sinks, on ? &f->sinks[0].public : NULL, __ATOMIC_RELEASE);
}

static void connect_all(void)
{
    for (int i = 0; i < POINTS_MAX; i++) {
        if (points[i].point)
            connect_point(&points[i]);
    }
}

static int provider_register(struct weft_provider *provider)
{
    for (uint32_t i = 0; i < provider->event_count; i++) {
        int slot = 0;
        while (slot < EVENTS_MAX && events[slot])
            slot++;
        if (slot == EVENTS_MAX)
            return -ENOMEM;
        events[slot] = provider->events[i];
    }
    connect_all();
    return 0;
}

static void provider_unregister(struct weft_provider *provider)
{
    for (uint32_t i = 0; i < provider->event_count; i++) {
        for (int slot = 0; slot < EVENTS_MAX; slot++) {
            if (events[slot] == provider->events[i])
                events[slot] = NULL;
        }
    }
    connect_all();
}

static int points_register(struct weft_point *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int slot = 0;
        while (slot < POINTS_MAX && points[slot].point)
            slot++;
        if (!list[i])
            continue;
        if (slot == POINTS_MAX)
            return -ENOMEM;
        points[slot].point = list[i];
        list[i]->library = &points[slot];
        connect_point(&points[slot]);
    }
    return 0;
}

static void points_unregister(struct weft_point *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct fake_point *f = list[i] ? list[i]->library : NULL;
        if (!f)
            continue;
        f->point = NULL;
        list[i]->sinks = NULL;
        list[i]->library = NULL;
    }
}

static void keep(const struct weft_event *event, const char *payload, size_t length, void *ip)
{
    const uint32_t index = __atomic_load_n(&record_count, __ATOMIC_RELAXED);
    if (index == RECORDS_MAX || kept_bytes + length > KEPT_BYTES)
        return;
    memcpy(kept + kept_bytes, payload, length);
    records[index] = (struct fake_record){ event, kept + kept_bytes, length, ip };
    kept_bytes += length;
    record_count++;
}

/* Writes where libweft may write, reads where it may read: a probe that stages too little is found by the sanitizers. */
static void record(struct weft_sink *sink, char *payload, size_t length, void *ip)
{
    static int busy;
    const struct weft_event *event = ((struct fake_sink *)sink)->event;
    volatile char tail = 0;
    memset(payload - WEFT_STAGE_HEADROOM, 0x5a, WEFT_STAGE_HEADROOM);
    for (uint32_t i = 0; i < WEFT_STAGE_TAIL; i++)
        tail = (char)(tail ^ payload[length + i]);
    while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
        ;
    keep(event, payload, length, ip);
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
    if (out >= 0)
        fake_text_write(out, event, payload, length, ip);
}

static int evaluate(struct weft_sink *sink, const struct weft_value *values, uint32_t count, void *ip)
{
    const struct weft_event *event = ((struct fake_sink *)sink)->event;
    if (ip && (filtering == 3 ? !values && !count : count == event->field_count) && judgement_count < JUDGED_MAX) {
        judgements[judgement_count].event = event;
        fake_text_values(judgements[judgement_count].text, sizeof(judgements[0].text), values, count);
        judgement_count++;
    }
    return filtering == 1;
}

static char *stage(struct weft_sink *sink, size_t length)
{
    (void)sink;
    if (refusing)
        return NULL;
    char *memory = mmap(NULL, length + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    staged_now++;
    staged_ever++;
    return memory + WEFT_STAGE_HEADROOM;
}

static void unstage(char *payload)
{
    (void)payload; /* kept mapped: a later use is no crash here but a wrong count in the test */
    staged_now--;
}

static const struct weft_event tracef_event = { .size = sizeof(tracef_event), .provider = "lttng_ust_tracef", .name = "event" };
static const struct weft_event tracelog_event = { .size = sizeof(tracelog_event), .provider = "lttng_ust_tracelog", .name = "any" };
static struct fake_sink text_sink = { { 1, 0, NULL, NULL }, &tracef_event };
static struct weft_point text_point = { &text_sink.public, sizeof(struct weft_point), "lttng_ust_tracef", "event", "", NULL };
static struct weft_point off_point = { NULL, sizeof(struct weft_point), "lttng_ust_tracelog", "off", "", NULL };
/* Only levels 3 (ERR) and 5 (NOTICE) are recorded. */
static struct weft_point *const level_points[15] = {
    &off_point, &off_point, &off_point, &text_point, &off_point, &text_point, &off_point, &off_point,
    &off_point, &off_point, &off_point, &off_point, &off_point, &off_point, &off_point,
};

static void vtracef(void *ip, const char *format, __builtin_va_list arguments)
{
    char text[512];
    vsnprintf(text, sizeof(text), format, arguments);
    keep(&tracef_event, text, strlen(text) + 1, ip);
}

static void vtracelog(int level, void *ip, const char *file, int line, const char *function, const char *format,
                      __builtin_va_list arguments)
{
    char text[1024];
    int n = snprintf(text, 512, "%d %s:%d %s ", level, strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line > 0, function);
    vsnprintf(text + n, 512, format, arguments);
    keep(&tracelog_event, text, strlen(text) + 1, ip);
}

EXPORT const struct weft_library weft_library = {
    .abi = WEFT_LIBRARY_ABI,
    .size = sizeof(struct weft_library),
    .provider_register = provider_register,
    .provider_unregister = provider_unregister,
    .points_register = points_register,
    .points_unregister = points_unregister,
    .record = record,
    .stage = stage,
    .unstage = unstage,
    .tracef_point = &text_point,
    .tracelog_points = level_points,
    .vtracef = vtracef,
    .vtracelog = vtracelog,
    .evaluate = evaluate,
};

static uint32_t count_events(void)
{
    uint32_t n = 0;
    for (int i = 0; i < EVENTS_MAX; i++)
        n += events[i] != NULL;
    return n;
}

static uint32_t count_points(void)
{
    uint32_t n = 0;
    for (int i = 0; i < POINTS_MAX; i++)
        n += points[i].point != NULL;
    return n;
}

static const struct weft_event *find_event(const char *provider, const char *name)
{
    for (int i = 0; i < EVENTS_MAX; i++) {
        if (events[i] && strcmp(events[i]->provider, provider) == 0 && strcmp(events[i]->name, name) == 0)
            return events[i];
    }
    return NULL;
}

static const struct weft_point *find_point(const char *provider, const char *name)
{
    for (int i = 0; i < POINTS_MAX; i++) {
        if (points[i].point && strcmp(points[i].point->provider, provider) == 0 && strcmp(points[i].point->name, name) == 0)
            return points[i].point;
    }
    return NULL;
}

static uint32_t count_records(void)
{
    return record_count;
}

static const struct fake_record *get_record(uint32_t index)
{
    return index < record_count ? &records[index] : NULL;
}

static uint32_t count_staged(void)
{
    return staged_now;
}

static uint32_t count_stages(void)
{
    return staged_ever;
}

static void forget(void)
{
    record_count = 0;
    kept_bytes = 0;
    judgement_count = 0;
}

static void enable(int sinks)
{
    wanted_sinks = sinks;
    connect_all();
}

static void refuse_stage(int yes)
{
    refusing = yes;
}

static void filter(int mode)
{
    filtering = mode;
    connect_all();
}

static const char *judged(const char *name, uint32_t nth)
{
    for (uint32_t i = 0; i < judgement_count; i++) {
        if (strcmp(judgements[i].event->name, name) == 0 && nth-- == 0)
            return judgements[i].text;
    }
    return NULL;
}

EXPORT const struct fake_weft fake_weft = {
    count_events, count_points, find_event, find_point, count_records, get_record, count_staged, count_stages,
    forget, enable, refuse_stage, filter, judged,
};

static __attribute__((constructor)) void load(void)
{
    const char *file = getenv("WEFT_FAKE_OUT");
    if (getenv("WEFT_FAKE_OFF"))
        wanted_sinks = 0;
    if (file)
        out = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}
