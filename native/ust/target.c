#include "ust/target.h"

#include <errno.h>
#include <stdlib.h>

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
        if (!t->channel->used)
            return t;
    }
    return NULL;
}

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

int weft_point_switch_on(struct weft_point_entry *p, void (*probe)(void), struct weft_channel *c, uint32_t event_id)
{
    struct weft_target *t = target_of(p, c) ?: spare_target(p) ?: append_target(p, c);
    if (!t)
        return ENOMEM;
    if (t->public.on && t->channel == c && t->event_id == event_id && t->public.probe == probe)
        return 0;
    __atomic_store_n(&t->public.on, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&t->channel, c, __ATOMIC_RELEASE);
    __atomic_store_n(&t->event_id, event_id, __ATOMIC_RELEASE);
    __atomic_store_n(&t->public.probe, probe, __ATOMIC_RELEASE);
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
