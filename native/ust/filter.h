/*
 * Filters: the programs of bytecode.h. A program is verified once, against the fields of the events that it is to judge, and turned
 * into steps of one size; then any thread runs it, in signal handlers too.
 */
#ifndef WEFT_UST_FILTER_H
#define WEFT_UST_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "weft/abi.h"

struct weft_filter;

/* A filter made from `length` bytes: 0, EINVAL (bytecode.h forbids it, or it does not fit the fields) or ENOMEM. With the registry's
 * lock held. */
int weft_filter_verify(const uint8_t *bytes, size_t length, const struct weft_field *fields, uint32_t field_count,
                       struct weft_filter **filter);
void weft_filter_free(struct weft_filter *filter);

/* Was it made from these bytes? */
int weft_filter_is(const struct weft_filter *filter, const uint8_t *bytes, size_t length);

/* Nonzero: the event is kept. Values that are not of the kind that was verified count as missing: a thread that is late may bring
 * those of another object's description. Async-signal-safe; takes as many steps as the program has, and a pattern's share of them. */
int weft_filter_run(const struct weft_filter *filter, const struct weft_value *values, uint32_t count, void *ip);

#endif
