/*
 * Walks a ring's shared memory and hands out every committed record that is still there: what a test may believe about a ring,
 * written from layout.h alone and sharing no code with the reader. Records carry the payload {i32 thread, u64 number, ...}.
 */
#ifndef WEFT_TEST_DECODE_H
#define WEFT_TEST_DECODE_H

#include <stdio.h>
#include <string.h>

#include "ring/layout.h"

struct decoded {
    uint32_t id;
    uint64_t timestamp;
    const uint8_t *payload; /* behind the contexts */
    uint64_t position;      /* of the record's first byte */
};

struct decode_totals {
    uint64_t records;
    uint64_t overwritten; /* committed records that are no longer there */
    uint64_t lost;        /* all causes */
    const char *wrong;    /* NULL: nothing */
};

/* Gives a record's bytes from its header to the end of its payload, given its id and payload: only the test knows. */
typedef uint32_t (*decode_length)(const struct decoded *record, void *context);

static inline uint64_t decode_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t decode_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* Reads one header at `p`; returns its bytes and moves the clock on. */
static inline uint32_t decode_header(const uint8_t *p, struct decoded *r, uint64_t *clock)
{
    const uint32_t word = decode_u32(p), tag = word & 31, low = word >> WEFT_ID_BITS;
    uint16_t medium;
    if (tag == WEFT_ID_EXTENDED) {
        r->id = decode_u32(p + 1);
        *clock = decode_u64(p + 5);
        return WEFT_HEADER_MAX;
    }
    const uint64_t mask = WEFT_TIMESTAMP_MASK;
    *clock = (*clock & ~mask) + low + (low < (*clock & mask) ? mask + 1 : 0);
    memcpy(&medium, p + 4, 2);
    r->id = tag == WEFT_ID_MEDIUM ? medium : tag;
    return tag == WEFT_ID_MEDIUM ? 6 : 4;
}

static inline struct decode_totals decode_ring(const uint8_t *memory, const struct weft_geometry *g, uint32_t cpu,
                                               uint32_t context_bytes, decode_length visit, void *context)
{
    struct decode_totals t = { 0, 0, 0, NULL };
    const struct weft_ring *ring = (const struct weft_ring *)(memory + weft_control_offset(g, cpu));
    const uint8_t *data = memory + weft_data_offset(g, cpu);
    const uint64_t word = ring->position, end = word >> WEFT_POS_SHIFT, current = end / g->subbuf_size;
    const struct weft_slot *slot = &ring->slot[word & WEFT_SLOT_MASK];
    const uint64_t first = current >= g->subbuf_count ? current - g->subbuf_count + 1 : 0;
    for (int i = 0; i < WEFT_LOSS_CAUSES; i++)
        t.lost += ring->lost[i];
    t.overwritten = ring->table[weft_entry_index(g, first)].events_before;
    uint64_t seen = t.overwritten;
    for (uint64_t sequence = first; sequence <= current && !t.wrong; sequence++) {
        const struct weft_entry *e = &ring->table[weft_entry_index(g, sequence)];
        const uint32_t bytes = sequence == current ? (uint32_t)(end % g->subbuf_size) : e->end_offset;
        const uint8_t *base = data + (sequence % g->subbuf_count) * g->subbuf_size;
        uint64_t clock = e->begin_timestamp;
        if (e->sequence != sequence || e->events_before != seen || bytes > g->subbuf_size)
            t.wrong = "table entry";
        for (uint32_t at = 0; at < bytes && !t.wrong;) {
            struct decoded r = { 0, 0, NULL, sequence * g->subbuf_size + at };
            const uint64_t before = clock;
            const uint32_t header = decode_header(base + at, &r, &clock);
            r.timestamp = clock;
            r.payload = base + at + header + context_bytes;
            if (clock < before)
                t.wrong = "time goes back";
            at += header + context_bytes + visit(&r, context);
            if (at > bytes)
                t.wrong = "record crosses the end";
            t.records++;
            seen++;
        }
        if (!t.wrong && sequence < current && clock != e->end_timestamp)
            t.wrong = "end timestamp";
        if (!t.wrong && sequence == current && (clock != slot->last_timestamp || seen != slot->event_count))
            t.wrong = "slot";
    }
    return t;
}

#endif
