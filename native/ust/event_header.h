/* An event's header, written backwards from its contexts. Part of the hot path: included once, by record.c. */
#ifndef WEFT_UST_EVENT_HEADER_H
#define WEFT_UST_EVENT_HEADER_H

#include <stdint.h>
#include <string.h>

#include "ring/layout.h"

/* The header of an event whose id or time step does not fit into four bytes. */
static __attribute__((noinline)) char *weft_put_long_header(char *end, uint32_t id, uint64_t timestamp, uint64_t last)
{
    if (id <= UINT16_MAX && timestamp - last <= WEFT_TIMESTAMP_MASK) {
        const uint32_t word = (id < WEFT_ID_MEDIUM ? id : WEFT_ID_MEDIUM) | (uint32_t)timestamp << WEFT_ID_BITS;
        const uint16_t short_id = (uint16_t)id;
        memcpy(end - 6, &word, 4);
        memcpy(end - 2, &short_id, 2);
        return end - 6;
    }
    end[-13] = (char)WEFT_ID_EXTENDED;
    memcpy(end - 12, &id, 4);
    memcpy(end - 8, &timestamp, 8);
    return end - 13;
}

/* The header that ends at `end`; returns its first byte. `last` is the last committed event's timestamp. */
static inline char *weft_put_header(char *end, uint32_t id, uint64_t timestamp, uint64_t last)
{
    if (__builtin_expect(timestamp - last > WEFT_TIMESTAMP_MASK || id >= WEFT_ID_MEDIUM, 0))
        return weft_put_long_header(end, id, timestamp, last);
    const uint32_t word = id | (uint32_t)timestamp << WEFT_ID_BITS;
    memcpy(end - 4, &word, 4);
    return end - 4;
}

#endif
