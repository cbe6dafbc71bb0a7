/* The fields that filters are tested on: one of each kind. */
#ifndef WEFT_UST_TEST_FIELDS_H
#define WEFT_UST_TEST_FIELDS_H

#include "weft/abi.h"

enum { A, B, X, NAME, NUMBERS, LABEL, QUEUE, NETWORK, FIELDS };

static const struct weft_field fields[FIELDS] = {
    [A] = { .name = "a", .kind = WEFT_KIND_INTEGER, .integer = { 32, WEFT_INT_SIGNED, 10 } },
    [B] = { .name = "b", .kind = WEFT_KIND_ENUM, .integer = { 32, WEFT_INT_SIGNED, 10 } },
    [X] = { .name = "x", .kind = WEFT_KIND_FLOAT, .integer = { 64, 0, 10 } },
    [NAME] = { .name = "name", .kind = WEFT_KIND_STRING, .encoding = 1 },
    [NUMBERS] = { .name = "numbers", .kind = WEFT_KIND_ARRAY, .integer = { 16, WEFT_INT_SIGNED, 10 }, .length = 3 },
    [LABEL] = { .name = "label", .kind = WEFT_KIND_ARRAY, .encoding = 1, .integer = { 8, 0, 10 }, .length = 4 },
    [QUEUE] = { .name = "queue", .kind = WEFT_KIND_SEQUENCE, .integer = { 64, 0, 10 }, .length_type = { 32, 0, 10 } },
    [NETWORK] = { .name = "network", .kind = WEFT_KIND_SEQUENCE, .integer = { 16, WEFT_INT_REVERSE, 10 }, .length_type = { 32, 0, 10 } },
};

#endif
