/* Recording one event: from a staged payload to the commit. */
#ifndef WEFT_UST_RECORD_H
#define WEFT_UST_RECORD_H

#include "ust/channel.h"
#include "weft/abi.h"

struct weft_filter;
struct weft_tap;
struct weft_wish;

/* (point, channel), or (point, wish): where a point's events go, as libweft holds it. `public` comes first. A target is of one of the
 * two sorts for ever: a late thread must not find a channel missing. */
struct weft_target {
    struct weft_sink public;
    uint32_t event_id;
    uint32_t reserved;
    struct weft_channel *channel; /* NULL: this one is for wishes (tap.h), `filtered` is never 0, and nothing is recorded */
    const struct weft_filter *filter; /* NULL: all events. Set while public.filtered is */
    struct weft_tap *tap;
    const struct weft_wish *wish; /* NULL: the target is free for another one */
};

/* weft_library.record: see abi.h. Keeps errno. */
void weft_record(struct weft_sink *sink, char *payload, size_t length, void *ip);

/* The same, but never waits for space, whatever the channel's writers do: for threads that others depend on. Registry locked. */
void weft_record_at_once(struct weft_sink *sink, char *payload, size_t length, void *ip);

/* weft_library.evaluate: see abi.h. Keeps errno. */
int weft_evaluate(struct weft_sink *sink, const struct weft_value *values, uint32_t count, void *ip);

/* Called after each switch to another sub-buffer, when set. Async-signal-safe. */
extern void (*weft_record_switched)(void);

/* Called when an event met a ring without memory for the first time, when set. Async-signal-safe. */
extern void (*weft_record_starved)(void);

/* Counts an event that was not recorded, on the ring of the CPU that this thread runs on. */
void weft_record_lost(struct weft_sink *sink, enum weft_loss cause);

#endif
