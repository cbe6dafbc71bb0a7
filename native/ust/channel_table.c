#include "ust/channel_table.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64 /* bytes: what the record path reads of a channel begins at a cache line */

static struct weft_channel *channels;

struct weft_channel *weft_channels_find(int connection, uint32_t handle)
{
    struct weft_channel *c = channels;
    while (c && (c->owner != connection || !c->attached || c->handle != handle))
        c = c->next;
    return c;
}

struct weft_channel *weft_channels_by_ring(int connection, const uint8_t ring_id[16])
{
    struct weft_channel *c = channels;
    while (c && (c->owner != connection || memcmp(c->ring_id, ring_id, 16) != 0))
        c = c->next;
    return c;
}

struct weft_channel *weft_channels_asking(int connection)
{
    struct weft_channel *c = channels;
    while (c && (c->owner != connection || !c->attached || !__atomic_load_n(&c->need->asking, __ATOMIC_ACQUIRE)))
        c = c->next;
    return c;
}

struct weft_channel *weft_channels_new(void)
{
    struct weft_channel *c = aligned_alloc(LINE, (sizeof(*c) + LINE - 1) / LINE * LINE);
    if (c)
        memset(c, 0, sizeof(*c));
    return c;
}

void weft_channels_add(struct weft_channel *c)
{
    c->used = 1;
    c->next = channels;
    channels = c;
}

void weft_channels_remove(struct weft_channel *c)
{
    struct weft_channel **link = &channels;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    c->used = 0;
}

void weft_channels_visit(int connection, void (*visit)(struct weft_channel *))
{
    struct weft_channel *next;
    for (struct weft_channel *c = channels; c; c = next) {
        next = c->next;
        if (c->owner == connection)
            visit(c);
    }
}
