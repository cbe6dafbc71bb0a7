/*
 * Events that say who they are, recorded through libweft's record path without any daemon: payload {u32 source, u64 number,
 * u32 length, length bytes that follow from the number}, under ids of all three header sizes, with contexts.
 */
#ifndef WEFT_TEST_EMITTER_H
#define WEFT_TEST_EMITTER_H

#include "ring/layout.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EMITTER_FIXED_BYTES 16u
#define EMITTER_IDS 3u
#define EMITTER_CONTEXT_BYTES 12u /* vpid, vtid, cpu_id */

struct emitter;

/* Maps the set for this process and its children; NULL when libweft refuses it. Never freed. */
struct emitter *emitter_open(const struct weft_geometry *geometry, int ring_fd, int reader_fd, const struct weft_clock_page *clock,
                             uint32_t application);
/* Records one event. Async-signal-safe. */
void emitter_emit(struct emitter *e, uint32_t source, uint64_t number, uint32_t length);
/* The id under which a number is recorded, and what its bytes are. */
uint32_t emitter_id(uint64_t number);
uint8_t emitter_byte(uint64_t number);

/* A page of the machine's clock, measured here, shared with children. */
const struct weft_clock_page *emitter_clock(void);

#ifdef __cplusplus
}
#endif
#endif
