/*
 * What a daemon wants of an event other than a record of it: to be told (watch.h) or to have it counted (count.h). A wish is for one
 * event of the catalog; at each of its points there is a target that holds the wish's tap.
 *
 * Nothing counts the threads that are at a point, and they may be late by any time. So a tap's memory is never freed, and what it
 * is made of does not change while it is one; who changes a wish gives it another tap. A tap that nobody wants any more is used
 * again when the same is wanted again. With the registry's lock held, but for `hit`.
 */
#ifndef WEFT_UST_TAP_H
#define WEFT_UST_TAP_H

#include <stdint.h>

#include "weft/abi.h"

struct weft_catalog_entry;
struct weft_point_entry;

struct weft_tap {
    /* Async-signal-safe, keeps errno. `count` 0: no values were built. */
    void (*hit)(struct weft_tap *tap, const struct weft_value *values, uint32_t count, void *ip);
    uint8_t needs_values;
};

struct weft_wish {
    struct weft_wish *next; /* of the same event */
    uint8_t owner;          /* index of the daemon's connection */
    uint8_t idle;           /* the event's present description does not fit */
    struct weft_tap *tap;   /* NULL: not made yet */
    /* The tap for this description, in `tap`: 0, EINVAL or ENOMEM; then the tap is what it was. */
    int (*make)(struct weft_wish *wish, const struct weft_event *event);
    /* The points have let go of it: ends what the tap does and frees the wish. `alone`: no other thread is there to wait for. */
    int (*end)(struct weft_wish *wish, int alone);
};

/* Makes or changes what a wish does at its event's points. 0, or a positive errno value: ENOTSUP or what `make` says, then nothing has
 * changed; ENOMEM with another tap than before: some points are without it. */
int weft_wish_set(struct weft_catalog_entry *entry, struct weft_wish *wish);
/* Takes it back. What `end` says. */
int weft_wish_drop(struct weft_catalog_entry *entry, struct weft_wish *wish);
/* Those of one connection for which `chosen` says so (NULL: all). Nonzero: some could not be waited for. */
int weft_wishes_drop(int connection, int (*chosen)(const struct weft_wish *wish), int alone);

/* For the registry: a point of the event comes; another object describes it; nobody does any more. */
int weft_wishes_at_point(struct weft_catalog_entry *entry, struct weft_point_entry *p);
int weft_wishes_renew(struct weft_catalog_entry *entry);
int weft_wishes_withdraw(struct weft_catalog_entry *entry);

#endif
