#define _GNU_SOURCE
#include "ust/filter.h"

#include <errno.h>

#include "ust/context.h"
#include "ust/filter_steps.h"
#include "ust/record.h"
#include "ust/tap.h"
#include "weft/serialize.h"

/* Ends at its first NUL, or after `length` bytes. */
struct text {
    const uint8_t *bytes;
    size_t length;
};

union slot {
    int64_t integer;
    double number;
    struct text text;
};

/* What the steps look at. */
struct event {
    const struct weft_value *values;
    void *ip;
};

static inline unsigned order_of_integers(int64_t a, int64_t b)
{
    _Static_assert(ORDER_BELOW == 1 && ORDER_EQUAL == 2 && ORDER_ABOVE == 4, "without a branch");
    return (unsigned)(a < b) | (unsigned)(a == b) << 1 | (unsigned)(a > b) << 2;
}

static unsigned order_of_doubles(double a, double b)
{
    const unsigned order = (a < b ? ORDER_BELOW : 0) | (a == b ? ORDER_EQUAL : 0) | (a > b ? ORDER_ABOVE : 0);
    return order ? order : ORDER_NONE;
}

/* 0 at the end, and behind it. */
static inline uint8_t byte_at(const struct text *t, size_t i)
{
    return i < t->length ? t->bytes[i] : 0;
}

/* Of their first `most` bytes. */
static unsigned order_of_texts(const struct text *a, const struct text *b, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        const uint8_t x = byte_at(a, i), y = byte_at(b, i);
        if (x != y)
            return x < y ? ORDER_BELOW : ORDER_ABOVE;
        if (!x)
            break;
    }
    return ORDER_EQUAL;
}

/* The pattern's character at `*at`, which is moved behind it; -1: a star that is no literal. */
static int pattern_take(const struct text *pattern, size_t *at)
{
    const uint8_t c = pattern->bytes[(*at)++];
    if (c == '*')
        return -1;
    if (c == '\\' && *at < pattern->length && (pattern->bytes[*at] == '*' || pattern->bytes[*at] == '\\'))
        return pattern->bytes[(*at)++];
    return c;
}

/* A star takes as little as it can. When the rest then fails it is the last star that takes one byte more: what those before it
 * took need not change, because the last one can take anything that they could. */
static int glob_matches(const struct text *pattern, const struct text *t)
{
    size_t p = 0, i = 0, star_p = 0, star_i = 0;
    int star = 0;
    for (;;) {
        const uint8_t c = byte_at(t, i);
        if (p == pattern->length) {
            if (!c)
                return 1;
        } else {
            size_t after = p;
            const int wanted = pattern_take(pattern, &after);
            if (wanted < 0) {
                star = 1;
                star_p = p = after;
                star_i = i;
                continue;
            }
            if (c && wanted == c) {
                p = after;
                i++;
                continue;
            }
        }
        if (!star || !byte_at(t, star_i))
            return 0;
        p = star_p;
        i = ++star_i;
    }
}

static int field_text(const struct weft_value *v, struct text *t)
{
    if (v->kind != WEFT_VALUE_STRING)
        return 0;
    *t = (struct text){ v->as.bytes, v->as.bytes ? v->length : 0 };
    return 1;
}

static int element(const struct weft_value *v, uint32_t index, int64_t *value)
{
    if (v->kind != WEFT_VALUE_ARRAY || index >= v->length || !v->as.bytes)
        return 0;
    const size_t bytes = v->element.bits / 8u;
    *value = weft_load_integer((const char *)v->as.bytes + index * bytes, bytes, v->element.flags);
    return 1;
}

/* An application's value as the step wants it; 0: missing, or of a kind that does not convert. */
static int app_value(const struct weft_step *s, union slot *slot)
{
    struct weft_context_value v;
    const int saved = errno; /* the application's callback may change it */
    weft_app_context_get(s->as.place, &v);
    errno = saved;
    const int whole = v.kind >= WEFT_CONTEXT_VALUE_INT8 && v.kind <= WEFT_CONTEXT_VALUE_UINT64;
    const int natural = whole && v.kind >= WEFT_CONTEXT_VALUE_UINT8;
    const int number = v.kind == WEFT_CONTEXT_VALUE_FLOAT || v.kind == WEFT_CONTEXT_VALUE_DOUBLE;
    switch (s->kind) {
    case STEP_APP_INT:
        slot->integer = v.as.integer;
        return whole;
    case STEP_APP_DOUBLE:
        if (whole)
            slot->number = natural ? (double)v.as.natural : (double)v.as.integer;
        else if (number)
            slot->number = v.as.number;
        return whole || number;
    default:
        if (v.kind != WEFT_CONTEXT_VALUE_STRING || !v.as.text)
            return 0;
        slot->text = (struct text){ (const uint8_t *)v.as.text, WEFT_VALUE_UNMEASURED };
        return 1;
    }
}

/* Steps that bring a value, but for the most frequent. The new top, or NULL: it is missing. */
static union slot *load(const struct weft_step *s, union slot *top, const struct event *e)
{
    const struct weft_value *field = &e->values[s->what];
    top++;
    switch (s->kind) {
    case STEP_PUSH_DOUBLE:
        top->number = s->as.number;
        return top;
    case STEP_PUSH_STRING:
        top->text = (struct text){ s->as.bytes, s->quantity };
        return top;
    case STEP_FIELD_DOUBLE:
        top->number = field->as.number;
        return field->kind == WEFT_VALUE_DOUBLE ? top : NULL;
    case STEP_FIELD_STRING:
        return field_text(field, &top->text) ? top : NULL;
    case STEP_ELEMENT_INT:
        return element(field, s->quantity, &top->integer) ? top : NULL;
    case STEP_CONTEXT_INT:
        top->integer = weft_context_integer(s->what, e->ip);
        return top;
    case STEP_CONTEXT_STRING:
        top->text = (struct text){ (const uint8_t *)weft_context_text(), WEFT_VALUE_UNMEASURED };
        return top;
    default:
        return app_value(s, top) ? top : NULL;
    }
}

/* Operators on one value, which they replace. */
static void change(const struct weft_step *s, union slot *top)
{
    switch (s->kind) {
    case STEP_INT_TO_DOUBLE:
        top->number = (double)top->integer;
        break;
    case STEP_INT_TO_DOUBLE_BELOW:
        top[-1].number = (double)top[-1].integer;
        break;
    case STEP_NEGATE_INT:
        top->integer = (int64_t)-(uint64_t)top->integer;
        break;
    case STEP_NEGATE_DOUBLE:
        top->number = -top->number;
        break;
    case STEP_NOT:
        top->integer = !top->integer;
        break;
    case STEP_BOOL:
        top->integer = !!top->integer;
        break;
    case STEP_BOOL_DOUBLE:
        top->integer = top->number != 0;
        break;
    case STEP_COMPLEMENT:
        top->integer = ~top->integer;
        break;
    case STEP_PREFIX: {
        const struct text prefix = { s->as.bytes, s->quantity };
        top->integer = (order_of_texts(&top->text, &prefix, s->quantity) & s->orders) != 0;
        break;
    }
    default: {
        const struct text pattern = { s->as.bytes, s->quantity };
        top->integer = ((glob_matches(&pattern, &top->text) ? ORDER_EQUAL : ORDER_BELOW) & s->orders) != 0;
        break;
    }
    }
}

/* Operators on two values, which one takes the place of. The new top, or NULL: a shift by a count that there is none of. */
static union slot *combine(const struct weft_step *s, union slot *top)
{
    const union slot b = *top--;
    switch (s->kind) {
    case STEP_COMPARE_DOUBLE:
        top->integer = (order_of_doubles(top->number, b.number) & s->orders) != 0;
        return top;
    case STEP_COMPARE_STRING:
        top->integer = (order_of_texts(&top->text, &b.text, SIZE_MAX) & s->orders) != 0;
        return top;
    case STEP_AND:
        top->integer &= b.integer;
        return top;
    case STEP_OR:
        top->integer |= b.integer;
        return top;
    case STEP_XOR:
        top->integer ^= b.integer;
        return top;
    }
    if (b.integer < 0 || b.integer > 63)
        return NULL;
    const uint64_t a = (uint64_t)top->integer;
    top->integer = (int64_t)(s->kind == STEP_SHIFT_LEFT ? a << b.integer : a >> b.integer);
    return top;
}

static union slot *rare(const struct weft_step *s, union slot *top, const struct event *e)
{
    if (s->kind <= STEP_PUSH_STRING || (s->kind >= STEP_FIELD_DOUBLE && s->kind <= STEP_APP_STRING))
        return load(s, top, e);
    if (s->kind >= STEP_PREFIX && s->kind <= STEP_COMPLEMENT) {
        change(s, top);
        return top;
    }
    return combine(s, top);
}

/* A field against a constant; a missing value is false as well, where that ends the expression. */
static inline __attribute__((always_inline)) int field_holds(const struct weft_step *s, const struct weft_value *values)
{
    const struct weft_value *field = &values[s->what];
    return field->kind == WEFT_VALUE_INT && (order_of_integers(field->as.integer, s->as.integer) & s->orders) != 0;
}

static __attribute__((noinline)) int is_true(const struct weft_step *s, const struct event *e)
{
    union slot stack[1 + WEFT_BYTECODE_STACK]; /* the first one lies below an empty stack */
    union slot *top = stack;
    for (;; s++) {
        const struct weft_value *field = &e->values[s->what];
        switch (s->kind) {
        case STEP_RETURN:
            return top->integer != 0;
        case STEP_JUMP_IF_FALSE:
            if (top->integer)
                top--;
            else
                s += s->quantity;
            break;
        case STEP_JUMP_IF_TRUE:
            if (!top->integer)
                top--;
            else
                s += s->quantity;
            break;
        case STEP_PUSH_INT:
            (++top)->integer = s->as.integer;
            break;
        case STEP_FIELD_INT:
            if (field->kind != WEFT_VALUE_INT)
                return 0;
            (++top)->integer = field->as.integer;
            break;
        case STEP_FIELD_COMPARE:
            if (field->kind != WEFT_VALUE_INT)
                return 0;
            (++top)->integer = (order_of_integers(field->as.integer, s->as.integer) & s->orders) != 0;
            break;
        case STEP_REQUIRE:
            if (!field_holds(s, e->values))
                return 0;
            s++;
            break;
        case STEP_DECIDE:
            return field_holds(s, e->values);
        case STEP_COMPARE_INT:
            top--;
            top->integer = (order_of_integers(top->integer, top[1].integer) & s->orders) != 0;
            break;
        default:
            top = rare(s, top, e);
            if (!top)
                return 0;
        }
    }
}

int weft_filter_run(const struct weft_filter *filter, const struct weft_value *values, uint32_t count, void *ip)
{
    const struct event e = { values, ip };
    if (count < filter->field_count)
        return 0;
    for (uint32_t i = 0; i < filter->expression_count; i++) {
        /* Most expressions are fields compared with constants, joined by &&: these need no stack. */
        const struct weft_step *s = filter->steps + filter->first[i];
        while (s->kind == STEP_REQUIRE && field_holds(s, values))
            s += 2;
        if (s->kind == STEP_DECIDE ? field_holds(s, values) : s->kind != STEP_REQUIRE && is_true(s, &e))
            return 1;
    }
    return 0;
}

int weft_evaluate(struct weft_sink *sink, const struct weft_value *values, uint32_t count, void *ip)
{
    struct weft_tap *tap = __atomic_load_n(&((struct weft_target *)sink)->tap, __ATOMIC_ACQUIRE);
    if (tap) {
        if (__atomic_load_n(&sink->on, __ATOMIC_ACQUIRE))
            tap->hit(tap, values, count, ip);
        return 0;
    }
    /* NULL: the filter was taken away after the probe had looked. */
    const struct weft_filter *filter = __atomic_load_n(&((struct weft_target *)sink)->filter, __ATOMIC_ACQUIRE);
    return filter ? weft_filter_run(filter, values, count, ip) : 1;
}
