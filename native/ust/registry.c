#define _GNU_SOURCE
#include "ust/registry.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ust/record.h"

/* What one channel wants of one event. */
struct weft_enabled {
    struct weft_channel *channel;
    uint32_t event_id;
    struct weft_enabled *next;
};

/* libweft's side of a registered point. */
struct point_entry {
    struct weft_point *point;
    struct weft_target *targets; /* grows only, at its end */
    struct point_entry *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct weft_catalog_entry *catalog;
static struct point_entry *points;
static struct weft_channel *channels;
static uint32_t next_entry_id = 1;
static uint32_t next_generation;

void weft_registry_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void weft_registry_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

int weft_registry_wait(pthread_cond_t *condition, const struct timespec *deadline)
{
    return pthread_cond_timedwait(condition, &mutex, deadline);
}

void weft_registry_forked(void)
{
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0);
}

int weft_registry_init(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0 ? 0 : -errno;
}

/* After this no restartable sequence that began before goes on. */
static void restart_sequences(void)
{
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
}

static int same(const struct weft_event *e, const char *provider, const char *name, const char *signature)
{
    return strcmp(e->name, name) == 0 && strcmp(e->provider, provider) == 0 && strcmp(e->signature, signature) == 0;
}

static struct weft_target *target_of(struct point_entry *p, const struct weft_channel *c)
{
    for (struct weft_target *t = p->targets; t; t = (struct weft_target *)t->public.next) {
        if (t->channel == c)
            return t;
    }
    return NULL;
}

/* A target whose channel is gone serves the next one: lists stay as short as the most channels that a point ever had at once. */
static struct weft_target *spare_target(struct point_entry *p)
{
    for (struct weft_target *t = p->targets; t; t = (struct weft_target *)t->public.next) {
        if (!t->channel->used)
            return t;
    }
    return NULL;
}

static void append_target(struct point_entry *p, struct weft_target *t)
{
    struct weft_sink **end = (struct weft_sink **)&p->targets;
    while (*end)
        end = &(*end)->next;
    __atomic_store_n(end, &t->public, __ATOMIC_RELEASE);
}

static uint32_t new_generation(void)
{
    next_generation += next_generation == UINT32_MAX ? 2 : 1;
    return next_generation;
}

/* The one word that a disabled point loads: NULL exactly when no target is on. */
static void publish(struct point_entry *p)
{
    struct weft_sink *any = NULL;
    for (struct weft_target *t = p->targets; t && !any; t = (struct weft_target *)t->public.next)
        any = t->public.on ? &p->targets->public : NULL;
    __atomic_store_n(&p->point->sinks, any, __ATOMIC_RELEASE);
}

static int switch_on(struct point_entry *p, const struct weft_event *event, struct weft_channel *c, uint32_t event_id)
{
    struct weft_target *t = target_of(p, c) ?: spare_target(p);
    if (!t) {
        t = calloc(1, sizeof(*t));
        if (!t)
            return ENOMEM;
        t->channel = c;
        append_target(p, t);
    }
    __atomic_store_n(&t->channel, c, __ATOMIC_RELEASE);
    if (t->public.on && t->event_id == event_id && t->public.probe == event->probe)
        return 0;
    __atomic_store_n(&t->public.on, 0, __ATOMIC_RELEASE);
    t->event_id = event_id;
    t->public.probe = event->probe;
    __atomic_store_n(&t->public.on, new_generation(), __ATOMIC_RELEASE);
    publish(p);
    return 0;
}

static void switch_off(struct point_entry *p, const struct weft_channel *c)
{
    struct weft_target *t = target_of(p, c);
    if (!t || !t->public.on)
        return;
    __atomic_store_n(&t->public.on, 0, __ATOMIC_RELEASE);
    publish(p);
}

/* Brings every point of an event in line with what channels want of it. */
static int apply_event(struct weft_catalog_entry *entry, const struct weft_enabled *wanted)
{
    int status = 0;
    for (struct point_entry *p = points; p; p = p->next) {
        if (!same(entry->event, p->point->provider, p->point->name, p->point->signature))
            continue;
        if (wanted->channel->active)
            status = switch_on(p, entry->event, wanted->channel, wanted->event_id) ?: status;
        else
            switch_off(p, wanted->channel);
    }
    return status;
}

static void quiesce(struct weft_channel *c)
{
    if (c->sync == WEFT_SYNC_RSEQ)
        restart_sequences();
    else
        weft_channel_quiesce(c);
}

/* ---- providers and points ---- */

static struct weft_catalog_entry *find_entry(const struct weft_event *event)
{
    for (struct weft_catalog_entry *e = catalog; e; e = e->next) {
        if (e->references && same(e->event, event->provider, event->name, event->signature))
            return e;
    }
    return NULL;
}

static int add_event(struct weft_event *event)
{
    struct weft_catalog_entry *entry = find_entry(event);
    if (!entry) {
        entry = calloc(1, sizeof(*entry));
        if (!entry)
            return -ENOMEM;
        entry->id = next_entry_id++;
        entry->event = event;
        struct weft_catalog_entry **end = &catalog;
        while (*end)
            end = &(*end)->next;
        *end = entry;
    }
    entry->references++;
    event->library = entry;
    return 0;
}

int weft_registry_add_provider(struct weft_provider *provider)
{
    for (uint32_t i = 0; i < provider->event_count; i++) {
        if (!provider->events[i]->library) {
            const int status = add_event(provider->events[i]);
            if (status)
                return status;
        }
    }
    return 0;
}

static void free_enabled(struct weft_catalog_entry *entry)
{
    while (entry->enabled) {
        struct weft_enabled *gone = entry->enabled;
        entry->enabled = gone->next;
        free(gone);
    }
}

static void switch_off_everywhere(const struct weft_catalog_entry *entry)
{
    for (struct weft_enabled *w = entry->enabled; w; w = w->next) {
        for (struct point_entry *p = points; p; p = p->next) {
            if (same(entry->event, p->point->provider, p->point->name, p->point->signature))
                switch_off(p, w->channel);
        }
    }
    restart_sequences();
}

void weft_registry_remove_provider(struct weft_provider *provider)
{
    for (uint32_t i = 0; i < provider->event_count; i++) {
        struct weft_event *event = provider->events[i];
        struct weft_catalog_entry *entry = event->library;
        event->library = NULL;
        if (!entry || --entry->references)
            continue;
        switch_off_everywhere(entry);
        free_enabled(entry);
        entry->event = NULL;
    }
}

static int add_point(struct weft_point *point)
{
    struct point_entry *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->point = point;
    p->next = points;
    points = p;
    point->library = p;
    for (struct weft_catalog_entry *e = catalog; e; e = e->next) {
        if (!e->references || !same(e->event, point->provider, point->name, point->signature))
            continue;
        for (struct weft_enabled *w = e->enabled; w; w = w->next) {
            if (w->channel->active)
                switch_on(p, e->event, w->channel, w->event_id);
        }
    }
    return 0;
}

int weft_registry_add_points(struct weft_point *const *list, uint32_t count)
{
    int status = 0;
    for (uint32_t i = 0; i < count && status == 0; i++) {
        if (list[i] && !list[i]->library)
            status = add_point(list[i]);
    }
    return status;
}

/* The object that holds the point is being unloaded, so by the rules of dlclose() no thread is in its code. */
static void free_point(struct point_entry *p)
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

void weft_registry_remove_points(struct weft_point *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct point_entry **link = &points;
        while (*link && (!list[i] || (*link)->point != list[i]))
            link = &(*link)->next;
        if (!*link)
            continue;
        struct point_entry *gone = *link;
        *link = gone->next;
        free_point(gone);
    }
}

struct weft_catalog_entry *weft_registry_catalog(void)
{
    return catalog;
}

void weft_registry_prune(void)
{
    struct weft_catalog_entry **link = &catalog;
    while (*link) {
        struct weft_catalog_entry *e = *link;
        if (e->references || e->announced[0] || e->announced[1]) {
            link = &e->next;
            continue;
        }
        *link = e->next;
        free(e);
    }
}

void weft_registry_unannounce(int connection)
{
    for (struct weft_catalog_entry *e = catalog; e; e = e->next)
        e->announced[connection] = 0;
}

/* ---- channels ---- */

static struct weft_channel *find_channel(int connection, const uint32_t *handle, const uint8_t *ring_id)
{
    for (struct weft_channel *c = channels; c; c = c->next) {
        if (c->owner == connection && (handle ? c->attached && c->handle == *handle : memcmp(c->ring_id, ring_id, 16) == 0))
            return c;
    }
    return NULL;
}

struct weft_channel *weft_registry_channel(int connection, uint32_t handle)
{
    return find_channel(connection, &handle, NULL);
}

struct weft_channel *weft_registry_channel_by_ring(int connection, const uint8_t ring_id[16])
{
    return find_channel(connection, NULL, ring_id);
}

struct weft_channel *weft_registry_new_channel(void)
{
    struct weft_channel *c = aligned_alloc(64, (sizeof(*c) + 63) / 64 * 64);
    if (c)
        memset(c, 0, sizeof(*c));
    return c;
}

void weft_registry_add_channel(struct weft_channel *c)
{
    c->used = 1;
    c->next = channels;
    channels = c;
}

static struct weft_catalog_entry *entry_by_id(uint32_t id)
{
    struct weft_catalog_entry *e = catalog;
    while (e && (e->id != id || !e->references))
        e = e->next;
    return e;
}

int weft_registry_enable(struct weft_channel *c, uint32_t id, uint32_t event_id)
{
    struct weft_catalog_entry *entry = entry_by_id(id);
    if (!entry)
        return ENOENT;
    struct weft_enabled *w = entry->enabled;
    while (w && w->channel != c)
        w = w->next;
    if (!w) {
        w = calloc(1, sizeof(*w));
        if (!w)
            return ENOMEM;
        w->channel = c;
        w->next = entry->enabled;
        entry->enabled = w;
    }
    w->event_id = event_id;
    return apply_event(entry, w);
}

int weft_registry_disable(struct weft_channel *c, uint32_t id)
{
    struct weft_catalog_entry *entry = entry_by_id(id);
    struct weft_enabled **link = entry ? &entry->enabled : NULL;
    while (link && *link && (*link)->channel != c)
        link = &(*link)->next;
    if (!link || !*link)
        return ENOENT;
    struct weft_enabled *gone = *link;
    *link = gone->next;
    free(gone);
    for (struct point_entry *p = points; p; p = p->next) {
        if (same(entry->event, p->point->provider, p->point->name, p->point->signature))
            switch_off(p, c);
    }
    quiesce(c);
    return 0;
}

static void apply_channel(struct weft_channel *c)
{
    for (struct weft_catalog_entry *e = catalog; e; e = e->next) {
        for (struct weft_enabled *w = e->references ? e->enabled : NULL; w; w = w->next) {
            if (w->channel == c)
                apply_event(e, w);
        }
    }
}

void weft_registry_start(struct weft_channel *c)
{
    c->active = 1;
    apply_channel(c);
}

void weft_registry_stop(struct weft_channel *c)
{
    c->active = 0;
    apply_channel(c);
    quiesce(c);
}

void weft_registry_detach(struct weft_channel *c)
{
    weft_registry_stop(c);
    for (struct weft_catalog_entry *e = catalog; e; e = e->next) {
        struct weft_enabled **link = &e->enabled;
        while (*link) {
            struct weft_enabled *w = *link;
            if (w->channel != c) {
                link = &w->next;
                continue;
            }
            *link = w->next;
            free(w);
        }
    }
    weft_channel_unmap(c);
    c->used = 0;
    struct weft_channel **link = &channels;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
}

static void for_each_channel(int connection, void (*visit)(struct weft_channel *))
{
    struct weft_channel *next;
    for (struct weft_channel *c = channels; c; c = next) {
        next = c->next;
        if (c->owner == connection)
            visit(c);
    }
}

static void mark_unattached(struct weft_channel *c)
{
    c->attached = 0;
}

static void detach_if_unattached(struct weft_channel *c)
{
    if (!c->attached)
        weft_registry_detach(c);
}

void weft_registry_mark_unattached(int connection)
{
    for_each_channel(connection, mark_unattached);
}

void weft_registry_detach_unattached(int connection)
{
    for_each_channel(connection, detach_if_unattached);
}

void weft_registry_detach_all(int connection)
{
    for_each_channel(connection, weft_registry_detach);
}
