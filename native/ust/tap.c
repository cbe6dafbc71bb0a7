#include "ust/tap.h"

#include <errno.h>

#include "ust/registry.h"
#include "ust/target.h"

/* Returns how many points it leaves. */
static int leave_points(const struct weft_wish *wish)
{
    int left = 0;
    for (struct weft_point_entry *p = weft_points(); p; p = p->next)
        left += weft_point_tap_off(p, wish);
    return left;
}

static int take_points(const struct weft_catalog_entry *entry, const struct weft_wish *wish)
{
    int status = 0;
    for (struct weft_point_entry *p = weft_points(); p; p = p->next) {
        if (weft_registry_describes(entry, p->point))
            status = weft_point_tap_on(p, entry->event, wish, wish->tap) ?: status;
    }
    return status;
}

static struct weft_wish **link_of(struct weft_catalog_entry *entry, const struct weft_wish *wish)
{
    struct weft_wish **link = &entry->wishes;
    while (*link && *link != wish)
        link = &(*link)->next;
    return link;
}

int weft_wish_set(struct weft_catalog_entry *entry, struct weft_wish *wish)
{
    if (!weft_event_evaluates(entry->event))
        return ENOTSUP;
    const int status = wish->make(wish, entry->event);
    if (status)
        return status;
    wish->idle = 0;
    if (!*link_of(entry, wish)) {
        wish->next = entry->wishes;
        entry->wishes = wish;
    }
    return take_points(entry, wish);
}

/* Unlinks first: `end` frees it. */
static int drop(struct weft_wish **link, int alone)
{
    struct weft_wish *gone = *link;
    *link = gone->next;
    leave_points(gone);
    return gone->end(gone, alone);
}

int weft_wish_drop(struct weft_catalog_entry *entry, struct weft_wish *wish)
{
    return drop(link_of(entry, wish), 0);
}

int weft_wishes_drop(int connection, int (*chosen)(const struct weft_wish *wish), int alone)
{
    int status = 0;
    for (struct weft_catalog_entry *e = weft_registry_catalog(); e; e = e->next) {
        struct weft_wish **link = &e->wishes;
        while (*link) {
            if ((*link)->owner == connection && (!chosen || chosen(*link)))
                status = drop(link, alone) ?: status;
            else
                link = &(*link)->next;
        }
    }
    return status;
}

int weft_wishes_at_point(struct weft_catalog_entry *entry, struct weft_point_entry *p)
{
    int status = 0;
    for (const struct weft_wish *w = entry->wishes; w; w = w->next) {
        if (!w->idle)
            status = weft_point_tap_on(p, entry->event, w, w->tap) ?: status;
    }
    return status;
}

int weft_wishes_renew(struct weft_catalog_entry *entry)
{
    int changed = 0;
    for (struct weft_wish *w = entry->wishes; w; w = w->next) {
        changed++;
        w->idle = !weft_event_evaluates(entry->event) || w->make(w, entry->event) != 0;
        if (w->idle)
            leave_points(w);
        else
            take_points(entry, w);
    }
    return changed;
}

int weft_wishes_withdraw(struct weft_catalog_entry *entry)
{
    int left = 0;
    while (entry->wishes) {
        left += leave_points(entry->wishes);
        drop(&entry->wishes, 0);
    }
    return left;
}
