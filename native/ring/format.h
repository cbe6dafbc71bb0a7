/* Making a ring set: the two memfds of layout.h, formatted, allocated for some CPUs, and sealed. */
#ifndef WEFT_RING_FORMAT_H
#define WEFT_RING_FORMAT_H

#include "ring/layout.h"
#include "ring/map_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 0, or -EINVAL when a writer or reader could not work with this geometry (sizes no powers of two, out of range). */
int weft_geometry_check(const struct weft_geometry *geometry);

/*
 * Creates and formats ring and reader memory (mode 0600, close-on-exec, sealed against shrinking, growing and more seals), and
 * allocates headers, control pages and the data of the `count` CPUs in `cpus` (each < cpu_count).
 * Returns 0 and the two fds and the allocated bytes, or a negative errno value (-ENOMEM, -EINVAL, -EMFILE ...).
 */
int weft_ring_set_create(const struct weft_geometry *geometry, const uint8_t ring_id[16], const uint32_t *cpus, uint32_t count,
                         int *ring_fd, int *reader_fd, uint64_t *allocated);

/* Makes a counter map (map_layout.h), all of it allocated and zero; mode and seals as above. Its fd, or a negative errno value. */
int weft_map_create(const struct weft_map_geometry *geometry, const uint8_t map_id[16]);

/*
 * Allocates the data of one more CPU's ring, and says so in its control block. 0 and the bytes (0: it was there), or a negative errno
 * value. The caller has checked geometry, fd and cpu.
 */
int weft_ring_allocate(const struct weft_geometry *geometry, int ring_fd, uint32_t cpu, uint64_t *allocated);

#ifdef __cplusplus
}
#endif
#endif
