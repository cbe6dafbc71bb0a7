/* Counting events into maps (COUNT and UNCOUNT of wire.h). With the registry's lock held. */
#ifndef WEFT_UST_COUNT_H
#define WEFT_UST_COUNT_H

#include "ust/map.h"

/* COUNT, UNCOUNT: 0 or a positive errno value. */
int weft_count(int connection, struct weft_cursor *m);
int weft_uncount(int connection, struct weft_cursor *m);

void weft_counts_drop_map(const struct weft_map *map);
void weft_counts_mark_unattached(int connection);
void weft_counts_drop_unattached(int connection);

#endif
