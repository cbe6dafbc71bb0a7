/*
 * A wish counts into one slot, once an event: that is one COUNT, or all COUNTs of the point that want the slot with WEFT_COUNT_ONCE.
 * Those are its members; each brings a filter, or none.
 */
#include "ust/count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ust/filter.h"
#include "ust/message.h"
#include "ust/registry.h"
#include "ust/tap.h"
#include "ust/wire.h"

#define EVERY_POINT UINT32_MAX

/* Never freed: see tap.h. */
struct count_tap {
    struct weft_tap tap;
    struct count_tap *next; /* of all that there are */
    const struct weft_map *map;
    uint32_t slot;
    uint8_t wanted;        /* by a wish */
    uint32_t filter_count; /* 0: every event */
    struct weft_filter *filters[];
};

struct member {
    struct member *next;
    uint32_t watch;
    uint8_t attached; /* asked for by the present connection */
    uint32_t length;
    uint8_t filter[];
};

struct count_wish {
    struct weft_wish wish;
    struct weft_map *map;
    uint32_t slot;
    uint8_t flags;
    struct member *members;
};

/* A COUNT message. */
struct asked {
    uint32_t watch, slot, length;
    struct weft_map *map;
    uint8_t flags;
    const uint8_t *filter;
};

static struct count_tap *taps;

/* ---- taps ---- */

static void count_every(struct weft_tap *tap, const struct weft_value *values, uint32_t count, void *ip)
{
    const struct count_tap *t = (const struct count_tap *)tap;
    (void)values, (void)count, (void)ip;
    weft_map_add(t->map, t->slot);
}

static void count_some(struct weft_tap *tap, const struct weft_value *values, uint32_t count, void *ip)
{
    const struct count_tap *t = (const struct count_tap *)tap;
    for (uint32_t i = 0; i < t->filter_count; i++) {
        if (weft_filter_run(t->filters[i], values, count, ip)) {
            weft_map_add(t->map, t->slot);
            return;
        }
    }
}

static void free_tap(struct count_tap *t)
{
    for (uint32_t i = 0; i < t->filter_count; i++)
        weft_filter_free(t->filters[i]);
    free(t);
}

/* How many filters it takes to judge an event; 0: one of the members wants all. */
static uint32_t filters_needed(const struct count_wish *w)
{
    uint32_t count = 0;
    for (const struct member *m = w->members; m; m = m->next) {
        if (!m->length)
            return 0;
        count++;
    }
    return count;
}

static int new_tap(const struct count_wish *w, const struct weft_event *event, struct count_tap **tap)
{
    const uint32_t needed = filters_needed(w);
    struct count_tap *t = calloc(1, sizeof(*t) + needed * sizeof(t->filters[0]));
    if (!t)
        return ENOMEM;
    t->tap = (struct weft_tap){ needed ? count_some : count_every, needed != 0 };
    t->map = w->map;
    t->slot = w->slot;
    for (const struct member *m = w->members; m && needed; m = m->next) {
        const int status = weft_filter_verify(m->filter, m->length, event->fields, event->field_count, &t->filters[t->filter_count]);
        if (status) {
            free_tap(t);
            return status;
        }
        t->filter_count++;
    }
    *tap = t;
    return 0;
}

static int same(const struct count_tap *t, const struct count_tap *made, const struct count_wish *w)
{
    if (t->map != made->map || t->slot != made->slot || t->filter_count != made->filter_count)
        return 0;
    const struct member *m = w->members;
    for (uint32_t i = 0; i < t->filter_count; i++, m = m->next) {
        if (!weft_filter_is(t->filters[i], m->filter, m->length))
            return 0;
    }
    return 1;
}

static struct count_tap *keep_tap(struct count_tap *made, const struct count_wish *w)
{
    for (struct count_tap *t = taps; t; t = t->next) {
        if (!t->wanted && same(t, made, w)) {
            free_tap(made);
            return t;
        }
    }
    made->next = taps;
    taps = made;
    return made;
}

static void unwant(struct weft_wish *wish)
{
    if (wish->tap)
        ((struct count_tap *)wish->tap)->wanted = 0;
}

static int make(struct weft_wish *wish, const struct weft_event *event)
{
    const struct count_wish *w = (const struct count_wish *)wish;
    struct count_tap *made;
    const int status = new_tap(w, event, &made);
    if (status)
        return status;
    made = keep_tap(made, w);
    made->wanted = 1;
    unwant(wish);
    wish->tap = &made->tap;
    return 0;
}

static int end(struct weft_wish *wish, int alone)
{
    struct count_wish *w = (struct count_wish *)wish;
    (void)alone;
    unwant(wish);
    while (w->members) {
        struct member *gone = w->members;
        w->members = gone->next;
        free(gone);
    }
    free(w);
    return 0;
}

/* ---- members ---- */

static struct count_wish *count_of(struct weft_wish *wish)
{
    return wish->end == end ? (struct count_wish *)wish : NULL;
}

/* Where the first member that `leaves` is linked; NULL: none is. */
static struct member **leaving(struct count_wish *w, int (*leaves)(const struct member *, uint32_t), uint32_t watch)
{
    struct member **link = &w->members;
    while (*link && !leaves(*link, watch))
        link = &(*link)->next;
    return *link ? link : NULL;
}

/* Takes members out; the wish goes with the last one. Returns how many there were. */
static uint32_t remove_members(struct weft_catalog_entry *entry, struct count_wish *w, int (*leaves)(const struct member *, uint32_t),
                               uint32_t watch)
{
    uint32_t removed = 0;
    for (struct member **link; (link = leaving(w, leaves, watch)); removed++) {
        struct member *gone = *link;
        *link = gone->next;
        free(gone);
    }
    if (!w->members)
        weft_wish_drop(entry, &w->wish);
    else if (removed)
        weft_wish_set(entry, &w->wish); /* without memory it stays as it was */
    return removed;
}

static int of_watch(const struct member *m, uint32_t watch)
{
    return m->watch == watch;
}

static int unattached(const struct member *m, uint32_t watch)
{
    (void)watch;
    return !m->attached;
}

/* ---- commands ---- */

static int take(int connection, struct weft_cursor *m, struct asked *a, struct weft_catalog_entry **entry)
{
    a->watch = weft_get_u32(m);
    const uint32_t point = weft_get_u32(m), map = weft_get_u32(m);
    a->slot = weft_get_u32(m);
    const uint8_t *flags = weft_get(m, 1);
    a->length = weft_get_u32(m);
    a->filter = weft_get(m, a->length);
    if (m->short_message || m->at != m->length || (*flags & ~WEFT_COUNT_ONCE))
        return EINVAL;
    a->flags = *flags;
    a->map = weft_map_find(connection, map);
    *entry = weft_registry_entry(point);
    if (!a->map || !*entry)
        return ENOENT;
    return a->slot < a->map->geometry.slot_count ? 0 : EINVAL;
}

static int is_sole(const struct count_wish *w)
{
    return !(w->flags & WEFT_COUNT_ONCE);
}

/* The wish of this slot and these flags that has, or is to have, the member. */
static struct count_wish *wish_for(struct weft_catalog_entry *entry, const struct asked *a)
{
    for (struct weft_wish *wish = entry->wishes; wish; wish = wish->next) {
        struct count_wish *w = count_of(wish);
        if (w && w->map == a->map && w->slot == a->slot && w->flags == a->flags && (!is_sole(w) || w->members->watch == a->watch))
            return w;
    }
    return NULL;
}

/* A daemon that comes back may have new numbers: what it asks for again in the same words is what there is. */
static int take_up(struct weft_catalog_entry *entry, const struct asked *a)
{
    for (struct weft_wish *wish = entry->wishes; wish; wish = wish->next) {
        struct count_wish *w = count_of(wish);
        if (!w || w->map != a->map || w->slot != a->slot || w->flags != a->flags)
            continue;
        for (struct member *m = w->members; m; m = m->next) {
            if (!m->attached && m->length == a->length && (!m->length || memcmp(m->filter, a->filter, m->length) == 0)) {
                m->watch = a->watch;
                m->attached = 1;
                return 1;
            }
        }
    }
    return 0;
}

static struct member *new_member(const struct asked *a)
{
    struct member *m = malloc(sizeof(*m) + a->length);
    if (!m)
        return NULL;
    *m = (struct member){ .watch = a->watch, .attached = 1, .length = a->length };
    if (a->length)
        memcpy(m->filter, a->filter, a->length);
    return m;
}

/* With the new member in the place of the watch's former one; as before when that does not fit. */
static int join(struct weft_catalog_entry *entry, struct count_wish *w, struct member *m)
{
    struct member **link = leaving(w, of_watch, m->watch), *former = NULL;
    if (link) {
        former = *link;
        *link = former->next;
    }
    m->next = w->members;
    w->members = m;
    const struct weft_tap *before = w->wish.tap;
    const int status = weft_wish_set(entry, &w->wish);
    if (status == 0 || w->wish.tap != before) {
        free(former);
        return status;
    }
    w->members = m->next;
    free(m);
    if (former) {
        former->next = w->members;
        w->members = former;
    }
    return status;
}

/* The same COUNT with other flags, which this one replaces. */
static void leave_others(struct weft_catalog_entry *entry, const struct asked *a)
{
    struct weft_wish *next;
    for (struct weft_wish *wish = entry->wishes; wish; wish = next) {
        struct count_wish *w = count_of(wish);
        next = wish->next;
        if (w && w->map == a->map && w->slot == a->slot && w->flags != a->flags)
            remove_members(entry, w, of_watch, a->watch);
    }
}

static int set(int connection, struct weft_catalog_entry *entry, const struct asked *a)
{
    struct member *m = new_member(a);
    if (!m)
        return ENOMEM;
    struct count_wish *w = wish_for(entry, a);
    if (w)
        return join(entry, w, m);
    w = calloc(1, sizeof(*w));
    if (!w) {
        free(m);
        return ENOMEM;
    }
    w->wish = (struct weft_wish){ .owner = (uint8_t)connection, .make = make, .end = end };
    w->map = a->map;
    w->slot = a->slot;
    w->flags = a->flags;
    m->next = NULL;
    w->members = m;
    const int status = weft_wish_set(entry, &w->wish);
    if (status && !w->wish.tap)
        end(&w->wish, 0);
    return status;
}

int weft_count(int connection, struct weft_cursor *m)
{
    struct asked a;
    struct weft_catalog_entry *entry;
    int status = take(connection, m, &a, &entry);
    if (status)
        return status;
    if (take_up(entry, &a))
        return 0;
    status = set(connection, entry, &a);
    if (status == 0)
        leave_others(entry, &a);
    return status;
}

int weft_uncount(int connection, struct weft_cursor *m)
{
    const uint32_t watch = weft_get_u32(m), point = weft_get_u32(m);
    uint32_t removed = 0;
    if (m->short_message || m->at != m->length)
        return EINVAL;
    for (struct weft_catalog_entry *e = weft_registry_catalog(); e; e = e->next) {
        struct weft_wish *next;
        for (struct weft_wish *wish = point == EVERY_POINT || e->id == point ? e->wishes : NULL; wish; wish = next) {
            next = wish->next;
            if (count_of(wish) && wish->owner == connection)
                removed += remove_members(e, count_of(wish), of_watch, watch);
        }
    }
    return removed ? 0 : ENOENT;
}

void weft_counts_drop_map(const struct weft_map *map)
{
    for (struct weft_catalog_entry *e = weft_registry_catalog(); e; e = e->next) {
        struct weft_wish *next;
        for (struct weft_wish *wish = e->wishes; wish; wish = next) {
            next = wish->next;
            if (count_of(wish) && count_of(wish)->map == map)
                weft_wish_drop(e, wish);
        }
    }
}

static void visit(int connection, void (*each)(struct weft_catalog_entry *, struct count_wish *))
{
    for (struct weft_catalog_entry *e = weft_registry_catalog(); e; e = e->next) {
        struct weft_wish *next;
        for (struct weft_wish *wish = e->wishes; wish; wish = next) {
            next = wish->next;
            if (count_of(wish) && wish->owner == connection)
                each(e, count_of(wish));
        }
    }
}

static void mark(struct weft_catalog_entry *entry, struct count_wish *w)
{
    (void)entry;
    for (struct member *m = w->members; m; m = m->next)
        m->attached = 0;
}

static void drop_unattached(struct weft_catalog_entry *entry, struct count_wish *w)
{
    remove_members(entry, w, unattached, 0);
}

void weft_counts_mark_unattached(int connection)
{
    visit(connection, mark);
}

void weft_counts_drop_unattached(int connection)
{
    visit(connection, drop_unattached);
}
