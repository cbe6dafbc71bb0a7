/*
 * Filter bytecode: what rules/filter/ compiles and libweft runs inside the application, before anything is serialised.
 * A program belongs to one (point, channel): the daemon knows the point's fields and compiles against their types.
 *
 * Bytes, little-endian, packed:
 *   u8 version (WEFT_BYTECODE_VERSION), u8 expression count, then per expression: u16 length, code[length]
 * An event is kept when at least one expression is true. An expression in which a value is missing (an index out of range, an
 * application context without a value or of another kind, a shift count outside 0..63) is false as a whole, whatever its operators.
 *
 * A stack machine. Values on the stack: I (int64), D (double), S (string: pointer + length, not necessarily NUL-terminated).
 * Jumps go forward only, to an instruction's first byte within the expression, and the stack has the same kinds on every way to an instruction: so the
 * verifier needs one pass, and an expression ends after as many steps as it has instructions. Depth at most
 * WEFT_BYTECODE_STACK. An expression ends with RETURN (last instruction), with exactly one I on the stack.
 */
#ifndef WEFT_UST_BYTECODE_H
#define WEFT_UST_BYTECODE_H

#define WEFT_BYTECODE_VERSION 1u
#define WEFT_BYTECODE_STACK 16u
#define WEFT_BYTECODE_MAX 65535u     /* bytes of a whole program */
#define WEFT_BYTECODE_EXPRESSIONS 64u

enum weft_op {
    WEFT_OP_RETURN = 0,       /*            I ->      true if not 0 */
    WEFT_OP_PUSH_INT = 1,     /* i64          -> I    */
    WEFT_OP_PUSH_DOUBLE = 2,  /* f64          -> D    */
    WEFT_OP_PUSH_STRING = 3,  /* u16 n, n bytes -> S  */
    /* Payload fields by their place in the point's description, fields that are not written included. */
    WEFT_OP_FIELD_INT = 4,    /* u16 field    -> I    integer or enumeration field; unsigned 64-bit values as their two's complement */
    WEFT_OP_FIELD_DOUBLE = 5, /* u16 field    -> D    float field */
    WEFT_OP_FIELD_STRING = 6, /* u16 field    -> S    string, or array or sequence of text */
    WEFT_OP_ELEMENT_INT = 7,  /* u16 field, u32 index -> I   array or sequence of integers */
    /* Context: u16 enum weft_context (wire.h). */
    WEFT_OP_CONTEXT_INT = 8,    /* u16        -> I    */
    WEFT_OP_CONTEXT_STRING = 9, /* u16        -> S    procname */
    /* Application context PROVIDER:NAME; missing when it is not there or of a kind that does not convert (int -> double does). */
    WEFT_OP_APP_INT = 10,     /* u8 n, n bytes -> I   */
    WEFT_OP_APP_DOUBLE = 11,  /* u8 n, n bytes -> D   */
    WEFT_OP_APP_STRING = 12,  /* u8 n, n bytes -> S   */
    WEFT_OP_INT_TO_DOUBLE = 13,       /*    I -> D    */
    WEFT_OP_INT_TO_DOUBLE_BELOW = 14, /*  I x -> D x  the value under the top (I or D on top) */
    WEFT_OP_NEGATE_INT = 15,  /*            I -> I    wraps */
    WEFT_OP_NEGATE_DOUBLE = 16, /*          D -> D    */
    WEFT_OP_NOT = 17,         /*            I -> I    1 if 0, else 0 */
    WEFT_OP_BOOL = 18,        /*            I -> I    0 or 1 */
    WEFT_OP_BOOL_DOUBLE = 19, /*            D -> I    1 if != 0 */
    WEFT_OP_COMPLEMENT = 20,  /*            I -> I    */
    WEFT_OP_AND = 21,         /*          I I -> I    bitwise */
    WEFT_OP_OR = 22,          /*          I I -> I    */
    WEFT_OP_XOR = 23,         /*          I I -> I    */
    WEFT_OP_SHIFT_LEFT = 24,  /*          I I -> I    of the unsigned value */
    WEFT_OP_SHIFT_RIGHT = 25, /*          I I -> I    of the unsigned value */
    /* Comparisons, in the order ==, !=, <, >, <=, >=. Each leaves 0 or 1. Strings compare byte by byte, unsigned. */
    WEFT_OP_INT_EQ = 32,      /* 32..37   I I -> I    signed */
    WEFT_OP_DOUBLE_EQ = 40,   /* 40..45   D D -> I    */
    WEFT_OP_STRING_EQ = 48,   /* 48..53   S S -> I    */
    /* Left operand against a pattern "abc*" (the literal without its star): compares only as many bytes as the literal has. */
    WEFT_OP_PREFIX_EQ = 56,   /* 56..61  u16 n, n bytes   S -> I */
    /* Pattern with stars anywhere (backslash before a star or a backslash: literal). */
    WEFT_OP_GLOB_EQ = 64,     /* 64, 65  u16 n, n bytes   S -> I : ==, != */
    /* Short-circuit: looks at the top; if 0 (not 0) jumps and leaves it, else removes it. u16: offset from the expression's start. */
    WEFT_OP_JUMP_IF_FALSE = 80, /* u16      I -> (I at the target) */
    WEFT_OP_JUMP_IF_TRUE = 81,  /* u16      I -> (I at the target) */
};

#endif
