#define _GNU_SOURCE
#include "ust/registry.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ust/channel_table.h"
#include "ust/count.h"
#include "ust/debug.h"
#include "ust/map.h"
#include "ust/tap.h"
#include "ust/target.h"

/* What one channel wants of one event. */
struct weft_enabled {
    struct weft_wanted wanted;
    struct weft_enabled *next;
};

/* One registered description of an event: weft_event.library. */
struct weft_description {
    struct weft_event *event;
    struct weft_catalog_entry *entry;
    struct weft_description *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct weft_catalog_entry *catalog;
static uint32_t next_entry_id = 1;

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

int weft_registry_init(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0 ? 0 : -errno;
}

static int same(const struct weft_event *e, const char *provider, const char *name, const char *signature)
{
    return strcmp(e->name, name) == 0 && strcmp(e->provider, provider) == 0 && strcmp(e->signature, signature) == 0;
}

int weft_registry_describes(const struct weft_catalog_entry *entry, const struct weft_point *p)
{
    return entry->events && same(entry->event, p->provider, p->name, p->signature);
}

/* Brings every point of an event in line with what a channel wants of it. */
static int apply_event(struct weft_catalog_entry *entry, const struct weft_enabled *enabled)
{
    int status = 0;
    for (struct weft_point_entry *p = weft_points(); p; p = p->next) {
        if (!weft_registry_describes(entry, p->point))
            continue;
        if (enabled->wanted.channel->active)
            status = weft_point_switch_on(p, entry->event, &enabled->wanted) ?: status;
        else
            weft_point_switch_off(p, enabled->wanted.channel);
    }
    return status;
}

/* Returns when no thread can commit to the channel through a target that was switched off before. 0 or a positive errno value. */
static int quiesce(struct weft_channel *c)
{
    if (c->sync != WEFT_SYNC_RSEQ)
        return weft_channel_quiesce(c);
    /* Restarts every sequence of this process: whoever goes on has compared the generation after we changed it. */
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0 ? 0 : errno;
}

/* ---- providers and points ---- */

static struct weft_catalog_entry *find_entry(const struct weft_event *event)
{
    struct weft_catalog_entry *e = catalog;
    while (e && (!e->events || !same(e->event, event->provider, event->name, event->signature)))
        e = e->next;
    return e;
}

static struct weft_catalog_entry *new_entry(struct weft_event *event)
{
    struct weft_catalog_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->id = next_entry_id++;
    entry->event = event;
    struct weft_catalog_entry **end = &catalog;
    while (*end)
        end = &(*end)->next;
    *end = entry;
    return entry;
}

static int add_event(struct weft_event *event)
{
    struct weft_description *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->event = event;
    d->entry = find_entry(event) ?: new_entry(event);
    if (!d->entry) {
        free(d);
        return -ENOMEM;
    }
    d->next = d->entry->events;
    d->entry->events = d;
    event->library = d;
    return 0;
}

int weft_registry_add_provider(struct weft_provider *provider)
{
    int status = 0;
    for (uint32_t i = 0; i < provider->event_count && status == 0; i++) {
        if (!provider->events[i]->library)
            status = add_event(provider->events[i]);
    }
    return status;
}

static void unlink_wish(struct weft_enabled **link)
{
    struct weft_enabled *gone = *link;
    *link = gone->next;
    free(gone->wanted.filter);
    free(gone);
}

/* The last description of an event goes. Returns how many points lose their probe. */
static int withdraw(struct weft_catalog_entry *entry)
{
    int lost = 0;
    while (entry->enabled) {
        const struct weft_enabled *gone = entry->enabled;
        for (struct weft_point_entry *p = weft_points(); p; p = p->next) {
            if (same(entry->event, p->point->provider, p->point->name, p->point->signature))
                lost += weft_point_switch_off(p, gone->wanted.channel);
        }
        unlink_wish(&entry->enabled);
    }
    lost += weft_wishes_withdraw(entry);
    entry->event = NULL;
    return lost;
}

/* Another object's description takes the place of one that goes. Returns how many points get another probe. */
static int replace(struct weft_catalog_entry *entry)
{
    int changed = 0;
    entry->event = entry->events->event;
    for (struct weft_enabled *w = entry->enabled; w; w = w->next) {
        /* It may have other fields than the filter was made for: then it is not recorded rather than not filtered. */
        if (apply_event(entry, w))
            weft_debug("%s:%s: the filter does not fit another object's description; not recorded", entry->event->provider,
                       entry->event->name);
        changed += w->wanted.channel->active;
    }
    return changed + weft_wishes_renew(entry);
}

static int remove_event(struct weft_event *event)
{
    struct weft_description *gone = event->library;
    if (!gone)
        return 0;
    struct weft_catalog_entry *entry = gone->entry;
    struct weft_description **link = &entry->events;
    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
    event->library = NULL;
    free(gone);
    if (!entry->events)
        return withdraw(entry);
    return entry->event == event ? replace(entry) : 0;
}

/*
 * A thread that read the address of a probe or callback a moment ago may be in it while the caller unmaps it. Nothing counts such
 * threads (it would cost every event); this gives them the time of some hundred thousand events to come out.
 */
void weft_registry_grace(void)
{
    const struct timespec grace = { 0, 20000000 };
    nanosleep(&grace, NULL);
}

void weft_registry_remove_provider(struct weft_provider *provider)
{
    int left = 0;
    for (uint32_t i = 0; i < provider->event_count; i++)
        left += remove_event(provider->events[i]);
    /* As a rule an object's points go before its probes, and nobody is in them. But here points of other objects called these. */
    if (left)
        weft_registry_grace();
}

static int add_point(struct weft_point *point)
{
    struct weft_point_entry *p = weft_point_add(point);
    if (!p)
        return -ENOMEM;
    int status = 0;
    for (struct weft_catalog_entry *e = catalog; e; e = e->next) {
        for (struct weft_enabled *w = weft_registry_describes(e, point) ? e->enabled : NULL; w; w = w->next) {
            if (w->wanted.channel->active)
                status = weft_point_switch_on(p, e->event, &w->wanted) ?: status;
        }
        if (weft_registry_describes(e, point))
            status = weft_wishes_at_point(e, p) ?: status;
    }
    return -status;
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

void weft_registry_remove_points(struct weft_point *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i])
            weft_point_remove(list[i]);
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
        if (e->events || e->announced[0] || e->announced[1]) {
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

/* ---- what the daemons want ---- */

struct weft_catalog_entry *weft_registry_entry(uint32_t id)
{
    struct weft_catalog_entry *e = catalog;
    while (e && (e->id != id || !e->events))
        e = e->next;
    return e;
}

/* Where the channel's wish on an event is, or would be, linked. */
static struct weft_enabled **wish(struct weft_catalog_entry *entry, const struct weft_channel *c)
{
    struct weft_enabled **link = &entry->enabled;
    while (*link && (*link)->wanted.channel != c)
        link = &(*link)->next;
    return link;
}

/* Takes the filter over, or frees it. */
static int set_wish(struct weft_catalog_entry *entry, const struct weft_wanted *wanted)
{
    struct weft_enabled **link = wish(entry, wanted->channel);
    const int status = weft_wanted_check(entry->event, wanted);
    if (status == 0 && !*link)
        *link = calloc(1, sizeof(**link));
    if (status || !*link) {
        free(wanted->filter);
        return status ?: ENOMEM;
    }
    free((*link)->wanted.filter);
    (*link)->wanted = *wanted;
    return apply_event(entry, *link);
}

int weft_registry_enable(struct weft_channel *c, uint32_t id, uint32_t event_id, const uint8_t *filter, uint32_t length)
{
    struct weft_catalog_entry *entry = weft_registry_entry(id);
    struct weft_wanted wanted = { c, event_id, length, NULL };
    if (!entry)
        return ENOENT;
    if (length) {
        wanted.filter = malloc(length);
        if (!wanted.filter)
            return ENOMEM;
        memcpy(wanted.filter, filter, length);
    }
    return set_wish(entry, &wanted);
}

int weft_registry_disable(struct weft_channel *c, uint32_t id)
{
    struct weft_catalog_entry *entry = weft_registry_entry(id);
    struct weft_enabled **link = entry ? wish(entry, c) : NULL;
    if (!link || !*link)
        return ENOENT;
    unlink_wish(link);
    for (struct weft_point_entry *p = weft_points(); p; p = p->next) {
        if (weft_registry_describes(entry, p->point))
            weft_point_switch_off(p, c);
    }
    return quiesce(c);
}

static int set_active(struct weft_channel *c, int active)
{
    int status = 0;
    c->active = (uint8_t)active;
    for (struct weft_catalog_entry *e = catalog; e; e = e->next) {
        struct weft_enabled *w = *wish(e, c);
        if (w)
            status = apply_event(e, w) ?: status;
    }
    return status;
}

int weft_registry_start(struct weft_channel *c)
{
    return set_active(c, 1);
}

int weft_registry_stop(struct weft_channel *c)
{
    set_active(c, 0);
    return quiesce(c);
}

/* Switches off, forgets and gives the memory back, whoever may still be inside: see weft_channel_unmap. */
static void drop(struct weft_channel *c)
{
    set_active(c, 0);
    for (struct weft_catalog_entry *e = catalog; e; e = e->next) {
        struct weft_enabled **link = wish(e, c);
        if (*link)
            unlink_wish(link);
    }
    weft_channel_unmap(c);
    weft_channels_remove(c);
}

int weft_registry_detach(struct weft_channel *c)
{
    const int status = weft_registry_stop(c);
    drop(c);
    return status;
}

static void detach(struct weft_channel *c)
{
    weft_registry_detach(c);
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
    weft_channels_visit(connection, mark_unattached);
    weft_counts_mark_unattached(connection);
    weft_maps_mark_unattached(connection);
}

void weft_registry_detach_unattached(int connection)
{
    weft_channels_visit(connection, detach_if_unattached);
    weft_counts_drop_unattached(connection);
    weft_maps_drop(connection, 0);
}

void weft_registry_detach_all(int connection)
{
    weft_channels_visit(connection, detach);
    weft_wishes_drop(connection, NULL, 0);
    weft_maps_drop(connection, 1);
}

void weft_registry_forked(void)
{
    weft_registry_init();
    for (int i = 0; i < WEFT_CONNECTIONS; i++) {
        weft_channels_visit(i, drop);
        weft_wishes_drop(i, NULL, 1);
        weft_maps_drop(i, 1);
        weft_registry_unannounce(i);
    }
}
