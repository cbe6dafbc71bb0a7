/*
 * Instrumentation points and their targets: per point a list of (point, channel) pairs that only grows, at its end, so that any
 * thread may walk it at any time. With the registry's lock held.
 */
#ifndef WEFT_UST_TARGET_H
#define WEFT_UST_TARGET_H

#include "ust/record.h"

struct weft_tap;
struct weft_wish;

/* libweft's side of a registered point. */
struct weft_point_entry {
    struct weft_point *point;
    struct weft_target *targets;
    struct weft_filter *filters; /* all that were ever set here */
    struct weft_point_entry *next;
};

/* The first of all registered points. */
struct weft_point_entry *weft_points(void);

/* Takes a point in; NULL without memory. */
struct weft_point_entry *weft_point_add(struct weft_point *point);
/* Forgets a point, if it was registered, and frees its targets: the object that holds it is being unloaded, so by the rules of
 * dlclose() no thread is in its code. */
void weft_point_remove(struct weft_point *point);

/* What a channel wants of an event. */
struct weft_wanted {
    struct weft_channel *channel;
    uint32_t event_id;
    uint32_t filter_length;
    uint8_t *filter; /* bytecode; NULL: every event */
};

/* Can this event be recorded as wanted? 0, EINVAL (no filter for its fields), ENOTSUP (its probe knows of no filters) or ENOMEM. */
int weft_wanted_check(const struct weft_event *event, const struct weft_wanted *wanted);

/*
 * Events of this point go to the channel from now on, through `event`'s probe. Nothing changes if they did, and when only the filter
 * is another one, no event is missed while it is put in place. An event that is on its way meanwhile is judged by either. 0 or a
 * positive errno value; then the point is off.
 */
int weft_point_switch_on(struct weft_point_entry *p, const struct weft_event *event, const struct weft_wanted *wanted);
/* 1 if they did until now, else 0. */
int weft_point_switch_off(struct weft_point_entry *p, const struct weft_channel *c);

/* Is the event's probe one that asks before it records? */
int weft_event_evaluates(const struct weft_event *event);

/* The same for a wish (tap.h), which `tap` carries out from now on; the event must be one that evaluates. 0 or ENOMEM; 1 or 0. */
int weft_point_tap_on(struct weft_point_entry *p, const struct weft_event *event, const struct weft_wish *wish, struct weft_tap *tap);
int weft_point_tap_off(struct weft_point_entry *p, const struct weft_wish *wish);

#endif
