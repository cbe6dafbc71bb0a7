/* Filter programs for tests, written as a list of instructions:
 *     struct program p = program_begin();
 *     FIELD(&p, WEFT_OP_FIELD_INT, 0); INT(&p, 100); OP(&p, WEFT_OP_INT_EQ + 3); OP(&p, WEFT_OP_RETURN);
 *     program_end(&p);
 */
#ifndef WEFT_UST_TEST_BYTECODE_H
#define WEFT_UST_TEST_BYTECODE_H

#include <stdint.h>
#include <string.h>

#include "ust/bytecode.h"

enum { EQ, NE, LT, GT, LE, GE }; /* added to the first comparison of its kind */

struct program {
    uint8_t bytes[4096];
    uint32_t length;
    uint32_t expression; /* where the present one begins: its length */
};

static inline void program_put(struct program *p, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        p->bytes[p->length++] = (uint8_t)(value >> 8 * i);
}

static inline void program_end(struct program *p)
{
    const uint32_t length = p->length - p->expression - 2;
    p->bytes[p->expression] = (uint8_t)length;
    p->bytes[p->expression + 1] = (uint8_t)(length >> 8);
}

static inline void program_more(struct program *p)
{
    if (p->expression)
        program_end(p);
    p->bytes[1]++;
    p->expression = p->length;
    p->length += 2;
}

static inline struct program program_begin(void)
{
    struct program p = { .bytes = { WEFT_BYTECODE_VERSION, 0 }, .length = 2, .expression = 0 };
    program_more(&p);
    return p;
}

/* Offset of the next instruction in its expression. */
static inline uint32_t program_here(const struct program *p)
{
    return p->length - p->expression - 2;
}

static inline void OP(struct program *p, uint32_t op)
{
    program_put(p, op, 1);
}

static inline void INT(struct program *p, int64_t value)
{
    OP(p, WEFT_OP_PUSH_INT);
    program_put(p, (uint64_t)value, 8);
}

static inline void DOUBLE(struct program *p, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    OP(p, WEFT_OP_PUSH_DOUBLE);
    program_put(p, bits, 8);
}

static inline void TEXT(struct program *p, uint32_t op, const char *text)
{
    OP(p, op);
    program_put(p, strlen(text), op >= WEFT_OP_APP_INT && op <= WEFT_OP_APP_STRING ? 1 : 2);
    while (*text)
        program_put(p, (uint8_t)*text++, 1);
}

/* FIELD_*, CONTEXT_*, JUMP_*: one number of 16 bits. */
static inline void WORD(struct program *p, uint32_t op, uint32_t number)
{
    OP(p, op);
    program_put(p, number, 2);
}

static inline void ELEMENT_AT(struct program *p, uint32_t field, uint32_t index)
{
    WORD(p, WEFT_OP_ELEMENT_INT, field);
    program_put(p, index, 4);
}

/* Field `field` against a constant. */
static inline void COMPARE(struct program *p, uint32_t field, uint32_t operator, int64_t value)
{
    WORD(p, WEFT_OP_FIELD_INT, field);
    INT(p, value);
    OP(p, WEFT_OP_INT_EQ + operator);
}

static inline void RETURN(struct program *p)
{
    OP(p, WEFT_OP_RETURN);
    program_end(p);
}

#endif
