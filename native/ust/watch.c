#define _GNU_SOURCE
#include "ust/watch.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "ust/context.h"
#include "ust/filter.h"
#include "ust/fired.h"
#include "ust/registry.h"
#include "ust/tap.h"
#include "ust/wire.h"

#define EVERY_POINT UINT32_MAX
/* 2 s, as for a ring's lock (channel.c). */
#define DRAIN_NAPS_MAX 20000u

/* Never freed: see tap.h. */
struct watch_tap {
    struct weft_tap tap;
    struct watch_tap *next;      /* of all that there are */
    struct weft_filter *filter;  /* NULL: every event */
    uint32_t on;                 /* a daemon is to be told */
    uint32_t senders;            /* threads that have seen `on` and may use the socket */
    uint32_t discarded;          /* occurrences that could not be sent since the last one that was */
    struct weft_held_fd socket;  /* of the connection: changes only while nobody is a sender, as `room` */
    int room;                    /* bytes on their way to the daemon above which nothing is sent */
    uint32_t watch, point;
    uint8_t owner;
    uint16_t capture_count;
    struct weft_capture captures[];
};

/* What WATCH asked for; its bytes, for another description of the event may come. */
struct watch_wish {
    struct weft_wish wish;
    struct weft_held_fd socket;
    uint32_t watch, point;
    uint32_t filter_length;
    uint32_t capture_length;
    uint16_t capture_count;
    uint8_t *filter, *captures; /* in `bytes` */
    uint8_t *bytes;
};

static struct watch_tap *taps;

/* A hot point must not keep the listener from answering the daemon: part of what the socket holds is the listener's. */
static int has_room(const struct watch_tap *t)
{
    int unread = 0;
    return weft_held_fd_intact(&t->socket) && ioctl(t->socket.fd, SIOCOUTQ, &unread) == 0 && unread <= t->room;
}

static int room_of(const struct weft_held_fd *socket)
{
    int bytes = 0;
    socklen_t length = sizeof(bytes);
    getsockopt(socket->fd, SOL_SOCKET, SO_SNDBUF, &bytes, &length);
    return bytes / 2;
}

static void send_fired(struct watch_tap *t, const struct weft_value *values, uint32_t count, void *ip)
{
    uint8_t message[WEFT_FIRED_MAX];
    const uint32_t discarded = __atomic_exchange_n(&t->discarded, 0, __ATOMIC_RELAXED);
    const struct weft_fired fired = { t->watch, t->point, discarded, t->capture_count, t->captures };
    const size_t length = weft_fired_write(message, &fired, values, count, ip);
    if (!has_room(t) || send(t->socket.fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        __atomic_fetch_add(&t->discarded, discarded + 1, __ATOMIC_RELAXED);
}

/*
 * A sender counts itself and looks again whether it may: whoever turns the watch off and then counts no senders knows that none will
 * come (both orders are sequentially consistent). The first look keeps those that come later from being counted for a moment, so
 * that the count does get to 0.
 */
static void hit(struct weft_tap *tap, const struct weft_value *values, uint32_t count, void *ip)
{
    struct watch_tap *t = (struct watch_tap *)tap;
    const int saved = errno;
    if (!__atomic_load_n(&t->on, __ATOMIC_RELAXED) || (t->filter && !weft_filter_run(t->filter, values, count, ip)))
        return;
    __atomic_fetch_add(&t->senders, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&t->on, __ATOMIC_SEQ_CST))
        send_fired(t, values, count, ip);
    __atomic_fetch_sub(&t->senders, 1, __ATOMIC_RELEASE);
    errno = saved;
}

static int turn_off(struct watch_tap *t, int alone)
{
    const struct timespec nap = { 0, 100000 };
    __atomic_store_n(&t->on, 0, __ATOMIC_SEQ_CST);
    if (alone)
        __atomic_store_n(&t->senders, 0, __ATOMIC_RELAXED); /* those were the parent's */
    for (uint32_t naps = 0; __atomic_load_n(&t->senders, __ATOMIC_SEQ_CST); naps++) {
        if (naps == DRAIN_NAPS_MAX)
            return ETIMEDOUT;
        nanosleep(&nap, NULL);
    }
    return 0;
}

/* ---- captures ---- */

static int take_field(struct weft_cursor *m, const struct weft_event *event, struct weft_capture *c)
{
    c->what = weft_get_u16(m);
    c->index = c->kind == WEFT_CAPTURE_ELEMENT ? weft_get_u32(m) : 0;
    if (m->short_message || c->what >= event->field_count)
        return EINVAL;
    const struct weft_field *f = &event->fields[c->what];
    const int row = (f->kind == WEFT_KIND_ARRAY || f->kind == WEFT_KIND_SEQUENCE) && !f->encoding;
    c->natural = !(f->integer.flags & WEFT_INT_SIGNED);
    return c->kind == WEFT_CAPTURE_FIELD || row ? 0 : EINVAL;
}

static int take_app_context(struct weft_cursor *m, struct weft_capture *c)
{
    const uint8_t *length = weft_get(m, 1);
    const uint8_t *name = length ? weft_get(m, *length) : NULL;
    if (!name)
        return EINVAL;
    c->place = weft_app_context_place((const char *)name, *length);
    return c->place ? 0 : errno;
}

static int take_capture(struct weft_cursor *m, const struct weft_event *event, struct weft_capture *c)
{
    const uint8_t *kind = weft_get(m, 1);
    if (!kind)
        return EINVAL;
    c->kind = *kind;
    switch (c->kind) {
    case WEFT_CAPTURE_UNAVAILABLE:
        return 0;
    case WEFT_CAPTURE_FIELD:
    case WEFT_CAPTURE_ELEMENT:
        return take_field(m, event, c);
    case WEFT_CAPTURE_CONTEXT:
        c->what = weft_get_u16(m);
        return m->short_message || weft_context_form(c->what) == WEFT_CONTEXT_UNKNOWN ? EINVAL : 0;
    case WEFT_CAPTURE_APP_CONTEXT:
        return take_app_context(m, c);
    default:
        return EINVAL;
    }
}

static int take_captures(const struct watch_wish *w, const struct weft_event *event, struct watch_tap *t)
{
    struct weft_cursor m = { w->captures, w->capture_length, 0, 0 };
    int status = 0;
    for (uint32_t i = 0; i < w->capture_count && status == 0; i++)
        status = take_capture(&m, event, &t->captures[i]);
    return status ? status : m.at == m.length ? 0 : EINVAL;
}

/* ---- taps ---- */

static void free_tap(struct watch_tap *t)
{
    weft_filter_free(t->filter);
    free(t);
}

static int new_tap(const struct watch_wish *w, const struct weft_event *event, struct watch_tap **tap)
{
    struct watch_tap *t = calloc(1, sizeof(*t) + w->capture_count * sizeof(t->captures[0]));
    if (!t)
        return ENOMEM;
    t->tap = (struct weft_tap){ hit, w->filter_length != 0 };
    t->watch = w->watch;
    t->point = w->point;
    t->owner = w->wish.owner;
    t->capture_count = w->capture_count;
    int status = w->filter_length ? weft_filter_verify(w->filter, w->filter_length, event->fields, event->field_count, &t->filter) : 0;
    status = status ? status : take_captures(w, event, t);
    for (uint32_t i = 0; i < t->capture_count; i++)
        t->tap.needs_values |= t->captures[i].kind == WEFT_CAPTURE_FIELD || t->captures[i].kind == WEFT_CAPTURE_ELEMENT;
    if (status) {
        free_tap(t);
        return status;
    }
    *tap = t;
    return 0;
}

static int same_filter(const struct watch_tap *a, const struct weft_filter *filter, const struct watch_wish *w)
{
    return !a->filter == !filter && (!filter || weft_filter_is(a->filter, w->filter, w->filter_length));
}

static int same_captures(const struct watch_tap *a, const struct watch_tap *b)
{
    return a->capture_count == b->capture_count &&
           (!a->capture_count || memcmp(a->captures, b->captures, a->capture_count * sizeof(a->captures[0])) == 0);
}

/* The new one, or an older one that is the same and free. */
static struct watch_tap *keep_tap(struct watch_tap *made, const struct watch_wish *w)
{
    for (struct watch_tap *t = taps; t; t = t->next) {
        if (t->on || __atomic_load_n(&t->senders, __ATOMIC_ACQUIRE) || t->owner != made->owner || t->watch != made->watch ||
            t->point != made->point || !same_filter(t, made->filter, w) || !same_captures(t, made))
            continue;
        free_tap(made);
        return t;
    }
    made->next = taps;
    taps = made;
    return made;
}

/* What the old tap could not send the new one has to tell. */
static int make(struct weft_wish *wish, const struct weft_event *event)
{
    struct watch_wish *w = (struct watch_wish *)wish;
    struct watch_tap *made, *old = (struct watch_tap *)wish->tap;
    const int status = new_tap(w, event, &made);
    if (status)
        return status;
    made = keep_tap(made, w);
    made->socket = w->socket;
    made->room = room_of(&w->socket);
    made->discarded = 0;
    __atomic_store_n(&made->on, 1, __ATOMIC_SEQ_CST);
    wish->tap = &made->tap;
    if (old && turn_off(old, 0) == 0)
        __atomic_fetch_add(&made->discarded, __atomic_exchange_n(&old->discarded, 0, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    return 0;
}

static void free_wish(struct watch_wish *w)
{
    free(w->bytes);
    free(w);
}

static int end(struct weft_wish *wish, int alone)
{
    const int status = wish->tap ? turn_off((struct watch_tap *)wish->tap, alone) : 0;
    free_wish((struct watch_wish *)wish);
    return status;
}

/* ---- commands ---- */

static struct watch_wish *find(struct weft_catalog_entry *entry, const struct weft_connection *c, uint32_t watch)
{
    for (struct weft_wish *w = entry->wishes; w; w = w->next) {
        if (w->end == end && w->owner == c->index && ((struct watch_wish *)w)->watch == watch)
            return (struct watch_wish *)w;
    }
    return NULL;
}

/* Filter and captures of the message, copied. */
static int take_spec(struct weft_cursor *m, struct watch_wish *w)
{
    w->filter_length = weft_get_u32(m);
    const uint8_t *filter = weft_get(m, w->filter_length);
    w->capture_count = weft_get_u16(m);
    if (m->short_message || w->capture_count > WEFT_CAPTURES_MAX)
        return EINVAL;
    w->capture_length = (uint32_t)(m->length - m->at);
    w->bytes = malloc(w->filter_length + w->capture_length + 1u);
    if (!w->bytes)
        return ENOMEM;
    w->filter = w->bytes;
    w->captures = w->bytes + w->filter_length;
    if (w->filter_length)
        memcpy(w->filter, filter, w->filter_length);
    memcpy(w->captures, weft_get(m, w->capture_length), w->capture_length);
    return 0;
}

/* The wish that was, with what the new one asks for; as it was when that does not fit. */
static int change(struct weft_catalog_entry *entry, struct watch_wish *present, struct watch_wish *asked)
{
    struct watch_wish before = *present, wanted = *asked;
    wanted.wish = present->wish;
    *present = wanted;
    const int status = weft_wish_set(entry, &present->wish);
    if (status == 0 || present->wish.tap != before.wish.tap) {
        *asked = before;
    } else {
        *present = before;
    }
    free_wish(asked);
    return status;
}

int weft_watch(struct weft_connection *c, struct weft_cursor *m)
{
    const uint32_t watch = weft_get_u32(m), point = weft_get_u32(m);
    struct weft_catalog_entry *entry = weft_registry_entry(point);
    if (m->short_message)
        return EINVAL;
    if (!entry)
        return ENOENT;
    struct watch_wish *w = calloc(1, sizeof(*w));
    if (!w)
        return ENOMEM;
    w->wish = (struct weft_wish){ .owner = (uint8_t)c->index, .make = make, .end = end };
    w->socket = c->socket;
    w->watch = watch;
    w->point = point;
    int status = take_spec(m, w);
    struct watch_wish *present = find(entry, c, watch);
    if (status == 0 && present)
        return change(entry, present, w);
    if (status == 0)
        status = weft_wish_set(entry, &w->wish);
    /* Without memory for one of several points, the others keep it: UNWATCH finds it. */
    if (status && !w->wish.tap)
        free_wish(w);
    return status;
}

int weft_unwatch(struct weft_connection *c, struct weft_cursor *m)
{
    const uint32_t watch = weft_get_u32(m), point = weft_get_u32(m);
    int status = ENOENT;
    if (m->short_message || m->at != m->length)
        return EINVAL;
    for (struct weft_catalog_entry *e = weft_registry_catalog(); e; e = e->next) {
        struct watch_wish *w = point == EVERY_POINT || e->id == point ? find(e, c, watch) : NULL;
        if (!w)
            continue;
        const int ended = weft_wish_drop(e, &w->wish);
        status = status == ENOENT || ended ? ended : status;
    }
    return status;
}

static int is_watch(const struct weft_wish *wish)
{
    return wish->end == end;
}

int weft_watches_forget(const struct weft_connection *c)
{
    return weft_wishes_drop(c->index, is_watch, 0);
}
