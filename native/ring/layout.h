/*
 * The shared-memory layout of a ring set: the one definition, included by writer (libweft), reader and daemon.
 *
 * A ring set is what one (channel x user) or (channel x process) records into: one ring per possible CPU, or one for all.
 * It is two sealed memfds, or two files of one user (docs/crash-recovery.md):
 *
 *   ring memory   read-write for applications; the consumer maps it read-only, and its descriptor is writable for one purpose:
 *                 taking memory from under sub-buffers that nobody uses, and putting it back (reclaim.h)
 *   +-------------------+---------------------+-----+------------------+-----+
 *   | set header (4 KiB)| control page, CPU 0 | ... | data, CPU 0      | ... |
 *   +-------------------+---------------------+-----+------------------+-----+
 *   reader memory read-write for the consumer, read-only for applications
 *   +-------------------+-----+
 *   | reader page, CPU 0| ... |
 *   +-------------------+-----+
 *
 * Neither side believes the other's memory. Geometry (struct weft_geometry) travels over the sockets, from the session
 * daemon, and is never read back from shared memory.
 *
 * THE POSITION WORD. A ring's state is one 64-bit word: (byte position << WEFT_POS_SHIFT) | slot. The byte position counts
 * every byte ever committed, so position / subbuf_size is the sequence number of the current sub-buffer and
 * position % subbuf_size the offset in it. A store of this word is THE commit; everything that a commit publishes
 * besides (last timestamp, event count) is written before into the slot that the word does not select, and the new word
 * selects it. An attempt that is aborted or killed before the store has changed nothing that anyone reads.
 *
 *   record:  [bytes at position .. position+len) , slot[!s] = {ts, count+1}  ->  position = (pos+len, !s)     by writers
 *   switch:  entry[k].end_* , entry[k+1].*, slot[!s] = slot[s]               ->  position = ((k+1)*S, !s)     by writers
 *   consume: state[!t] , then selector, then consumed_position                                               by the reader
 *
 * A record never fills a sub-buffer to the last byte (WEFT_TAIL_SLACK), so a position that is a multiple of subbuf_size
 * always means "switched into", never "full".
 *
 * A writer stores only into the tail of the CURRENT sub-buffer, its idle slot, and table entries that are not readable
 * yet. The table has two entries per sub-buffer, indexed by sequence number modulo 2N: preparing the entry of k+1 does not
 * disturb the entry of k+1-N, which an overwrite-mode reader may be using.
 */
#ifndef WEFT_RING_LAYOUT_H
#define WEFT_RING_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEFT_STATIC_ASSERT static_assert
extern "C" {
#else
#define WEFT_STATIC_ASSERT _Static_assert
#endif

#define WEFT_RING_MAGIC 0x57454654u /* "WEFT" */
#define WEFT_RING_ABI 1u

#define WEFT_PAGE 4096u
#define WEFT_POS_SHIFT 2
#define WEFT_SLOT_MASK 1u
/* Copies inside the restartable sequence go in whole words; the slack is what they may spill, and keeps a sub-buffer unfilled. */
#define WEFT_TAIL_SLACK 16u

#define WEFT_SUBBUF_SIZE_MIN 4096u
#define WEFT_SUBBUF_SIZE_MAX (1u << 30)
#define WEFT_SUBBUF_COUNT_MIN 2u
#define WEFT_SUBBUF_COUNT_MAX 4096u
#define WEFT_CPU_MAX 4096u

enum weft_mode { WEFT_MODE_DISCARD = 0, WEFT_MODE_OVERWRITE = 1 };
/* How a commit is made exclusive: a restartable sequence, or a lock word in the ring (applications without rseq). */
enum weft_sync { WEFT_SYNC_RSEQ = 0, WEFT_SYNC_LOCK = 1 };

/* Per channel: one ring that every CPU's threads record into, under its lock (cpu_count 1, WEFT_SYNC_LOCK). Its packets name no CPU. */
enum weft_allocation { WEFT_ALLOCATION_PER_CPU = 0, WEFT_ALLOCATION_PER_CHANNEL = 1 };

/* Sent by the session daemon to applications and consumers; never read from shared memory. */
struct weft_geometry {
    uint32_t cpu_count;    /* rings in the set: possible CPUs */
    uint32_t subbuf_size;  /* bytes, power of two */
    uint32_t subbuf_count; /* power of two, N */
    uint8_t mode;          /* enum weft_mode */
    uint8_t sync;          /* enum weft_sync */
    uint8_t allocation;    /* enum weft_allocation */
    uint8_t reserved;
};

/* First page of ring memory. Only identification: who finds the fd (keeper, crash recovery) checks it against the id it expects. */
struct weft_set_header {
    uint32_t magic;            /* 0 */
    uint32_t abi;              /* 4 */
    uint8_t ring_id[16];       /* 8 */
    struct weft_geometry geometry; /* 24 */
    /* Doorbell: a writer that fills a sub-buffer while the reader's sleeping flag is set adds 1 and wakes the futex; one that commits
     * while `attentive` is set does so too. */
    uint32_t doorbell;         /* 40 */
    uint8_t reserved[4096 - 44];
};
WEFT_STATIC_ASSERT(sizeof(struct weft_geometry) == 16, "geometry");
WEFT_STATIC_ASSERT(offsetof(struct weft_set_header, ring_id) == 8, "ring_id");
WEFT_STATIC_ASSERT(offsetof(struct weft_set_header, geometry) == 24, "geometry offset");
WEFT_STATIC_ASSERT(offsetof(struct weft_set_header, doorbell) == 40, "doorbell");
WEFT_STATIC_ASSERT(sizeof(struct weft_set_header) == 4096, "set header");

/* What a commit publishes besides the position. */
struct weft_slot {
    uint64_t last_timestamp; /* ns, of the last committed event; the base of the next truncated timestamp */
    uint64_t event_count;    /* events ever committed to this ring */
};

/* Why an event was not recorded. Counted per ring, atomically, outside the sequence; order is part of the ABI. */
enum weft_loss {
    WEFT_LOST_FULL = 0,      /* discard mode: no free sub-buffer */
    WEFT_LOST_TOO_BIG = 1,   /* record larger than a sub-buffer */
    WEFT_LOST_RESTARTS = 2,  /* the sequence was restarted too often (single-stepping debugger) */
    WEFT_LOST_NESTED = 3,    /* lock mode: a signal handler found its own thread inside */
    WEFT_LOST_CONTENDED = 4, /* lock mode: waited too long for the lock */
    WEFT_LOST_NO_MEMORY = 5, /* this CPU's ring has no memory (yet), or no staging memory for a large record */
    WEFT_LOST_FROZEN = 6,    /* what the ring holds was being copied (struct weft_reader_page, frozen_until) */
    WEFT_LOSS_CAUSES = 8
};

/* One sub-buffer's table entry. begin_*: valid once the position has reached sequence*S. end_*: valid once the position has
 * reached (sequence+1)*S. Written by writers inside the switch sequence. */
struct weft_entry {
    uint64_t sequence;        /* 0: sub-buffer number since the ring was made */
    uint64_t begin_timestamp; /* 8: of the last event before this sub-buffer */
    uint64_t events_before;   /* 16: events committed before this sub-buffer */
    uint64_t end_timestamp;   /* 24: of the last event in it (or begin_timestamp) */
    uint32_t end_offset;      /* 32: bytes used of this sub-buffer */
    uint32_t reserved[7];     /* 36 */
};
WEFT_STATIC_ASSERT(sizeof(struct weft_entry) == 64, "entry");
WEFT_STATIC_ASSERT(offsetof(struct weft_entry, end_offset) == 32, "end_offset");

/* One ring's control block. The first line is all that a record touches besides its data. */
struct weft_ring {
    uint64_t position;        /* 0: the position word */
    struct weft_slot slot[2]; /* 8, 24 */
    uint32_t ready;           /* 40: 1 once the daemon has allocated this ring's data */
    /* 44: blocking channels: low half of the newest sub-buffer number that a writer waits for. Who dies waiting leaves it; it
     * costs the reader one wake for nothing. */
    uint32_t waiters;
    uint64_t lock;            /* 48: lock mode: (application id << 32) | tid of the holder, 0 free */
    uint64_t reserved1;       /* 56 */
    uint64_t lost[WEFT_LOSS_CAUSES]; /* 64: enum weft_loss */
    struct weft_entry table[]; /* 128: 2 * subbuf_count entries */
};
WEFT_STATIC_ASSERT(offsetof(struct weft_ring, slot) == 8, "slot");
WEFT_STATIC_ASSERT(offsetof(struct weft_ring, ready) == 40, "ready");
WEFT_STATIC_ASSERT(offsetof(struct weft_ring, waiters) == 44, "waiters");
WEFT_STATIC_ASSERT(offsetof(struct weft_ring, lock) == 48, "lock");
WEFT_STATIC_ASSERT(offsetof(struct weft_ring, lost) == 64, "lost");
WEFT_STATIC_ASSERT(offsetof(struct weft_ring, table) == 128, "table");

/* What the reader has done, in one of two copies; the selector names the valid one. So a reader killed between two stores leaves
 * the older state whole, and its successor cuts the file back to file_bytes and writes the packet again. */
struct weft_reader_state {
    uint64_t position;        /* 0: bytes consumed (same scale as weft_ring.position >> WEFT_POS_SHIFT) */
    uint64_t events;          /* 8: events in the packets written */
    uint64_t overwritten;     /* 16: events lost by overwriting, cumulative */
    uint64_t discarded;       /* 24: events_discarded value written in the last packet (all causes, cumulative) */
    uint64_t packets;         /* 32: packets written = next packet_seq_num */
    uint64_t last_timestamp;  /* 40: end timestamp of the last packet; begin of the next one is >= it */
    uint64_t event_timestamp; /* 48: of the last event consumed: base for unfolding the next truncated timestamp */
    uint64_t file_bytes;      /* 56: length of the current data file up to which packets are complete */
    uint64_t index_bytes;     /* 64: the same for the index file */
    uint64_t file_number;     /* 72: trace files of this chunk before the current one */
    uint64_t lost;            /* 80: the part of discarded that was counted in ring.lost[]; the rest was overwritten */
    uint64_t chunk;           /* 88: whose directory the files are in */
    uint64_t packets_before;  /* 96: packets written before the current file began */
    uint64_t bytes_before;    /* 104: bytes written to files before it */
    uint64_t forgotten;       /* 112: events consumed by clearing: neither written nor lost */
    uint64_t reserved[1];     /* 120 */
};
WEFT_STATIC_ASSERT(sizeof(struct weft_reader_state) == 128, "reader state");

/* A ring stays frozen no longer. */
#define WEFT_FREEZE_MAX_NS 5000000000ull

/* One page per ring in reader memory. */
struct weft_reader_page {
    /* 0: bytes given back to writers, who bound the space by it, and wait on its low half. Stored after the state: what is consumed, or
     * less while sub-buffers from here on have no memory. */
    uint64_t consumed;
    uint32_t sleeping;       /* 8: 1 while the reader waits on the doorbell */
    uint32_t reserved0;      /* 12 */
    /* Memory given back (reclaim.h). Numbers are those of the sub-buffers that lay there last. */
    uint64_t readable_from;  /* 16: no sub-buffer before this one may be read (again) */
    uint64_t holes_from;     /* 24: those from here ... */
    uint64_t holes_to;       /* 32: ... to before this one may have no memory */
    uint64_t punching;       /* 40: overwrite mode: the sub-buffer whose memory is being taken, if a writer entered it meanwhile; 0: none */
    uint64_t reserved1[2];   /* 48 */
    uint32_t selector;       /* 64: which state is valid, 0 or 1 */
    uint32_t reserved2[15];  /* 68 */
    struct weft_reader_state state[2]; /* 128, 256 */
    /* 384: writers record nothing before this time (ns of the clock page), but count; 0: not frozen. A time further off than
     * WEFT_FREEZE_MAX_NS is none, so a freeze whose reader died ends by itself. In a line that changes only when something of this
     * kind happens: writers look at it before each commit. One that has looked already may still commit a record. */
    uint64_t frozen_until;
    uint32_t attentive;    /* 392: 1 while the reader of a live channel waits on the doorbell: the next commit rings it */
    uint32_t reserved3;    /* 396 */
    uint64_t reserved5[6]; /* 400 */
    uint8_t reserved4[4096 - 448];
};
WEFT_STATIC_ASSERT(offsetof(struct weft_reader_page, readable_from) == 16, "readable_from");
WEFT_STATIC_ASSERT(offsetof(struct weft_reader_page, selector) == 64, "selector");
WEFT_STATIC_ASSERT(offsetof(struct weft_reader_page, state) == 128, "state");
WEFT_STATIC_ASSERT(offsetof(struct weft_reader_page, frozen_until) == 384, "frozen_until");
WEFT_STATIC_ASSERT(offsetof(struct weft_reader_page, attentive) == 392, "attentive");
WEFT_STATIC_ASSERT(sizeof(struct weft_reader_page) == 4096, "reader page");

/* Offsets. All are functions of the geometry that came over the socket. */
static inline uint64_t weft_control_stride(const struct weft_geometry *g)
{
    const uint64_t bytes = sizeof(struct weft_ring) + 2ull * g->subbuf_count * sizeof(struct weft_entry);
    return (bytes + WEFT_PAGE - 1) & ~(uint64_t)(WEFT_PAGE - 1);
}
static inline uint64_t weft_control_offset(const struct weft_geometry *g, uint32_t cpu)
{
    return WEFT_PAGE + cpu * weft_control_stride(g);
}
static inline uint64_t weft_data_bytes(const struct weft_geometry *g)
{
    return (uint64_t)g->subbuf_size * g->subbuf_count;
}
static inline uint64_t weft_data_offset(const struct weft_geometry *g, uint32_t cpu)
{
    return weft_control_offset(g, g->cpu_count) + cpu * weft_data_bytes(g);
}
static inline uint64_t weft_ring_memory_bytes(const struct weft_geometry *g)
{
    return weft_data_offset(g, g->cpu_count);
}
static inline uint64_t weft_reader_memory_bytes(const struct weft_geometry *g)
{
    return (uint64_t)g->cpu_count * sizeof(struct weft_reader_page);
}
static inline uint64_t weft_entry_index(const struct weft_geometry *g, uint64_t sequence)
{
    return sequence & (2ull * g->subbuf_count - 1);
}

/*
 * Event record, as it lies in the ring and in the file (little-endian, byte-packed):
 *   first word: id in the low 5 bits, low 27 bits of the timestamp (ns) above
 *   id 0..29   compact:  word                                   ( 4 bytes)  delta to the last event < 2^27 ns
 *   id 30      medium:   word, u16 id                           ( 6 bytes)  the same, for ids 30..65535
 *   id 31      extended: u8 31, u32 id, u64 timestamp           (13 bytes)  anything else
 *   then the channel's contexts, then the payload.
 */
#define WEFT_ID_BITS 5
#define WEFT_ID_MEDIUM 30u
#define WEFT_ID_EXTENDED 31u
#define WEFT_TIMESTAMP_BITS 27
#define WEFT_TIMESTAMP_MASK ((1u << WEFT_TIMESTAMP_BITS) - 1)
#define WEFT_HEADER_MAX 13u

/*
 * The clock page: one 4 KiB file, written by the session daemon, read-only for everybody else.
 *   ns = base_ns + (((unsigned __int128)(tsc - base_tsc) * mult) >> 32)   with the parameters that version & 1 selects.
 * The writer fills the idle copy, then adds 1 to version. A reader that sees version change reads again.
 * valid == 0: no usable TSC, use clock_gettime(CLOCK_MONOTONIC).
 */
struct weft_clock_parameters {
    uint64_t base_tsc; /* counter value; readers never compute with an older one (clamp to base_ns) */
    uint64_t base_ns;  /* CLOCK_MONOTONIC, ns */
    uint64_t mult;     /* ns per tick << 32 */
    uint64_t reserved;
};
struct weft_clock_page {
    uint32_t magic;   /* 0: WEFT_CLOCK_MAGIC */
    uint32_t valid;   /* 4 */
    uint32_t version; /* 8 */
    uint32_t reserved0;
    struct weft_clock_parameters parameters[2]; /* 16, 48 */
    uint8_t reserved[4096 - 80];
};
#define WEFT_CLOCK_MAGIC 0x4b4c4357u
WEFT_STATIC_ASSERT(offsetof(struct weft_clock_page, parameters) == 16, "parameters");
WEFT_STATIC_ASSERT(sizeof(struct weft_clock_page) == 4096, "clock page");

#ifdef __cplusplus
}
#endif
#endif
