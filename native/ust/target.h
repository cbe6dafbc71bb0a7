/*
 * Instrumentation points and their targets: per point a list of (point, channel) pairs that only grows, at its end, so that any
 * thread may walk it at any time. With the registry's lock held.
 */
#ifndef WEFT_UST_TARGET_H
#define WEFT_UST_TARGET_H

#include "ust/record.h"

/* libweft's side of a registered point. */
struct weft_point_entry {
    struct weft_point *point;
    struct weft_target *targets;
    struct weft_point_entry *next;
};

/* The first of all registered points. */
struct weft_point_entry *weft_points(void);

/* Takes a point in; NULL without memory. */
struct weft_point_entry *weft_point_add(struct weft_point *point);
/* Forgets a point, if it was registered, and frees its targets: the object that holds it is being unloaded, so by the rules of
 * dlclose() no thread is in its code. */
void weft_point_remove(struct weft_point *point);

/* Events of this point go to `c` from now on, through `probe`. Nothing changes if they did. 0 or a positive errno value. */
int weft_point_switch_on(struct weft_point_entry *p, void (*probe)(void), struct weft_channel *c, uint32_t event_id);
/* 1 if they did until now, else 0. */
int weft_point_switch_off(struct weft_point_entry *p, const struct weft_channel *c);

#endif
