/* FIRED messages: what a watch captures of an event, as wire.h wants it. Async-signal-safe, and no memory but the caller's. */
#ifndef WEFT_UST_FIRED_H
#define WEFT_UST_FIRED_H

#include <stddef.h>
#include <stdint.h>

#include "ust/app_context.h"
#include "weft/abi.h"

#define WEFT_FIRED_MAX 4096u   /* bytes of one message */
#define WEFT_CAPTURES_MAX 256u /* so many numbers always fit */

enum weft_capture_kind {
    WEFT_CAPTURE_UNAVAILABLE = 0,
    WEFT_CAPTURE_FIELD = 1,
    WEFT_CAPTURE_ELEMENT = 2,
    WEFT_CAPTURE_CONTEXT = 3,
    WEFT_CAPTURE_APP_CONTEXT = 4
};

struct weft_capture {
    uint8_t kind;     /* enum weft_capture_kind */
    uint8_t natural;  /* the field's integers are unsigned */
    uint16_t what;    /* field, or context */
    uint32_t index;   /* ELEMENT */
    const struct weft_app_context_place *place; /* APP_CONTEXT */
};

struct weft_fired {
    uint32_t watch, point, discarded;
    uint16_t capture_count;
    const struct weft_capture *captures;
};

/* Writes the message; returns its bytes. */
size_t weft_fired_write(uint8_t message[WEFT_FIRED_MAX], const struct weft_fired *fired, const struct weft_value *values,
                        uint32_t count, void *ip);

#endif
