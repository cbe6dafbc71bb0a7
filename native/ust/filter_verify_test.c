/* What the verifier of filters refuses: everything that bytecode.h does not allow. */
#define _GNU_SOURCE
#include <errno.h>

#include "ust/context.h"
#include "ust/filter.h"
#include "ust/test_bytecode.h"
#include "ust/test_fields.h"
#include "ust/test_seam.h"

static int verify(const struct program *p)
{
    struct weft_filter *filter = NULL;
    /* Exactly as large as it is: a sanitizer sees what is read behind the end. */
    uint8_t *bytes = malloc(p->length);
    memcpy(bytes, p->bytes, p->length);
    const int status = weft_filter_verify(bytes, p->length, fields, FIELDS, &filter);
    free(bytes);
    weft_filter_free(filter);
    return status;
}

static void refuse(struct program *p)
{
    OP(p, WEFT_OP_RETURN);
    program_end(p);
    CHECK_EQUAL(verify(p), EINVAL);
}

/* Every prefix of a good program, and the program with something behind it. */
static void refuses_torn_programs(void)
{
    struct program p = program_begin();
    COMPARE(&p, A, GT, 100);
    WORD(&p, WEFT_OP_JUMP_IF_FALSE, 0); /* to RETURN, once it is known where that is */
    TEXT(&p, WEFT_OP_APP_INT, "shop:abc");
    TEXT(&p, WEFT_OP_PUSH_STRING, "no");
    TEXT(&p, WEFT_OP_GLOB_EQ, "a*");
    OP(&p, WEFT_OP_AND);
    RETURN(&p);
    p.bytes[p.expression + 2 + 13 + 1] = (uint8_t)(program_here(&p) - 1);
    CHECK_EQUAL(verify(&p), 0);
    const uint32_t length = p.length;
    for (p.length = 0; p.length < length; p.length++)
        CHECK_EQUAL(verify(&p), EINVAL);
    for (p.length = length - 1; p.length > 4; p.length--) { /* the length is right, the code is not */
        program_end(&p);
        CHECK_EQUAL(verify(&p), EINVAL);
    }
    p.length = length;
    program_end(&p);
    p.length++;
    CHECK_EQUAL(verify(&p), EINVAL);
}

static void refuses_headers(void)
{
    struct program good = program_begin();
    INT(&good, 1);
    RETURN(&good);
    struct program p = good;
    p.bytes[0]++;
    CHECK_EQUAL(verify(&p), EINVAL);
    p = good;
    p.bytes[1] = 0;
    CHECK_EQUAL(verify(&p), EINVAL);
    p = good;
    p.bytes[1] = 2;
    CHECK_EQUAL(verify(&p), EINVAL);
    p = program_begin();
    program_end(&p); /* an empty expression */
    CHECK_EQUAL(verify(&p), EINVAL);
    p = program_begin();
    for (int i = 0; i < 65; i++) {
        INT(&p, 0);
        RETURN(&p);
        CHECK_EQUAL(verify(&p), i < 64 ? 0 : EINVAL);
        program_more(&p);
    }
    uint8_t *large = calloc(1, WEFT_BYTECODE_MAX + 1);
    struct weft_filter *filter;
    CHECK_EQUAL(weft_filter_verify(large, WEFT_BYTECODE_MAX + 1, fields, FIELDS, &filter), EINVAL);
    free(large);
}

static void put_value(struct program *p, int kind)
{
    if (kind == 0)
        INT(p, 1);
    else if (kind == 1)
        DOUBLE(p, 1);
    else
        TEXT(p, WEFT_OP_PUSH_STRING, "1");
}

/* What an operator takes, as digits: 0 integer, 1 double, 2 string. */
static const char *wants(uint32_t op)
{
    if (op == WEFT_OP_INT_TO_DOUBLE || op == WEFT_OP_NEGATE_INT || (op >= WEFT_OP_NOT && op <= WEFT_OP_BOOL) || op == WEFT_OP_COMPLEMENT)
        return "0";
    if (op == WEFT_OP_NEGATE_DOUBLE || op == WEFT_OP_BOOL_DOUBLE)
        return "1";
    if ((op >= WEFT_OP_AND && op <= WEFT_OP_SHIFT_RIGHT) || (op >= WEFT_OP_INT_EQ && op < WEFT_OP_INT_EQ + 6))
        return "00";
    if (op >= WEFT_OP_DOUBLE_EQ && op < WEFT_OP_DOUBLE_EQ + 6)
        return "11";
    return op >= WEFT_OP_STRING_EQ && op < WEFT_OP_STRING_EQ + 6 ? "22" : NULL;
}

/* Each operator on each pair of kinds: accepted exactly when they are its operands' (followed by what makes an integer of it). */
static void refuses_wrong_kinds(void)
{
    for (uint32_t op = WEFT_OP_INT_TO_DOUBLE; op < WEFT_OP_PREFIX_EQ; op++) {
        if (!wants(op))
            continue;
        for (int kinds = 0; kinds < 9; kinds++) {
            const char *w = wants(op);
            struct program p = program_begin();
            put_value(&p, kinds / 3);
            put_value(&p, kinds % 3);
            OP(&p, op);
            const int one = !w[1], good = w[one ? 0 : 1] - '0' == kinds % 3 && (one || w[0] - '0' == kinds / 3);
            const int doubles = op == WEFT_OP_INT_TO_DOUBLE || op == WEFT_OP_NEGATE_DOUBLE;
            if (doubles)
                OP(&p, WEFT_OP_BOOL_DOUBLE);
            if (one) /* only with an integer below */
                OP(&p, WEFT_OP_AND);
            RETURN(&p);
            CHECK_EQUAL(verify(&p), good && (!one || kinds / 3 == 0) ? 0 : EINVAL);
        }
        struct program alone = program_begin();
        OP(&alone, op);
        refuse(&alone);
    }
}

static void refuses_unknown_ops(void)
{
    static const uint8_t known[][2] = { { 0, 25 }, { 32, 37 }, { 40, 45 }, { 48, 53 }, { 56, 61 }, { 64, 65 }, { 80, 81 } };
    for (uint32_t op = 0; op < 256; op++) {
        int is_known = 0;
        for (int i = 0; i < 7; i++)
            is_known |= op >= known[i][0] && op <= known[i][1];
        struct program p = program_begin();
        INT(&p, 1);
        OP(&p, op);
        if (!is_known)
            refuse(&p);
    }
}

static void refuses_stacks(void)
{
    for (int depth = 16; depth <= 17; depth++) {
        struct program p = program_begin();
        for (int i = 0; i < depth; i++)
            INT(&p, i);
        for (int i = 1; i < depth; i++)
            OP(&p, WEFT_OP_OR);
        RETURN(&p);
        CHECK_EQUAL(verify(&p), depth == 16 ? 0 : EINVAL);
    }
    struct program p = program_begin(); /* nothing to return */
    refuse(&p);
    p = program_begin(); /* two values left */
    INT(&p, 1);
    INT(&p, 1);
    refuse(&p);
    p = program_begin(); /* no integer */
    DOUBLE(&p, 1);
    refuse(&p);
    p = program_begin(); /* RETURN in the middle */
    INT(&p, 1);
    OP(&p, WEFT_OP_RETURN);
    INT(&p, 1);
    refuse(&p);
    for (int kind = 0; kind < 3; kind++) { /* I x -> D x */
        p = program_begin();
        put_value(&p, kind);
        INT(&p, 1);
        OP(&p, WEFT_OP_INT_TO_DOUBLE_BELOW);
        OP(&p, WEFT_OP_INT_TO_DOUBLE);
        OP(&p, WEFT_OP_DOUBLE_EQ);
        RETURN(&p);
        CHECK_EQUAL(verify(&p), kind == 0 ? 0 : EINVAL);
    }
    p = program_begin();
    INT(&p, 1);
    TEXT(&p, WEFT_OP_PUSH_STRING, "x");
    OP(&p, WEFT_OP_INT_TO_DOUBLE_BELOW);
    TEXT(&p, WEFT_OP_GLOB_EQ, "x");
    refuse(&p);
}

static int jump_to(uint32_t target)
{
    struct program p = program_begin();
    INT(&p, 1);                                /* 0 */
    WORD(&p, WEFT_OP_JUMP_IF_FALSE, target);   /* 9 */
    INT(&p, 1);                                /* 12 */
    OP(&p, WEFT_OP_NOT);                       /* 21 */
    INT(&p, 1);                                /* 22: another depth */
    OP(&p, WEFT_OP_AND);                       /* 31 */
    RETURN(&p);                                /* 32 */
    return verify(&p);
}

static void refuses_jumps(void)
{
    for (uint32_t target = 0; target < 40; target++)
        CHECK_EQUAL(jump_to(target), target == 21 || target == 22 || target == 32 ? 0 : EINVAL);
    CHECK_EQUAL(jump_to(65535), EINVAL);
    struct program p = program_begin(); /* two jumps to one place with different stacks, over it */
    INT(&p, 1);
    WORD(&p, WEFT_OP_JUMP_IF_FALSE, 24);
    INT(&p, 1);
    WORD(&p, WEFT_OP_JUMP_IF_FALSE, 24);
    refuse(&p);
    p = program_begin(); /* the same depth, other kinds below the top */
    INT(&p, 1);
    INT(&p, 1);
    WORD(&p, WEFT_OP_JUMP_IF_FALSE, 21 + 1 + 9);
    OP(&p, WEFT_OP_INT_TO_DOUBLE);
    INT(&p, 1);
    OP(&p, WEFT_OP_NOT);
    OP(&p, WEFT_OP_AND);
    refuse(&p);
}

static void refuses_fields(void)
{
    static const char *const takers[FIELDS] = { "I", "I", "D", "S", "E", "S", "E", "E" };
    static const struct {
        uint32_t op;
        char name;
    } loads[] = { { WEFT_OP_FIELD_INT, 'I' }, { WEFT_OP_FIELD_DOUBLE, 'D' }, { WEFT_OP_FIELD_STRING, 'S' }, { WEFT_OP_ELEMENT_INT, 'E' } };
    for (uint32_t field = 0; field <= FIELDS; field++) {
        for (int i = 0; i < 4; i++) {
            struct program p = program_begin();
            WORD(&p, loads[i].op, field);
            if (loads[i].name == 'E')
                program_put(&p, 0, 4);
            if (loads[i].name == 'D')
                OP(&p, WEFT_OP_BOOL_DOUBLE);
            if (loads[i].name == 'S')
                TEXT(&p, WEFT_OP_GLOB_EQ, "*");
            RETURN(&p);
            CHECK_EQUAL(verify(&p), field < FIELDS && takers[field][0] == loads[i].name ? 0 : EINVAL);
        }
    }
}

static void refuses_contexts(void)
{
    for (uint32_t context = 0; context < 65536; context += context < 300 ? 1 : 4099) {
        struct program number = program_begin(), text = program_begin();
        WORD(&number, WEFT_OP_CONTEXT_INT, context);
        RETURN(&number);
        WORD(&text, WEFT_OP_CONTEXT_STRING, context);
        TEXT(&text, WEFT_OP_GLOB_EQ, "*");
        RETURN(&text);
        const int form = (int)weft_context_form((uint16_t)context);
        CHECK_EQUAL(verify(&number), form == WEFT_CONTEXT_INTEGER ? 0 : EINVAL);
        CHECK_EQUAL(verify(&text), form == WEFT_CONTEXT_TEXT ? 0 : EINVAL);
    }
    CHECK_EQUAL(weft_context_form(0), WEFT_CONTEXT_UNKNOWN);
    struct program p = program_begin();
    TEXT(&p, WEFT_OP_APP_INT, "noprovider");
    refuse(&p);
}

int main(void)
{
    seam_case("programs cut anywhere, or with something behind them", refuses_torn_programs);
    seam_case("other versions, no or too many expressions, too many bytes", refuses_headers);
    seam_case("operators on other kinds than theirs, or on nothing", refuses_wrong_kinds);
    seam_case("unknown operators", refuses_unknown_ops);
    seam_case("deep stacks, leftovers, early ends", refuses_stacks);
    seam_case("jumps backwards, outside, between instructions, with other stacks", refuses_jumps);
    seam_case("fields that are not there or of another kind", refuses_fields);
    seam_case("unknown contexts and names", refuses_contexts);
    return seam_failures ? 1 : 0;
}
