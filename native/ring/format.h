/* Making a ring set: the two memories of layout.h, formatted and allocated for some CPUs: sealed memfds, or files that outlive the
 * processes. */
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

/*
 * The same in two new files, PATH.ring and PATH.reader (mode 0600, removed again on failure). Files cannot be sealed: whoever may
 * write them may cut them short, so they are for processes of one user only. -EEXIST, -ENOSPC ... besides.
 */
int weft_ring_set_create_files(const struct weft_geometry *geometry, const uint8_t ring_id[16], const uint32_t *cpus, uint32_t count,
                               const char *path, int *ring_fd, int *reader_fd, uint64_t *allocated);

/*
 * 0: memory of exactly so many bytes that nobody but this user can cut short: a sealed memfd, or a file (still in its directory,
 * mode 0600) of this process's own user. Else -EINVAL (no file, another size), -EPERM (neither sealed nor one's own), -errno.
 */
int weft_memory_check(int fd, uint64_t bytes);

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
