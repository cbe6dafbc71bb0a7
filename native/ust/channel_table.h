/* The channels that this process has mapped. With the registry's lock held. */
#ifndef WEFT_UST_CHANNEL_TABLE_H
#define WEFT_UST_CHANNEL_TABLE_H

#include "ust/channel.h"

/* NULL when there is none of this handle (ring id) at this connection. */
struct weft_channel *weft_channels_find(int connection, uint32_t handle);
struct weft_channel *weft_channels_by_ring(int connection, const uint8_t ring_id[16]);

/* One at this connection that has something to ask for; NULL: none. */
struct weft_channel *weft_channels_asking(int connection);

/* A new one (to be filled, then added, or freed); NULL without memory. */
struct weft_channel *weft_channels_new(void);
void weft_channels_add(struct weft_channel *c);
void weft_channels_remove(struct weft_channel *c);

/* `visit` may remove the channel that it is given. */
void weft_channels_visit(int connection, void (*visit)(struct weft_channel *));

#endif
