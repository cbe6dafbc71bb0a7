/* Filters alone: what each operator makes of values. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>

#include "ust/app_context.h"
#include "ust/context.h"
#include "ust/filter.h"
#include "ust/test_bytecode.h"
#include "ust/test_fields.h"
#include "ust/test_seam.h"
#include "ust/wire.h"
#include "weft/context.h"
#include "weft/serialize.h"

static struct weft_value values[FIELDS];
static const char *const ip = "ip";

static void fill(int64_t a, int64_t b, double x, const char *name)
{
    static const int16_t numbers[] = { 7, -8, 9 };
    static const uint8_t network[] = { 0x01, 0x02, 0xff, 0xfe };
    static const uint64_t queue[] = { 1, UINT64_MAX };
    weft_value_integer(&values[A], &a, 8, WEFT_INT_SIGNED);
    weft_value_integer(&values[B], &b, 8, WEFT_INT_SIGNED);
    weft_value_double(&values[X], x);
    weft_value_text(&values[NAME], name, WEFT_VALUE_UNMEASURED);
    weft_value_array(&values[NUMBERS], numbers, 3, 16, WEFT_INT_SIGNED);
    weft_value_text(&values[LABEL], "fourth", 4);
    weft_value_array(&values[QUEUE], queue, 2, 64, 0);
    weft_value_array(&values[NETWORK], network, 2, 16, WEFT_INT_REVERSE);
}

/* -1: refused. */
static int run(const struct program *p)
{
    struct weft_filter *filter;
    if (weft_filter_verify(p->bytes, p->length, fields, FIELDS, &filter))
        return -1;
    const int kept = weft_filter_run(filter, values, FIELDS, (void *)(uintptr_t)ip);
    weft_filter_free(filter);
    return kept;
}

#define RESULT(p, wanted)             \
    do {                              \
        RETURN(&(p));                 \
        CHECK_EQUAL(run(&(p)), wanted); \
    } while (0)

static int holds(int order, int operator)
{
    const int all[] = { order == 0, order != 0, order < 0, order > 0, order <= 0, order >= 0 };
    return all[operator];
}

static int compare_constants(uint32_t op, int64_t a, int64_t b)
{
    struct program p = program_begin();
    INT(&p, a);
    INT(&p, b);
    OP(&p, op);
    RETURN(&p);
    return run(&p);
}

static int compare_doubles(uint32_t op, double a, double b)
{
    struct program p = program_begin();
    DOUBLE(&p, a);
    DOUBLE(&p, b);
    OP(&p, op);
    RETURN(&p);
    return run(&p);
}

static void numbers_compare(void)
{
    static const int64_t some[] = { INT64_MIN, -1, 0, 1, 100, INT64_MAX };
    for (int i = 0; i < 36; i++) {
        const int64_t a = some[i / 6], b = some[i % 6];
        fill(a, 0, 0, "");
        for (int o = EQ; o <= GE; o++) {
            struct program fused = program_begin();
            COMPARE(&fused, A, (uint32_t)o, b);
            const int wanted = holds((a > b) - (a < b), o);
            RESULT(fused, wanted);
            CHECK_EQUAL(compare_constants(WEFT_OP_INT_EQ + (uint32_t)o, a, b), wanted);
            CHECK_EQUAL(compare_doubles(WEFT_OP_DOUBLE_EQ + (uint32_t)o, (double)a, (double)b), wanted);
            CHECK_EQUAL(compare_doubles(WEFT_OP_DOUBLE_EQ + (uint32_t)o, (double)a, NAN), o == NE);
        }
    }
}

static int text_against(const char *name, uint32_t op, const char *literal)
{
    struct program p = program_begin();
    fill(0, 0, 0, name);
    WORD(&p, WEFT_OP_FIELD_STRING, NAME);
    TEXT(&p, op < WEFT_OP_PREFIX_EQ ? WEFT_OP_PUSH_STRING : op, literal);
    if (op < WEFT_OP_PREFIX_EQ)
        OP(&p, op);
    RETURN(&p);
    return run(&p);
}

static void texts_compare(void)
{
    static const char *const some[] = { "", "a", "ab", "abc", "b", "\xc3\xa4", "\x7f" };
    for (int i = 0; i < 49; i++) {
        const char *a = some[i / 7], *b = some[i % 7];
        for (int o = EQ; o <= GE; o++) {
            CHECK_EQUAL(text_against(a, WEFT_OP_STRING_EQ + (uint32_t)o, b), holds(strcmp(a, b), o));
            CHECK_EQUAL(text_against(a, WEFT_OP_PREFIX_EQ + (uint32_t)o, b), holds(strncmp(a, b, strlen(b)), o));
        }
    }
    CHECK_EQUAL(text_against(NULL, WEFT_OP_STRING_EQ, "(null)"), 1);
    /* An array of text ends where it ends, without any NUL. */
    struct program p = program_begin();
    WORD(&p, WEFT_OP_FIELD_STRING, LABEL);
    TEXT(&p, WEFT_OP_PUSH_STRING, "four");
    OP(&p, WEFT_OP_STRING_EQ);
    RESULT(p, 1);
}

static void patterns_match(void)
{
    static const struct {
        const char *pattern, *text;
        int matches;
    } all[] = {
        { "", "", 1 }, { "", "a", 0 }, { "*", "", 1 }, { "*", "abc", 1 }, { "**", "abc", 1 }, { "a*c", "abc", 1 }, { "a*c", "ac", 1 },
        { "a*c", "abcd", 0 }, { "*c", "abcabc", 1 }, { "*b*", "abc", 1 }, { "*x*", "abc", 0 }, { "a*b*c", "aXbYbZc", 1 },
        { "a*b*c", "aXcYb", 0 }, { "abc", "ab", 0 }, { "ab", "abc", 0 }, { "a\\*", "a*", 1 }, { "a\\*", "ab", 0 },
        { "a\\\\*", "a\\b", 1 }, { "a\\b", "a\\b", 1 }, { "a\\", "a\\", 1 }, { "*aab", "aaaaaaab", 1 }, { "*\xc3\xa4*", "\xc3\xa4", 1 },
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        CHECK_EQUAL(text_against(all[i].text, WEFT_OP_GLOB_EQ, all[i].pattern), all[i].matches);
        CHECK_EQUAL(text_against(all[i].text, WEFT_OP_GLOB_EQ + 1, all[i].pattern), !all[i].matches);
        if (seam_failed_here)
            printf("# pattern %s, text %s\n", all[i].pattern, all[i].text);
    }
}

static int64_t shift(uint32_t op, int64_t a, int64_t count, int64_t wanted)
{
    struct program p = program_begin();
    INT(&p, a);
    INT(&p, count);
    OP(&p, op);
    INT(&p, wanted);
    OP(&p, WEFT_OP_INT_EQ);
    RETURN(&p);
    return run(&p);
}

static int changed(uint32_t op, int64_t a, int64_t wanted)
{
    struct program p = program_begin();
    INT(&p, a);
    OP(&p, op);
    INT(&p, wanted);
    OP(&p, WEFT_OP_INT_EQ);
    RETURN(&p);
    return run(&p);
}

static void arithmetic(void)
{
    CHECK_EQUAL(shift(WEFT_OP_AND, 12, 10, 8), 1);
    CHECK_EQUAL(shift(WEFT_OP_OR, 12, 10, 14), 1);
    CHECK_EQUAL(shift(WEFT_OP_XOR, 12, 10, 6), 1);
    CHECK_EQUAL(shift(WEFT_OP_SHIFT_LEFT, 1, 63, INT64_MIN), 1);
    CHECK_EQUAL(shift(WEFT_OP_SHIFT_RIGHT, -1, 60, 15), 1);
    CHECK_EQUAL(shift(WEFT_OP_SHIFT_RIGHT, -1, 0, -1), 1);
    CHECK_EQUAL(changed(WEFT_OP_NEGATE_INT, 5, -5), 1);
    CHECK_EQUAL(changed(WEFT_OP_NEGATE_INT, INT64_MIN, INT64_MIN), 1);
    CHECK_EQUAL(changed(WEFT_OP_NOT, 0, 1), 1);
    CHECK_EQUAL(changed(WEFT_OP_NOT, 7, 0), 1);
    CHECK_EQUAL(changed(WEFT_OP_BOOL, -7, 1), 1);
    CHECK_EQUAL(changed(WEFT_OP_BOOL, 0, 0), 1);
    CHECK_EQUAL(changed(WEFT_OP_COMPLEMENT, 0, -1), 1);
    struct program p = program_begin(); /* -(double)3 == -3.0, both ways of converting */
    INT(&p, 3);
    DOUBLE(&p, 3);
    OP(&p, WEFT_OP_NEGATE_DOUBLE);
    OP(&p, WEFT_OP_INT_TO_DOUBLE_BELOW);
    OP(&p, WEFT_OP_DOUBLE_EQ + NE);
    INT(&p, 3);
    OP(&p, WEFT_OP_INT_TO_DOUBLE);
    OP(&p, WEFT_OP_BOOL_DOUBLE);
    OP(&p, WEFT_OP_AND);
    INT(&p, 2);
    INT(&p, 1);
    OP(&p, WEFT_OP_INT_TO_DOUBLE_BELOW);
    OP(&p, WEFT_OP_INT_TO_DOUBLE);
    OP(&p, WEFT_OP_DOUBLE_EQ + GT);
    OP(&p, WEFT_OP_AND);
    RESULT(p, 1);
}

/* (a == 1) OP (b == 1), compiled as && and || are. */
static struct program both(uint32_t jump)
{
    struct program p = program_begin();
    COMPARE(&p, A, EQ, 1);
    WORD(&p, jump, program_here(&p) + 3 + 13);
    COMPARE(&p, B, EQ, 1);
    RETURN(&p);
    return p;
}

/* ((a == 1) INNER (b == 1)) OUTER (a != b): the first jump leads to the second. */
static struct program nested(uint32_t inner, uint32_t outer)
{
    struct program p = program_begin();
    COMPARE(&p, A, EQ, 1);
    WORD(&p, inner, program_here(&p) + 3 + 13);
    COMPARE(&p, B, EQ, 1);
    WORD(&p, outer, program_here(&p) + 3 + 7);
    WORD(&p, WEFT_OP_FIELD_INT, A);
    WORD(&p, WEFT_OP_FIELD_INT, B);
    OP(&p, WEFT_OP_INT_EQ + NE);
    p.bytes[p.expression + 2 + 13 + 3 + 13 + 1] = (uint8_t)program_here(&p);
    RETURN(&p);
    return p;
}

static void short_circuit(void)
{
    enum { F = WEFT_OP_JUMP_IF_FALSE, T = WEFT_OP_JUMP_IF_TRUE };
    const struct program and = both(F), or = both(T), and_and = nested(F, F), and_or = nested(F, T), or_and = nested(T, F),
                         or_or = nested(T, T);
    for (int i = 0; i < 4; i++) {
        const int a = i & 1, b = i >> 1;
        fill(a, b, 0, "");
        CHECK_EQUAL(run(&and), a && b);
        CHECK_EQUAL(run(&or), a || b);
        CHECK_EQUAL(run(&and_and), (a && b) && a != b);
        CHECK_EQUAL(run(&and_or), (a && b) || a != b);
        CHECK_EQUAL(run(&or_and), (a || b) && a != b);
        CHECK_EQUAL(run(&or_or), (a || b) || a != b);
    }
    struct program p = program_begin(); /* what is passed over cannot be missing */
    INT(&p, 1);
    WORD(&p, WEFT_OP_JUMP_IF_TRUE, program_here(&p) + 3 + 7);
    ELEMENT_AT(&p, NUMBERS, 99);
    RESULT(p, 1);
    /* A jump may lead to the middle of what would be one step. */
    struct program q = program_begin();
    INT(&q, 0);
    WORD(&q, WEFT_OP_JUMP_IF_FALSE, program_here(&q) + 3 + 3);
    WORD(&q, WEFT_OP_FIELD_INT, A);
    INT(&q, 0);
    OP(&q, WEFT_OP_INT_EQ);
    RESULT(q, 1);
}

static void expressions_are_alternatives(void)
{
    struct program p = program_begin();
    ELEMENT_AT(&p, NUMBERS, 3); /* missing: only this expression is false */
    RETURN(&p);
    program_more(&p);
    COMPARE(&p, A, EQ, 5);
    RETURN(&p);
    fill(5, 0, 0, "");
    CHECK_EQUAL(run(&p), 1);
    fill(6, 0, 0, "");
    CHECK_EQUAL(run(&p), 0);
}

static int element_is(uint32_t field, uint32_t index, int64_t wanted)
{
    struct program p = program_begin();
    ELEMENT_AT(&p, field, index);
    INT(&p, wanted);
    OP(&p, WEFT_OP_INT_EQ);
    RETURN(&p);
    return run(&p);
}

static void elements(void)
{
    fill(0, 0, 0, "");
    CHECK_EQUAL(element_is(NUMBERS, 0, 7), 1);
    CHECK_EQUAL(element_is(NUMBERS, 1, -8), 1);
    CHECK_EQUAL(element_is(NUMBERS, 3, 0), 0);
    CHECK_EQUAL(element_is(QUEUE, 1, -1), 1);
    CHECK_EQUAL(element_is(QUEUE, UINT32_MAX, 0), 0);
    CHECK_EQUAL(element_is(NETWORK, 0, 0x0102), 1);
    CHECK_EQUAL(element_is(NETWORK, 1, 0xfffe), 1);
}

static void missing_is_false(void)
{
    struct program p = program_begin();
    ELEMENT_AT(&p, NUMBERS, 3);
    OP(&p, WEFT_OP_NOT);
    RESULT(p, 0);
    CHECK_EQUAL(shift(WEFT_OP_SHIFT_LEFT, 1, 64, 0), 0);
    CHECK_EQUAL(shift(WEFT_OP_SHIFT_RIGHT, 1, -1, 0), 0);
    /* Values of another description than the one that was verified. */
    struct weft_filter *filter;
    struct program q = program_begin();
    WORD(&q, WEFT_OP_FIELD_STRING, NAME);
    TEXT(&q, WEFT_OP_GLOB_EQ, "*");
    RETURN(&q);
    CHECK_EQUAL(weft_filter_verify(q.bytes, q.length, fields, FIELDS, &filter), 0);
    CHECK_EQUAL(weft_filter_run(filter, values, FIELDS, NULL), 1);
    CHECK_EQUAL(weft_filter_run(filter, values, FIELDS - 1, NULL), 0);
    values[NAME] = values[A];
    CHECK_EQUAL(weft_filter_run(filter, values, FIELDS, NULL), 0);
    weft_filter_free(filter);
}

static int context_is(uint16_t context, int64_t wanted)
{
    struct program p = program_begin();
    WORD(&p, WEFT_OP_CONTEXT_INT, context);
    INT(&p, wanted);
    OP(&p, WEFT_OP_INT_EQ);
    RETURN(&p);
    return run(&p);
}

static void contexts(void)
{
    weft_context_init();
    CHECK_EQUAL(context_is(WEFT_CONTEXT_VPID, getpid()), 1);
    CHECK_EQUAL(context_is(WEFT_CONTEXT_VTID, gettid()), 1);
    CHECK_EQUAL(context_is(WEFT_CONTEXT_PTHREAD_ID, (int64_t)pthread_self()), 1);
    CHECK_EQUAL(context_is(WEFT_CONTEXT_IP, (int64_t)(intptr_t)ip), 1);
    CHECK_EQUAL(context_is(WEFT_CONTEXT_CPU_ID, -1), 0);
    CHECK_EQUAL(context_is(WEFT_CONTEXT_PROCNAME, 0), -1);
    struct program p = program_begin();
    WORD(&p, WEFT_OP_CONTEXT_STRING, WEFT_CONTEXT_PROCNAME);
    TEXT(&p, WEFT_OP_PREFIX_EQ, "filter_");
    RESULT(p, 1);
}

static struct weft_context_value given;

static void give(void *data, struct weft_context_value *value)
{
    (void)data;
    *value = given;
}

/* Is $app.shop:value, as `op` loads it, equal to 200 or "200"? */
static int app_is_200(uint32_t op)
{
    struct program p = program_begin();
    TEXT(&p, op, "shop:value");
    if (op == WEFT_OP_APP_INT)
        INT(&p, 200);
    else if (op == WEFT_OP_APP_DOUBLE)
        DOUBLE(&p, 200);
    else
        TEXT(&p, WEFT_OP_PUSH_STRING, "200");
    OP(&p, op == WEFT_OP_APP_INT ? WEFT_OP_INT_EQ : op == WEFT_OP_APP_DOUBLE ? WEFT_OP_DOUBLE_EQ : WEFT_OP_STRING_EQ);
    RETURN(&p);
    return run(&p);
}

static void app_contexts(void)
{
    struct weft_app_context context = WEFT_APP_CONTEXT("shop:value", give, NULL);
    CHECK_EQUAL(app_is_200(WEFT_OP_APP_INT), 0); /* nobody gives it yet */
    CHECK_EQUAL(weft_app_context_add(&context), 0);
    for (uint8_t kind = WEFT_CONTEXT_VALUE_NONE; kind <= WEFT_CONTEXT_VALUE_STRING + 1; kind++) {
        const int whole = kind >= WEFT_CONTEXT_VALUE_INT8 && kind <= WEFT_CONTEXT_VALUE_UINT64;
        const int number = kind == WEFT_CONTEXT_VALUE_FLOAT || kind == WEFT_CONTEXT_VALUE_DOUBLE;
        given.kind = kind;
        if (number)
            given.as.number = 200;
        else if (kind == WEFT_CONTEXT_VALUE_STRING)
            given.as.text = "200";
        else
            given.as.integer = 200;
        CHECK_EQUAL(app_is_200(WEFT_OP_APP_INT), whole);
        CHECK_EQUAL(app_is_200(WEFT_OP_APP_DOUBLE), whole || number);
        CHECK_EQUAL(app_is_200(WEFT_OP_APP_STRING), kind == WEFT_CONTEXT_VALUE_STRING);
    }
    given = (struct weft_context_value){ .kind = WEFT_CONTEXT_VALUE_STRING };
    CHECK_EQUAL(app_is_200(WEFT_OP_APP_STRING), 0);
    weft_app_context_remove(&context);
}

int main(void)
{
    fill(0, 0, 0, "");
    seam_case("integers and floats compare in all six ways, not-a-number included", numbers_compare);
    seam_case("strings and prefixes compare byte by byte", texts_compare);
    seam_case("patterns match with stars anywhere, and escaped ones", patterns_match);
    seam_case("bit operators, negations, conversions", arithmetic);
    seam_case("&& and || stop at what decides", short_circuit);
    seam_case("one true expression is enough", expressions_are_alternatives);
    seam_case("elements of arrays and sequences, in either byte order", elements);
    seam_case("what is missing makes its expression false, also under !", missing_is_false);
    seam_case("contexts of the running thread", contexts);
    seam_case("application contexts of every kind, converted as they may be", app_contexts);
    return seam_failures ? 1 : 0;
}
