/*
 * The shared-memory layout of a counter map: the one definition, included by libweft, which counts, and by the daemon, which reads.
 *
 * A map is what one (map channel x user) or (map channel x process) counts into: one sealed memfd.
 *
 *   +-----------------+----------------------------------------+-----+----------------+
 *   | header (4 KiB)  | CPU 0: counters[slots], overflow bits  | ... | CPU n (pages)  |
 *   +-----------------+----------------------------------------+-----+----------------+
 *
 * What a slot counts is the daemon's affair: it alone knows keys. A counter takes 8 bytes; a map of 32 bits uses the low four, as a
 * signed number of 32 bits. Every count is one atomic addition of 1 on the counter of the CPU that the thread runs on (a thread that
 * is moved meanwhile counts on the old one: so it is atomic). A counter that wraps from the largest number to the smallest sets its
 * overflow bit; nothing but the daemon clears one.
 *
 * Neither side believes the other's memory: the geometry travels over the sockets and is not read back from the header.
 */
#ifndef WEFT_RING_MAP_LAYOUT_H
#define WEFT_RING_MAP_LAYOUT_H

#include <stdint.h>

#include "ring/layout.h"

#define WEFT_MAP_MAGIC 0x50414d57u /* "WMAP" */
#define WEFT_MAP_ABI 1u
#define WEFT_MAP_SLOTS_MAX (1u << 20)

struct weft_map_geometry {
    uint32_t cpu_count; /* possible CPUs */
    uint32_t slot_count;
    uint32_t bits; /* 32, 64 */
};

struct weft_map_header {
    uint32_t magic;
    uint32_t abi;
    uint8_t map_id[16];
    struct weft_map_geometry geometry;
};

static inline int weft_map_geometry_valid(const struct weft_map_geometry *g)
{
    return g->cpu_count >= 1 && g->cpu_count <= WEFT_CPU_MAX && g->slot_count >= 1 && g->slot_count <= WEFT_MAP_SLOTS_MAX &&
           (g->bits == 32 || g->bits == 64);
}

/* Of one CPU's part: */
static inline uint64_t weft_map_counters_bytes(const struct weft_map_geometry *g)
{
    return (uint64_t)g->slot_count * 8;
}

static inline uint64_t weft_map_stride(const struct weft_map_geometry *g)
{
    const uint64_t bits = ((uint64_t)g->slot_count + 31) / 32 * 4;
    return (weft_map_counters_bytes(g) + bits + WEFT_PAGE - 1) / WEFT_PAGE * WEFT_PAGE;
}

static inline uint64_t weft_map_bytes(const struct weft_map_geometry *g)
{
    return WEFT_PAGE + g->cpu_count * weft_map_stride(g);
}

/* Where a counter lies, and the word that holds its overflow bit (bit slot % 32). */
static inline uint64_t weft_map_counter(const struct weft_map_geometry *g, uint32_t cpu, uint32_t slot)
{
    return WEFT_PAGE + cpu * weft_map_stride(g) + (uint64_t)slot * 8;
}

static inline uint64_t weft_map_overflow(const struct weft_map_geometry *g, uint32_t cpu, uint32_t slot)
{
    return WEFT_PAGE + cpu * weft_map_stride(g) + weft_map_counters_bytes(g) + slot / 32 * 4;
}

#endif
