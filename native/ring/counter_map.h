/* Counter maps (map_layout.h) as the session daemon handles them. */
#ifndef WEFT_RING_COUNTER_MAP_H
#define WEFT_RING_COUNTER_MAP_H

#include <vector>

#include "ring/failure.h"
#include "ring/map_layout.h"

namespace weft {

/* ENOMEM with the numbers when memory is short. */
Failure create_map(const weft_map_geometry &geometry, const uint8_t map_id[16], int *fd);

/* `fd` came from elsewhere: is it this map, made by this user? It stays the caller's. */
Failure adopt_map(int fd, const weft_map_geometry &geometry, const uint8_t map_id[16]);

struct MapEntries {
    std::vector<uint32_t> cpus, slots;
    std::vector<int64_t> values;
    std::vector<uint8_t> overflows; /* 0, 1 */
};
/* By CPU, then by slot, of the first `slots` slots; those that are 0 and have never overflowed only when `all`. No snapshot: others
 * count meanwhile. */
Failure read_map(int fd, const weft_map_geometry &geometry, uint32_t slots, bool all, MapEntries *entries);

/* Counters and overflow bits of `count` slots from `first` on; an addition that falls in between may be lost or stay. */
Failure clear_map(int fd, const weft_map_geometry &geometry, uint32_t first, uint32_t count);

}  // namespace weft

#endif
