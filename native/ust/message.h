/* Writing and reading the messages of wire.h. A reader that runs past the end returns zeros and remembers it. */
#ifndef WEFT_UST_MESSAGE_H
#define WEFT_UST_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "ust/wire.h"
#include "weft/abi.h"

struct weft_writer {
    uint8_t *bytes;
    size_t capacity;
    size_t used;
    int overflow;
};

struct weft_cursor {
    const uint8_t *bytes;
    size_t length;
    size_t at;
    int short_message;
};

/* Begins a message of `type` in `buffer` of WEFT_WIRE_MAX bytes. */
struct weft_writer weft_message_begin(uint8_t *buffer, enum weft_wire_type type);
void weft_put(struct weft_writer *w, const void *bytes, size_t length);
void weft_put_u8(struct weft_writer *w, uint8_t value);
void weft_put_u16(struct weft_writer *w, uint16_t value);
void weft_put_u32(struct weft_writer *w, uint32_t value);
void weft_put_string(struct weft_writer *w, const char *text);
/* Sets the length. Returns the message's bytes, 0 when it did not fit. */
size_t weft_message_end(struct weft_writer *w);

/* One POINT message; 0 when the description is too large. */
size_t weft_message_point(uint8_t *buffer, uint32_t id, const struct weft_event *event);

uint32_t weft_get_u32(struct weft_cursor *c);
uint64_t weft_get_u64(struct weft_cursor *c);
uint16_t weft_get_u16(struct weft_cursor *c);
/* `length` bytes, or NULL when there are fewer. */
const uint8_t *weft_get(struct weft_cursor *c, size_t length);

#endif
