/* Staging memory for payloads that are too large for the stack. */
#ifndef WEFT_UST_STAGE_H
#define WEFT_UST_STAGE_H

#include <stddef.h>

/* `length` bytes with WEFT_STAGE_HEADROOM before and WEFT_STAGE_TAIL after, NULL without memory. Async-signal-safe. */
char *weft_stage_take(size_t length);
void weft_stage_give(char *payload);

#endif
