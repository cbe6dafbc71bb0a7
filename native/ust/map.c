#define _GNU_SOURCE
#include "ust/map.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ust/commit.h"
#include "ust/count.h"
#include "ust/message.h"

static struct weft_map *maps;

static int check(int fd, const struct weft_map_geometry *g)
{
    struct stat st;
    if (!weft_map_geometry_valid(g) || fstat(fd, &st) != 0)
        return EINVAL;
    const int seals = fcntl(fd, F_GET_SEALS);
    const int needed = F_SEAL_SHRINK | F_SEAL_GROW;
    return seals >= 0 && (seals & needed) == needed && (uint64_t)st.st_size == weft_map_bytes(g) ? 0 : EINVAL;
}

static int open_map(struct weft_map *map, int fd)
{
    map->memory = mmap(NULL, weft_map_bytes(&map->geometry), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map->memory == MAP_FAILED)
        return errno;
    const struct weft_map_header *header = (const struct weft_map_header *)map->memory;
    if (header->magic == WEFT_MAP_MAGIC && header->abi == WEFT_MAP_ABI && memcmp(header->map_id, map->map_id, 16) == 0)
        return 0;
    munmap(map->memory, weft_map_bytes(&map->geometry));
    return EINVAL;
}

static int add_map(const struct weft_map *wanted, int fd)
{
    struct weft_map *map = malloc(sizeof(*map));
    if (!map)
        return ENOMEM;
    *map = *wanted;
    const int status = open_map(map, fd);
    if (status) {
        free(map);
        return status;
    }
    map->next = maps;
    maps = map;
    return 0;
}

static struct weft_map *find_id(int connection, const uint8_t id[16])
{
    struct weft_map *map = maps;
    while (map && (map->owner != connection || memcmp(map->map_id, id, 16) != 0))
        map = map->next;
    return map;
}

int weft_map_attach(int connection, struct weft_cursor *m, int fd)
{
    struct weft_map wanted = { .owner = (uint8_t)connection, .attached = 1 };
    wanted.handle = weft_get_u32(m);
    const uint8_t *id = weft_get(m, 16);
    wanted.geometry.cpu_count = weft_get_u32(m);
    wanted.geometry.slot_count = weft_get_u32(m);
    wanted.geometry.bits = weft_get_u32(m);
    if (m->short_message || m->at != m->length || weft_map_find(connection, wanted.handle) || check(fd, &wanted.geometry))
        return EINVAL;
    memcpy(wanted.map_id, id, 16);
    wanted.stride = weft_map_stride(&wanted.geometry);
    struct weft_map *present = find_id(connection, id);
    if (!present)
        return add_map(&wanted, fd);
    if (present->attached || memcmp(&present->geometry, &wanted.geometry, sizeof(wanted.geometry)) != 0)
        return EINVAL;
    present->handle = wanted.handle;
    present->attached = 1;
    return 0;
}

struct weft_map *weft_map_find(int connection, uint32_t handle)
{
    struct weft_map *map = maps;
    while (map && (map->owner != connection || !map->attached || map->handle != handle))
        map = map->next;
    return map;
}

/* The structure stays as it is, out of the list: taps that nobody wants any more name it. */
static void drop(struct weft_map **link)
{
    struct weft_map *gone = *link;
    *link = gone->next;
    mmap(gone->memory, weft_map_bytes(&gone->geometry), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
}

int weft_unmap(int connection, struct weft_cursor *m)
{
    const struct weft_map *gone = weft_map_find(connection, weft_get_u32(m));
    if (m->short_message || m->at != m->length)
        return EINVAL;
    if (!gone)
        return ENOENT;
    weft_counts_drop_map(gone);
    struct weft_map **link = &maps;
    while (*link != gone)
        link = &(*link)->next;
    drop(link);
    return 0;
}

void weft_maps_mark_unattached(int connection)
{
    for (struct weft_map *map = maps; map; map = map->next) {
        if (map->owner == connection)
            map->attached = 0;
    }
}

void weft_maps_drop(int connection, int all)
{
    struct weft_map **link = &maps;
    while (*link) {
        if ((*link)->owner == connection && (all || !(*link)->attached))
            drop(link);
        else
            link = &(*link)->next;
    }
}

/* Of a moment ago, which is enough: see map_layout.h. */
static inline uint32_t present_cpu(void)
{
    const int cpu = weft_rseq_available() ? (int)__atomic_load_n(&weft_rseq_area()->cpu_id, __ATOMIC_RELAXED) : sched_getcpu();
    return cpu < 0 ? UINT32_MAX : (uint32_t)cpu;
}

static __attribute__((noinline)) void note_overflow(const struct weft_map *map, uint32_t cpu, uint32_t slot)
{
    uint32_t *word = (uint32_t *)(map->memory + weft_map_overflow(&map->geometry, cpu, slot));
    __atomic_fetch_or(word, 1u << slot % 32, __ATOMIC_RELAXED);
}

void weft_map_add(const struct weft_map *map, uint32_t slot)
{
    uint32_t cpu = present_cpu();
    cpu = cpu < map->geometry.cpu_count ? cpu : 0;
    char *counter = map->memory + WEFT_PAGE + cpu * map->stride + (uint64_t)slot * 8;
    int wrapped;
    if (map->geometry.bits == 32)
        wrapped = __atomic_fetch_add((uint32_t *)counter, 1, __ATOMIC_RELAXED) == INT32_MAX;
    else
        wrapped = __atomic_fetch_add((uint64_t *)counter, 1, __ATOMIC_RELAXED) == INT64_MAX;
    if (__builtin_expect(wrapped, 0))
        note_overflow(map, cpu, slot);
}
