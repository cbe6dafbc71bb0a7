/* Ring sets as the session daemon handles them: made within the memory that there is, taken back from the keeper, summed up. */
#ifndef WEFT_RING_RING_SET_H
#define WEFT_RING_RING_SET_H

#include <vector>

#include "ring/failure.h"
#include "ring/layout.h"
#include "ring/memory_limit.h"

namespace weft {

struct RingSetFds {
    int ring = -1;
    int reader = -1;
    int reader_read_only = -1;
    uint64_t allocated = 0; /* bytes */
};

/* Is `fd` memory that came back to us: writable, made by this user, a sealed memfd or a file of this user alone, of this size? Adds what it takes. */
Failure check_own(int fd, uint64_t bytes, const char *what, uint64_t *allocated);

/* Refuses with ENOMEM and the numbers before anything is allocated, when memory is short. `path` not empty: in the files PATH.ring and
 * PATH.reader (format.h says what that is worth). */
Failure create_ring_set(const weft_geometry &geometry, const uint8_t ring_id[16], const std::vector<uint32_t> &cpus,
                        RingSetFds *fds, const std::string &path = "");

/* `fds->ring` and `fds->reader` came from elsewhere: are they this ring set, made by this user? Fills in the rest. On failure they
 * stay the caller's. */
Failure adopt_ring_set(const weft_geometry &geometry, const uint8_t ring_id[16], RingSetFds *fds);

/* Memory for one more CPU of a set that was made without it: within the limits, as at the making. `allocated`: 0, it was there. */
Failure allocate_ring(int ring_fd, const weft_geometry &geometry, uint32_t cpu, uint64_t *allocated);

/* Frees the locks that an application held when it died. */
Failure release_locks(int ring_fd, const weft_geometry &geometry, uint32_t application, uint32_t *released);

struct RingTotals {
    uint64_t packets, events, bytes;
    uint64_t lost[WEFT_LOSS_CAUSES];
    uint64_t overwritten, position, consumed;
};
/* Bytes of data memory that a ring of each CPU has; 0: none yet. */
Failure ring_memory(int ring_fd, int reader_fd, const weft_geometry &geometry, std::vector<uint64_t> *bytes);

/* Sums over all rings, from shared memory; `events` is what writers committed. A sum of lies is a lie, not a danger. */
/* Bytes committed and not consumed in the fullest ring; at most what a ring holds. */
Failure ring_usage(int ring_fd, int reader_fd, const weft_geometry &geometry, uint64_t *bytes);
Failure ring_totals(int ring_fd, int reader_fd, const weft_geometry &geometry, RingTotals *totals);

}  // namespace weft

#endif
