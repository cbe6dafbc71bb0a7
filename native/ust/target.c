#include "ust/target.h"

#include <errno.h>
#include <stdlib.h>

#include "ust/filter.h"
#include "ust/filter_steps.h"
#include "ust/tap.h"

static struct weft_point_entry *points;
static uint32_t last_generation;

struct weft_point_entry *weft_points(void)
{
    return points;
}

struct weft_point_entry *weft_point_add(struct weft_point *point)
{
    struct weft_point_entry *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->point = point;
    p->next = points;
    points = p;
    point->library = p;
    return p;
}

static void free_filters(struct weft_point_entry *p)
{
    while (p->filters) {
        struct weft_filter *gone = p->filters;
        p->filters = gone->next;
        weft_filter_free(gone);
    }
}

static void free_point(struct weft_point_entry *p)
{
    struct weft_target *t = p->targets;
    __atomic_store_n(&p->point->sinks, NULL, __ATOMIC_RELEASE);
    p->point->library = NULL;
    while (t) {
        struct weft_target *next = (struct weft_target *)t->public.next;
        free(t);
        t = next;
    }
    free_filters(p);
    free(p);
}

void weft_point_remove(struct weft_point *point)
{
    struct weft_point_entry **link = &points;
    while (*link && (*link)->point != point)
        link = &(*link)->next;
    if (!*link)
        return;
    struct weft_point_entry *gone = *link;
    *link = gone->next;
    free_point(gone);
}

static struct weft_target *target_of(struct weft_point_entry *p, const struct weft_channel *c)
{
    for (struct weft_target *t = p->targets; t; t = (struct weft_target *)t->public.next) {
        if (t->channel == c)
            return t;
    }
    return NULL;
}

/* A target whose channel is gone serves the next one: lists stay as short as the most channels that a point ever had at once. */
static struct weft_target *spare_target(struct weft_point_entry *p)
{
    for (struct weft_target *t = p->targets; t; t = (struct weft_target *)t->public.next) {
        if (t->channel && !t->channel->used)
            return t;
    }
    return NULL;
}

/* `c` NULL: one for wishes. */
static struct weft_target *append_target(struct weft_point_entry *p, struct weft_channel *c)
{
    struct weft_target *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->channel = c;
    struct weft_sink **end = (struct weft_sink **)&p->targets;
    while (*end)
        end = &(*end)->next;
    __atomic_store_n(end, &t->public, __ATOMIC_RELEASE);
    return t;
}

/* Never 0, and never one that a late thread could still be comparing with. */
static uint32_t new_generation(void)
{
    last_generation += last_generation == UINT32_MAX ? 2 : 1;
    return last_generation;
}

/* The one word that a disabled point loads: NULL exactly when no target is on. */
static void publish(struct weft_point_entry *p)
{
    struct weft_sink *any = NULL;
    for (struct weft_target *t = p->targets; t && !any; t = (struct weft_target *)t->public.next)
        any = t->public.on ? &p->targets->public : NULL;
    __atomic_store_n(&p->point->sinks, any, __ATOMIC_RELEASE);
}

int weft_event_evaluates(const struct weft_event *event)
{
    return event->size >= sizeof(*event) && (event->flags & WEFT_EVENT_EVALUATES);
}

static int make_filter(const struct weft_event *event, const struct weft_wanted *wanted, struct weft_filter **filter)
{
    if (!weft_event_evaluates(event))
        return ENOTSUP;
    return weft_filter_verify(wanted->filter, wanted->filter_length, event->fields, event->field_count, filter);
}

int weft_wanted_check(const struct weft_event *event, const struct weft_wanted *wanted)
{
    struct weft_filter *filter = NULL;
    const int status = wanted->filter ? make_filter(event, wanted, &filter) : 0;
    weft_filter_free(filter);
    return status;
}

/*
 * The wanted filter, NULL for none. Nothing counts the threads that run one and they may be late by any time, so a filter stays until
 * its point is unregistered, as targets do. One that comes back is found again: a point has as many as were different.
 */
static int filter_of(struct weft_point_entry *p, const struct weft_event *event, const struct weft_wanted *wanted,
                     struct weft_filter **filter)
{
    *filter = NULL;
    if (!wanted->filter)
        return 0;
    struct weft_filter *made;
    const int status = make_filter(event, wanted, &made);
    if (status)
        return status;
    for (*filter = p->filters; *filter; *filter = (*filter)->next) {
        if (weft_filter_is(*filter, wanted->filter, wanted->filter_length) && (*filter)->field_count == made->field_count) {
            weft_filter_free(made);
            return 0;
        }
    }
    made->next = p->filters;
    p->filters = *filter = made;
    return 0;
}

/* Whoever sees `filtered` sees the filter as well; whoever saw it and finds none lets the event through. */
static void set_filter(struct weft_target *t, const struct weft_filter *filter)
{
    if (!filter)
        __atomic_store_n(&t->public.filtered, WEFT_FILTERED_NOT, __ATOMIC_RELEASE);
    __atomic_store_n(&t->filter, filter, __ATOMIC_RELEASE);
    if (filter)
        __atomic_store_n(&t->public.filtered, WEFT_FILTERED_BY_VALUES, __ATOMIC_RELEASE);
}

int weft_point_switch_on(struct weft_point_entry *p, const struct weft_event *event, const struct weft_wanted *wanted)
{
    struct weft_channel *c = wanted->channel;
    struct weft_filter *filter;
    const int status = filter_of(p, event, wanted, &filter);
    if (status) {
        weft_point_switch_off(p, c);
        return status;
    }
    struct weft_target *t = target_of(p, c) ?: spare_target(p) ?: append_target(p, c);
    if (!t)
        return ENOMEM;
    if (t->public.on && t->channel == c && t->event_id == wanted->event_id && t->public.probe == event->probe) {
        set_filter(t, filter);
        return 0;
    }
    __atomic_store_n(&t->public.on, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&t->channel, c, __ATOMIC_RELEASE);
    __atomic_store_n(&t->event_id, wanted->event_id, __ATOMIC_RELEASE);
    set_filter(t, filter);
    __atomic_store_n(&t->public.probe, event->probe, __ATOMIC_RELEASE);
    __atomic_store_n(&t->public.on, new_generation(), __ATOMIC_RELEASE);
    publish(p);
    return 0;
}

int weft_point_switch_off(struct weft_point_entry *p, const struct weft_channel *c)
{
    struct weft_target *t = target_of(p, c);
    if (!t || !t->public.on)
        return 0;
    __atomic_store_n(&t->public.on, 0, __ATOMIC_RELEASE);
    publish(p);
    return 1;
}

static struct weft_target *wish_target(struct weft_point_entry *p, const struct weft_wish *wish)
{
    for (struct weft_target *t = p->targets; t; t = (struct weft_target *)t->public.next) {
        if (!t->channel && t->wish == wish)
            return t;
    }
    return NULL;
}

/* A tap never meets values that were not built for want of a tap that needs them, unless the thread is very late. */
static void set_tap(struct weft_target *t, struct weft_tap *tap)
{
    if (tap->needs_values)
        __atomic_store_n(&t->public.filtered, WEFT_FILTERED_BY_VALUES, __ATOMIC_RELEASE);
    __atomic_store_n(&t->tap, tap, __ATOMIC_RELEASE);
    if (!tap->needs_values)
        __atomic_store_n(&t->public.filtered, WEFT_FILTERED_NO_VALUES, __ATOMIC_RELEASE);
}

int weft_point_tap_on(struct weft_point_entry *p, const struct weft_event *event, const struct weft_wish *wish, struct weft_tap *tap)
{
    struct weft_target *t = wish_target(p, wish) ?: wish_target(p, NULL) ?: append_target(p, NULL);
    if (!t)
        return ENOMEM;
    if (t->public.on && t->wish == wish && t->public.probe == event->probe) {
        set_tap(t, tap);
        return 0;
    }
    __atomic_store_n(&t->public.on, 0, __ATOMIC_RELEASE);
    t->wish = wish;
    set_tap(t, tap);
    __atomic_store_n(&t->public.probe, event->probe, __ATOMIC_RELEASE);
    __atomic_store_n(&t->public.on, new_generation(), __ATOMIC_RELEASE);
    publish(p);
    return 0;
}

int weft_point_tap_off(struct weft_point_entry *p, const struct weft_wish *wish)
{
    struct weft_target *t = wish_target(p, wish);
    if (!t)
        return 0;
    __atomic_store_n(&t->public.on, 0, __ATOMIC_RELEASE);
    t->wish = NULL;
    publish(p);
    return 1;
}
