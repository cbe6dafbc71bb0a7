/* What a verified filter consists of: steps of one size, their operands decoded. */
#ifndef WEFT_UST_FILTER_STEPS_H
#define WEFT_UST_FILTER_STEPS_H

#include "ust/app_context.h"
#include "ust/bytecode.h"
#include "ust/filter.h"

/* How two values compare, one bit each; an operator is the set of those that make it true. */
#define ORDER_BELOW 1u
#define ORDER_EQUAL 2u
#define ORDER_ABOVE 4u
#define ORDER_NONE 8u /* one is not a number */

enum weft_step_kind {
    STEP_RETURN,
    STEP_JUMP_IF_FALSE, /* distance */
    STEP_JUMP_IF_TRUE,
    STEP_PUSH_INT,
    STEP_PUSH_DOUBLE,
    STEP_PUSH_STRING,
    STEP_FIELD_INT,
    STEP_FIELD_COMPARE, /* FIELD_INT, PUSH_INT and a comparison in one */
    STEP_REQUIRE,       /* the same, and the jump behind it, which leads to the end if it is false */
    STEP_DECIDE,        /* the same, and the end behind it */
    STEP_COMPARE_INT,
    STEP_COMPARE_DOUBLE,
    STEP_COMPARE_STRING,
    STEP_FIELD_DOUBLE, /* up to APP_STRING: bring a value, as PUSH_DOUBLE and PUSH_STRING do */
    STEP_FIELD_STRING,
    STEP_ELEMENT_INT,
    STEP_CONTEXT_INT,
    STEP_CONTEXT_STRING,
    STEP_APP_INT,
    STEP_APP_DOUBLE,
    STEP_APP_STRING,
    STEP_PREFIX, /* up to COMPLEMENT: change the top */
    STEP_GLOB,
    STEP_INT_TO_DOUBLE,
    STEP_INT_TO_DOUBLE_BELOW,
    STEP_NEGATE_INT,
    STEP_NEGATE_DOUBLE,
    STEP_NOT,
    STEP_BOOL,
    STEP_BOOL_DOUBLE,
    STEP_COMPLEMENT,
    STEP_AND, /* from here on, and COMPARE_*: make one of two */
    STEP_OR,
    STEP_XOR,
    STEP_SHIFT_LEFT,
    STEP_SHIFT_RIGHT,
};

struct weft_step {
    uint8_t kind;      /* enum weft_step_kind */
    uint8_t orders;    /* comparisons: ORDER_* that make it true */
    uint16_t what;     /* field, or context */
    uint32_t quantity; /* bytes of a string, index of an element, distance of a jump (steps that are passed over) */
    union {
        int64_t integer;
        double number;
        const uint8_t *bytes; /* in the filter's own copy of the program */
        const struct weft_app_context_place *place;
    } as;
};

struct weft_filter {
    struct weft_filter *next; /* of its point */
    struct weft_step *steps;
    uint32_t field_count; /* values that the program may ask for */
    uint32_t expression_count;
    uint32_t first[WEFT_BYTECODE_EXPRESSIONS]; /* step of each expression */
    size_t length;
    uint8_t bytes[];
};

#endif
