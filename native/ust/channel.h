/*
 * A channel as an application holds it: the mapped ring set and what its records carry. A detached channel's structure (a few
 * lines) is not freed and not used again, so a thread that is late by any amount of time still reads whole, if old, values: its
 * commit fails, because the target's generation has changed (registry.h).
 */
#ifndef WEFT_UST_CHANNEL_H
#define WEFT_UST_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "ring/layout.h"

#define WEFT_CONTEXTS_MAX 64u

struct weft_app_context_place;

/* A context as ATTACH names it. */
struct weft_context_wanted {
    uint16_t type; /* enum weft_context */
    uint16_t length;
    const uint8_t *bytes;
};

/* The same as the channel's records need it. */
struct weft_channel_context {
    uint16_t type;
    uint16_t counter;                          /* WEFT_CONTEXT_PERF_THREAD: its number (perf_counter.h) */
    const struct weft_app_context_place *place; /* WEFT_CONTEXT_APP */
};

/* Which rings without memory events have met, and which of them the daemon was asked for. A bit per CPU. */
struct weft_need {
    uint32_t asking; /* something of it is to be asked for */
    uint32_t words;
    uint64_t met[WEFT_CPU_MAX / 64];
    uint64_t asked[WEFT_CPU_MAX / 64];
};

struct weft_channel {
    /* What the record path reads, in one line. */
    char *memory;                        /* ring memory */
    const struct weft_reader_page *reader; /* reader memory, read-only */
    const struct weft_clock_page *clock; /* of the daemon that owns the channel; NULL: none */
    uint64_t control_stride;
    uint64_t data_offset; /* of CPU 0 */
    uint64_t data_bytes;  /* per CPU */
    uint32_t subbuf_size;
    uint32_t subbuf_count;
    uint32_t cpu_count;
    uint8_t mode;
    uint8_t sync;
    uint8_t context_count; /* of a fixed size */
    uint8_t copied;        /* the contexts do not fit into WEFT_STAGE_HEADROOM: payloads are staged once more, behind them */
    /* And what it reads when there are contexts. */
    const struct weft_channel_context *contexts; /* those of a fixed size, then the application's */
    uint16_t context_bytes;                      /* of those of a fixed size */
    uint8_t app_count;
    /* Below: the registry's, under its lock. */
    uint32_t application; /* id that the daemon gave this process: names the holder of a ring's lock */
    uint8_t ring_id[16];
    uint32_t subbuf_order;
    uint8_t per_channel; /* one ring for all CPUs */
    uint64_t blocking_ns; /* how long a writer waits for space; 0: not at all, UINT64_MAX: for ever */
    uint32_t handle;
    uint8_t used;
    uint8_t owner;    /* index of the daemon's connection */
    uint8_t active;   /* started */
    uint8_t attached; /* by the present connection: not yet after a reconnection */
    struct weft_need *need; /* stays, like the structure */
    struct weft_channel *next;
};

static inline struct weft_ring *weft_channel_ring(const struct weft_channel *c, uint32_t cpu)
{
    return (struct weft_ring *)(c->memory + WEFT_PAGE + cpu * c->control_stride);
}

/* Maps the two fds (which stay the caller's) after checking them against the geometry. 0 or a negative errno value. */
int weft_channel_map(struct weft_channel *c, const struct weft_geometry *g, int ring_fd, int reader_fd);

/* An event met the ring of `cpu`, which has no memory. 1: for the first time, so the listener has to ask. Async-signal-safe. */
int weft_channel_meet(const struct weft_channel *c, uint32_t cpu);
/* A ring that the daemon is to be asked for now; 0: no further one. */
int weft_channel_ask(struct weft_channel *c, uint32_t *cpu);
/* What was asked for and did not come is asked for once more. */
void weft_channel_ask_again(struct weft_channel *c);

/* Sets which contexts the channel's records carry. 0, -EINVAL for one that is unknown or ill-formed, -ENOSPC for a counter too
 * many, -ENOMEM. With the registry's lock held. */
int weft_channel_contexts(struct weft_channel *c, const struct weft_context_wanted *wanted, uint32_t count);

/*
 * Gives the memory back. A late thread may still be staging a record and read, or count a loss in, the old addresses: so the range
 * is not unmapped but covered with private anonymous pages, and never used again. That costs address space, not memory.
 */
void weft_channel_unmap(struct weft_channel *c);

/* Lock mode: waits until every thread of this process has left the rings' locks that it held at the call. 0 or ETIMEDOUT. */
int weft_channel_quiesce(struct weft_channel *c);

#endif
