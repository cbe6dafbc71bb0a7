/* One line of text per record, decoded by its field descriptions: `provider:name { a = 1, s = "text" } ip=0x...`. */
#ifndef WEFT_TEST_FAKE_TEXT_H
#define WEFT_TEST_FAKE_TEXT_H

#include "weft/abi.h"

/* Uses no memory but the stack's; the line is written by one write(). */
void fake_text_write(int fd, const struct weft_event *event, const char *payload, size_t length, const void *ip);

/* What a filter is given: `7 1.5 "text" [ 1 -2 ]`, cut to `size`. */
void fake_text_values(char *text, size_t size, const struct weft_value *values, uint32_t count);

#endif
