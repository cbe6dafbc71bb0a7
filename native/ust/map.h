/* Counter maps (ring/map_layout.h) that daemons gave this process. With the registry's lock held, but for weft_map_add. */
#ifndef WEFT_UST_MAP_H
#define WEFT_UST_MAP_H

#include "ring/map_layout.h"

struct weft_cursor;

/* Never freed, and its addresses are never used for anything else: a late thread may still count (weft_channel_unmap says how). */
struct weft_map {
    struct weft_map *next;
    struct weft_map_geometry geometry;
    uint64_t stride;
    char *memory;
    uint8_t map_id[16];
    uint32_t handle;
    uint8_t owner;    /* index of the daemon's connection */
    uint8_t attached; /* by the present connection */
};

/* MAP: 0, EINVAL (the message, or the fd is not such a map), or what mapping failed with. */
int weft_map_attach(int connection, struct weft_cursor *m, int fd);
/* UNMAP */
int weft_unmap(int connection, struct weft_cursor *m);

/* NULL: none of this handle. */
struct weft_map *weft_map_find(int connection, uint32_t handle);

void weft_maps_mark_unattached(int connection);
/* Those that are not attached, or all. Nothing counts into them any more. */
void weft_maps_drop(int connection, int all);

/* One more in a slot that exists. Async-signal-safe, keeps errno. */
void weft_map_add(const struct weft_map *map, uint32_t slot);

#endif
