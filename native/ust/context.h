/* Context fields: what a channel adds to each of its records. */
#ifndef WEFT_UST_CONTEXT_H
#define WEFT_UST_CONTEXT_H

#include <stdint.h>

#include "ust/channel.h"

#define WEFT_PROCNAME_BYTES 17u

/* Bytes of one context field, 0 for an unknown type (enum weft_context) or one whose records vary. */
uint32_t weft_context_size(uint16_t type);

/* Writes the channel's context fields, in order. Async-signal-safe. */
void weft_context_write(const struct weft_channel *c, char *target, uint32_t cpu, void *ip);

/* For filters: what a context field would hold for this thread now, as an integer or a text. Async-signal-safe. */
enum weft_context_form { WEFT_CONTEXT_UNKNOWN, WEFT_CONTEXT_INTEGER, WEFT_CONTEXT_TEXT };
enum weft_context_form weft_context_form(uint16_t type);
int64_t weft_context_integer(uint16_t type, void *ip);
const char *weft_context_text(void); /* of the one that is a text */

/* This thread's id, cached. Async-signal-safe. */
int32_t weft_context_tid(void);

/* Drops what a fork made stale; in the child. */
void weft_context_forked(void);
/* Reads the process id; at load. */
void weft_context_init(void);

#endif
