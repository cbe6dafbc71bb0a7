#define _GNU_SOURCE
#include "ring/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int is_power_of_two(uint32_t value)
{
    return value && !(value & (value - 1));
}

int weft_geometry_check(const struct weft_geometry *g)
{
    const int sizes = is_power_of_two(g->subbuf_size) && is_power_of_two(g->subbuf_count) &&
                      g->subbuf_size >= WEFT_SUBBUF_SIZE_MIN && g->subbuf_size <= WEFT_SUBBUF_SIZE_MAX &&
                      g->subbuf_count >= WEFT_SUBBUF_COUNT_MIN && g->subbuf_count <= WEFT_SUBBUF_COUNT_MAX;
    const int kinds = g->mode <= WEFT_MODE_OVERWRITE && g->sync <= WEFT_SYNC_LOCK;
    const int rings = g->allocation == WEFT_ALLOCATION_PER_CPU ||
                      (g->allocation == WEFT_ALLOCATION_PER_CHANNEL && g->cpu_count == 1 && g->sync == WEFT_SYNC_LOCK);
    return sizes && kinds && rings && g->cpu_count >= 1 && g->cpu_count <= WEFT_CPU_MAX ? 0 : -EINVAL;
}

static int make_memfd(const char *name, uint64_t bytes)
{
    const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) == 0 && ftruncate(fd, (off_t)bytes) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    const int status = -errno;
    close(fd);
    return status;
}

/* Pages are allocated here and now: a failed first touch would be SIGBUS in the application. */
static int allocate(int fd, uint64_t offset, uint64_t bytes, uint64_t *allocated)
{
    int status;
    do {
        status = fallocate(fd, 0, (off_t)offset, (off_t)bytes) == 0 ? 0 : -errno;
    } while (status == -EINTR);
    if (status == 0)
        *allocated += bytes;
    return status == -ENOSPC ? -ENOMEM : status;
}

static void format_ring(char *memory, const struct weft_geometry *g, uint32_t cpu, uint64_t now)
{
    struct weft_ring *ring = (struct weft_ring *)(memory + weft_control_offset(g, cpu));
    ring->slot[0].last_timestamp = now;
    ring->slot[1].last_timestamp = now;
    ring->table[0].begin_timestamp = now;
    ring->table[0].end_timestamp = now;
}

static int fill(int ring_fd, const struct weft_geometry *g, const uint8_t ring_id[16], const uint32_t *cpus, uint32_t count,
                uint64_t *allocated)
{
    const uint64_t control = weft_data_offset(g, 0);
    int status = allocate(ring_fd, 0, control, allocated);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = cpus[i] < g->cpu_count ? allocate(ring_fd, weft_data_offset(g, cpus[i]), weft_data_bytes(g), allocated) : -EINVAL;
    if (status)
        return status;
    char *memory = mmap(NULL, control, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    struct weft_set_header *header = (struct weft_set_header *)memory;
    header->magic = WEFT_RING_MAGIC;
    header->abi = WEFT_RING_ABI;
    memcpy(header->ring_id, ring_id, 16);
    header->geometry = *g;
    for (uint32_t cpu = 0; cpu < g->cpu_count; cpu++)
        format_ring(memory, g, cpu, now);
    for (uint32_t i = 0; i < count; i++)
        ((struct weft_ring *)(memory + weft_control_offset(g, cpus[i])))->ready = 1;
    munmap(memory, control);
    return 0;
}

/* The name tells whoever finds the memory in a survivor's table of descriptors whose it is; 64 bytes are enough for both. */
static void memory_name(char name[64], const char *what, const uint8_t ring_id[16])
{
    int at = snprintf(name, 64, "%s-", what);
    for (int i = 0; i < 16; i++)
        at += snprintf(name + at, (size_t)(64 - at), "%02x", ring_id[i]);
}

static void close_both(int ring_fd, int reader_fd)
{
    if (ring_fd >= 0)
        close(ring_fd);
    if (reader_fd >= 0)
        close(reader_fd);
}

/* The memory is there, empty: allocated and formatted. The fds are closed when that fails. */
static int make_set(const struct weft_geometry *g, const uint8_t ring_id[16], const uint32_t *cpus, uint32_t count, int ring_fd,
                    int reader_fd, uint64_t *allocated)
{
    *allocated = 0;
    int status = ring_fd < 0 ? ring_fd : reader_fd < 0 ? reader_fd : 0;
    if (status == 0)
        status = allocate(reader_fd, 0, weft_reader_memory_bytes(g), allocated);
    if (status == 0)
        status = fill(ring_fd, g, ring_id, cpus, count, allocated);
    if (status)
        close_both(ring_fd, reader_fd);
    return status;
}

int weft_ring_set_create(const struct weft_geometry *g, const uint8_t ring_id[16], const uint32_t *cpus, uint32_t count,
                         int *ring_fd, int *reader_fd, uint64_t *allocated)
{
    const int status = weft_geometry_check(g);
    if (status)
        return status;
    char name[64];
    memory_name(name, "weft-ring", ring_id);
    *ring_fd = make_memfd(name, weft_ring_memory_bytes(g));
    memory_name(name, "weft-reader", ring_id);
    *reader_fd = make_memfd(name, weft_reader_memory_bytes(g));
    return make_set(g, ring_id, cpus, count, *ring_fd, *reader_fd, allocated);
}

static int make_file(const char *path, uint64_t bytes)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) == 0 && ftruncate(fd, (off_t)bytes) == 0)
        return fd;
    const int status = -errno;
    close(fd);
    unlink(path);
    return status;
}

static int format_map(int fd, const struct weft_map_geometry *g, const uint8_t map_id[16])
{
    struct weft_map_header header = { .magic = WEFT_MAP_MAGIC, .abi = WEFT_MAP_ABI, .geometry = *g };
    uint64_t allocated = 0;
    const int status = allocate(fd, 0, weft_map_bytes(g), &allocated);
    if (status)
        return status;
    memcpy(header.map_id, map_id, 16);
    const ssize_t written = pwrite(fd, &header, sizeof(header), 0);
    return written == (ssize_t)sizeof(header) ? 0 : written < 0 ? -errno : -EIO;
}

int weft_map_create(const struct weft_map_geometry *g, const uint8_t map_id[16])
{
    char name[64];
    if (!weft_map_geometry_valid(g))
        return -EINVAL;
    memory_name(name, "weft-map", map_id);
    const int fd = make_memfd(name, weft_map_bytes(g));
    const int status = fd < 0 ? fd : format_map(fd, g, map_id);
    if (status < 0 && fd >= 0)
        close(fd);
    return status < 0 ? status : fd;
}

int weft_ring_allocate(const struct weft_geometry *g, int ring_fd, uint32_t cpu, uint64_t *allocated)
{
    const uint64_t control = weft_data_offset(g, 0);
    char *memory = mmap(NULL, control, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
    *allocated = 0;
    if (memory == MAP_FAILED)
        return -errno;
    struct weft_ring *ring = (struct weft_ring *)(memory + weft_control_offset(g, cpu));
    int status = 0;
    if (!__atomic_load_n(&ring->ready, __ATOMIC_ACQUIRE))
        status = allocate(ring_fd, weft_data_offset(g, cpu), weft_data_bytes(g), allocated);
    if (status == 0)
        __atomic_store_n(&ring->ready, 1, __ATOMIC_RELEASE);
    munmap(memory, control);
    return status;
}

int weft_ring_set_create_files(const struct weft_geometry *g, const uint8_t ring_id[16], const uint32_t *cpus, uint32_t count,
                               const char *path, int *ring_fd, int *reader_fd, uint64_t *allocated)
{
    int status = weft_geometry_check(g);
    char ring_path[4096], reader_path[4096];
    if (status == 0 && (size_t)snprintf(ring_path, sizeof ring_path, "%s.ring", path) >= sizeof ring_path - sizeof ".reader")
        status = -ENAMETOOLONG;
    if (status)
        return status;
    snprintf(reader_path, sizeof reader_path, "%s.reader", path);
    *ring_fd = make_file(ring_path, weft_ring_memory_bytes(g));
    *reader_fd = *ring_fd < 0 ? -ECANCELED : make_file(reader_path, weft_reader_memory_bytes(g));
    const int has_ring = *ring_fd >= 0, has_reader = *reader_fd >= 0;
    status = make_set(g, ring_id, cpus, count, *ring_fd, *reader_fd, allocated);
    if (status && has_ring)
        unlink(ring_path);
    if (status && has_reader)
        unlink(reader_path);
    return status == -ENOMEM ? -ENOSPC : status;
}

int weft_memory_check(int fd, uint64_t bytes)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes)
        return -EINVAL;
    const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals >= 0 && (seals & needed) == needed)
        return 0;
    const int own_file = st.st_nlink == 1 && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
    return own_file ? 0 : -EPERM;
}
