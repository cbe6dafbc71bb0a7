/* From bytecode to steps. Everything that bytecode.h says is checked here, so that running needs to check almost nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ust/context.h"
#include "ust/filter_steps.h"

enum { NOTHING, I, D, S }; /* kinds on the stack; two bits each in struct state */

enum operand { NONE, INT64, DOUBLE, FIELD, ELEMENT, CONTEXT, NAME, BYTES, TARGET };

struct shape {
    uint8_t known, operand, left, right, result, step, orders;
};

#define UNARY(a, result, step) { 1, NONE, a, NOTHING, result, step, 0 }
#define BINARY(result, step) { 1, NONE, I, I, result, step, 0 }
#define LOAD(operand, result, step) { 1, operand, NOTHING, NOTHING, result, step, 0 }
/* ==, !=, <, >, <=, >= */
#define SIX(first, operand, a, b, step)                                              \
    [first] = { 1, operand, a, b, I, step, ORDER_EQUAL },                            \
    [first + 1] = { 1, operand, a, b, I, step, ORDER_BELOW | ORDER_ABOVE | ORDER_NONE }, \
    [first + 2] = { 1, operand, a, b, I, step, ORDER_BELOW },                        \
    [first + 3] = { 1, operand, a, b, I, step, ORDER_ABOVE },                        \
    [first + 4] = { 1, operand, a, b, I, step, ORDER_BELOW | ORDER_EQUAL },          \
    [first + 5] = { 1, operand, a, b, I, step, ORDER_ABOVE | ORDER_EQUAL }

static const struct shape shapes[256] = {
    [WEFT_OP_RETURN] = UNARY(I, NOTHING, STEP_RETURN),
    [WEFT_OP_PUSH_INT] = LOAD(INT64, I, STEP_PUSH_INT),
    [WEFT_OP_PUSH_DOUBLE] = LOAD(DOUBLE, D, STEP_PUSH_DOUBLE),
    [WEFT_OP_PUSH_STRING] = LOAD(BYTES, S, STEP_PUSH_STRING),
    [WEFT_OP_FIELD_INT] = LOAD(FIELD, I, STEP_FIELD_INT),
    [WEFT_OP_FIELD_DOUBLE] = LOAD(FIELD, D, STEP_FIELD_DOUBLE),
    [WEFT_OP_FIELD_STRING] = LOAD(FIELD, S, STEP_FIELD_STRING),
    [WEFT_OP_ELEMENT_INT] = LOAD(ELEMENT, I, STEP_ELEMENT_INT),
    [WEFT_OP_CONTEXT_INT] = LOAD(CONTEXT, I, STEP_CONTEXT_INT),
    [WEFT_OP_CONTEXT_STRING] = LOAD(CONTEXT, S, STEP_CONTEXT_STRING),
    [WEFT_OP_APP_INT] = LOAD(NAME, I, STEP_APP_INT),
    [WEFT_OP_APP_DOUBLE] = LOAD(NAME, D, STEP_APP_DOUBLE),
    [WEFT_OP_APP_STRING] = LOAD(NAME, S, STEP_APP_STRING),
    [WEFT_OP_INT_TO_DOUBLE] = UNARY(I, D, STEP_INT_TO_DOUBLE),
    [WEFT_OP_INT_TO_DOUBLE_BELOW] = { 1, NONE, NOTHING, NOTHING, NOTHING, STEP_INT_TO_DOUBLE_BELOW, 0 }, /* see convert_below */
    [WEFT_OP_NEGATE_INT] = UNARY(I, I, STEP_NEGATE_INT),
    [WEFT_OP_NEGATE_DOUBLE] = UNARY(D, D, STEP_NEGATE_DOUBLE),
    [WEFT_OP_NOT] = UNARY(I, I, STEP_NOT),
    [WEFT_OP_BOOL] = UNARY(I, I, STEP_BOOL),
    [WEFT_OP_BOOL_DOUBLE] = UNARY(D, I, STEP_BOOL_DOUBLE),
    [WEFT_OP_COMPLEMENT] = UNARY(I, I, STEP_COMPLEMENT),
    [WEFT_OP_AND] = BINARY(I, STEP_AND),
    [WEFT_OP_OR] = BINARY(I, STEP_OR),
    [WEFT_OP_XOR] = BINARY(I, STEP_XOR),
    [WEFT_OP_SHIFT_LEFT] = BINARY(I, STEP_SHIFT_LEFT),
    [WEFT_OP_SHIFT_RIGHT] = BINARY(I, STEP_SHIFT_RIGHT),
    SIX(WEFT_OP_INT_EQ, NONE, I, I, STEP_COMPARE_INT),
    SIX(WEFT_OP_DOUBLE_EQ, NONE, D, D, STEP_COMPARE_DOUBLE),
    SIX(WEFT_OP_STRING_EQ, NONE, S, S, STEP_COMPARE_STRING),
    SIX(WEFT_OP_PREFIX_EQ, BYTES, S, NOTHING, STEP_PREFIX),
    [WEFT_OP_GLOB_EQ] = { 1, BYTES, S, NOTHING, I, STEP_GLOB, ORDER_EQUAL },
    [WEFT_OP_GLOB_EQ + 1] = { 1, BYTES, S, NOTHING, I, STEP_GLOB, ORDER_BELOW | ORDER_ABOVE },
    [WEFT_OP_JUMP_IF_FALSE] = { 1, TARGET, I, NOTHING, NOTHING, STEP_JUMP_IF_FALSE, 0 },
    [WEFT_OP_JUMP_IF_TRUE] = { 1, TARGET, I, NOTHING, NOTHING, STEP_JUMP_IF_TRUE, 0 },
};

/* What lies on the stack: two bits a value, the deepest one lowest. */
struct state {
    uint32_t depth;
    uint32_t kinds;
};

/* What is known of one byte of an expression. */
struct mark {
    uint8_t reached; /* by a jump; `state` is what it brings */
    uint8_t starts;  /* an instruction, which became `step` */
    struct state state;
    uint32_t step;
};

struct verifier {
    const uint8_t *code; /* of one expression, in the filter's copy */
    size_t length, at;
    struct state state;
    struct mark *marks;
    const struct weft_field *fields;
    struct weft_filter *filter;
    uint32_t steps;     /* made so far, of all expressions */
    uint32_t first;     /* of this expression */
};

static int push(struct state *s, uint32_t kind)
{
    if (s->depth == WEFT_BYTECODE_STACK)
        return EINVAL;
    s->kinds |= kind << 2 * s->depth++;
    return 0;
}

static int pop(struct state *s, uint32_t kind)
{
    if (s->depth == 0 || (s->kinds >> 2 * (s->depth - 1) & 3) != kind)
        return EINVAL;
    s->depth--;
    s->kinds &= ~(3u << 2 * s->depth);
    return 0;
}

static const uint8_t *take(struct verifier *v, size_t bytes)
{
    if (bytes > v->length - v->at)
        return NULL;
    v->at += bytes;
    return v->code + v->at - bytes;
}

/* A little-endian number of so many bytes. */
static int take_number(struct verifier *v, size_t bytes, uint64_t *number)
{
    const uint8_t *from = take(v, bytes);
    *number = 0;
    for (size_t i = 0; from && i < bytes; i++)
        *number |= (uint64_t)from[i] << 8 * i;
    return from ? 0 : EINVAL;
}

static int fits(const struct weft_field *f, uint8_t kind)
{
    const int many = f->kind == WEFT_KIND_ARRAY || f->kind == WEFT_KIND_SEQUENCE;
    switch (kind) {
    case STEP_FIELD_INT:
        return f->kind == WEFT_KIND_INTEGER || f->kind == WEFT_KIND_ENUM;
    case STEP_FIELD_DOUBLE:
        return f->kind == WEFT_KIND_FLOAT;
    case STEP_FIELD_STRING:
        return f->kind == WEFT_KIND_STRING || (many && f->encoding);
    default: /* what lies behind the NUL of a text is not there to be read */
        return many && !f->encoding;
    }
}

static int take_field(struct verifier *v, struct weft_step *s)
{
    uint64_t field, index = 0;
    if (take_number(v, 2, &field) || (s->kind == STEP_ELEMENT_INT && take_number(v, 4, &index)) || field >= v->filter->field_count ||
        !fits(&v->fields[field], s->kind))
        return EINVAL;
    s->what = (uint16_t)field;
    s->quantity = (uint32_t)index;
    return 0;
}

static int take_context(struct verifier *v, struct weft_step *s)
{
    uint64_t context;
    if (take_number(v, 2, &context) ||
        weft_context_form((uint16_t)context) != (s->kind == STEP_CONTEXT_INT ? WEFT_CONTEXT_INTEGER : WEFT_CONTEXT_TEXT))
        return EINVAL;
    s->what = (uint16_t)context;
    return 0;
}

static int take_bytes(struct verifier *v, struct weft_step *s, size_t width)
{
    uint64_t length;
    s->as.bytes = take_number(v, width, &length) ? NULL : take(v, length);
    s->quantity = (uint32_t)length;
    return s->as.bytes ? 0 : EINVAL;
}

static int take_name(struct verifier *v, struct weft_step *s)
{
    if (take_bytes(v, s, 1))
        return EINVAL;
    s->as.place = weft_app_context_place((const char *)s->as.bytes, s->quantity);
    return s->as.place ? 0 : errno;
}

/* The target is noted; that an instruction starts there is seen when it has been read. */
static int take_target(struct verifier *v, struct weft_step *s)
{
    uint64_t target;
    if (take_number(v, 2, &target) || target < v->at || target >= v->length)
        return EINVAL;
    struct mark *m = &v->marks[target];
    if (m->reached && (m->state.depth != v->state.depth || m->state.kinds != v->state.kinds))
        return EINVAL;
    m->reached = 1;
    m->state = v->state;
    s->quantity = (uint32_t)target; /* made a distance by resolve_jumps */
    return 0;
}

static int take_operand(struct verifier *v, enum operand operand, struct weft_step *s)
{
    uint64_t number;
    switch (operand) {
    case NONE:
        return 0;
    case INT64:
    case DOUBLE:
        if (take_number(v, 8, &number))
            return EINVAL;
        memcpy(&s->as, &number, 8);
        return 0;
    case FIELD:
    case ELEMENT:
        return take_field(v, s);
    case CONTEXT:
        return take_context(v, s);
    case NAME:
        return take_name(v, s);
    case BYTES:
        return take_bytes(v, s, 2);
    default:
        return take_target(v, s);
    }
}

/* I x -> D x, x being I or D. */
static int convert_below(struct state *s)
{
    const uint32_t top = s->depth ? s->kinds >> 2 * (s->depth - 1) & 3 : NOTHING;
    if (top != I && top != D)
        return EINVAL;
    return pop(s, top) || pop(s, I) || push(s, D) || push(s, top) ? EINVAL : 0;
}

static int apply(struct state *s, const struct shape *shape)
{
    if (shape->step == STEP_INT_TO_DOUBLE_BELOW)
        return convert_below(s);
    if ((shape->right && pop(s, shape->right)) || (shape->left && pop(s, shape->left)))
        return EINVAL;
    return shape->result ? push(s, shape->result) : 0;
}

/* Most filters compare a field with a constant: one step instead of three, unless a jump leads in between. */
static void fuse(struct verifier *v, size_t offset)
{
    struct weft_step *s = &v->filter->steps[v->steps - 1];
    if (s->kind != STEP_COMPARE_INT || v->steps - v->first < 3 || s[-1].kind != STEP_PUSH_INT || s[-2].kind != STEP_FIELD_INT ||
        v->marks[offset].reached || v->marks[offset - 9].reached)
        return;
    s[-2].kind = STEP_FIELD_COMPARE;
    s[-2].orders = s->orders;
    s[-2].as = s[-1].as;
    v->steps -= 2;
}

static int verify_instruction(struct verifier *v)
{
    const size_t offset = v->at;
    struct mark *m = &v->marks[offset];
    const struct shape *shape = &shapes[v->code[v->at++]];
    if (m->reached && (m->state.depth != v->state.depth || m->state.kinds != v->state.kinds))
        return EINVAL;
    m->starts = 1;
    m->step = v->steps;
    if (!shape->known)
        return EINVAL;
    struct weft_step *s = &v->filter->steps[v->steps++];
    *s = (struct weft_step){ .kind = shape->step, .orders = shape->orders };
    const int status = take_operand(v, shape->operand, s) ?: apply(&v->state, shape);
    if (status)
        return status;
    /* RETURN stands at the end and nowhere else, and leaves nothing behind. */
    if ((s->kind == STEP_RETURN) != (v->at == v->length) || (s->kind == STEP_RETURN && v->state.depth))
        return EINVAL;
    fuse(v, offset);
    return 0;
}

static int resolve_jumps(struct verifier *v)
{
    for (uint32_t i = v->first; i < v->steps; i++) {
        struct weft_step *s = &v->filter->steps[i];
        if (s->kind != STEP_JUMP_IF_FALSE && s->kind != STEP_JUMP_IF_TRUE)
            continue;
        const struct mark *m = &v->marks[s->quantity];
        if (!m->starts)
            return EINVAL;
        s->quantity = m->step - i - 1;
    }
    return 0;
}

/* Comparisons that end the expression need no value on the stack. The steps behind them stay: a jump may lead there. */
static void shorten(const struct verifier *v)
{
    const uint32_t end = v->steps - 1;
    for (uint32_t i = v->first; i < end; i++) {
        struct weft_step *s = &v->filter->steps[i];
        if (s->kind != STEP_FIELD_COMPARE)
            continue;
        if (i + 1 == end)
            s->kind = STEP_DECIDE;
        else if (s[1].kind == STEP_JUMP_IF_FALSE && i + 1 + s[1].quantity + 1 == end)
            s->kind = STEP_REQUIRE;
    }
}

static int verify_expression(struct verifier *v)
{
    v->at = 0;
    v->state = (struct state){ 0, 0 };
    v->first = v->steps;
    memset(v->marks, 0, v->length * sizeof(*v->marks));
    int status = v->length ? 0 : EINVAL;
    while (status == 0 && v->at < v->length)
        status = verify_instruction(v);
    status = status ?: resolve_jumps(v);
    if (status == 0)
        shorten(v);
    return status;
}

static int verify_program(struct verifier *v)
{
    struct weft_filter *f = v->filter;
    if (f->length < 2 || f->bytes[0] != WEFT_BYTECODE_VERSION || f->bytes[1] == 0 || f->bytes[1] > WEFT_BYTECODE_EXPRESSIONS)
        return EINVAL;
    size_t at = 2;
    for (uint32_t i = 0; i < f->bytes[1]; i++) {
        if (f->length - at < 2)
            return EINVAL;
        v->length = (size_t)f->bytes[at] | (size_t)f->bytes[at + 1] << 8;
        at += 2;
        if (v->length > f->length - at)
            return EINVAL;
        v->code = f->bytes + at;
        at += v->length;
        f->first[f->expression_count++] = v->steps;
        const int status = verify_expression(v);
        if (status)
            return status;
    }
    return at == f->length ? 0 : EINVAL;
}

/* No program has more steps than bytes; as a rule it has far fewer. */
static void trim(struct weft_filter *f, uint32_t steps)
{
    struct weft_step *smaller = realloc(f->steps, steps * sizeof(*smaller));
    f->steps = smaller ?: f->steps;
}

int weft_filter_verify(const uint8_t *bytes, size_t length, const struct weft_field *fields, uint32_t field_count,
                       struct weft_filter **filter)
{
    if (length < 2 || length > WEFT_BYTECODE_MAX)
        return EINVAL;
    struct weft_filter *f = calloc(1, sizeof(*f) + length);
    struct verifier v = { .fields = fields, .filter = f, .marks = malloc(length * sizeof(*v.marks)) };
    if (f) {
        f->steps = malloc(length * sizeof(*f->steps));
        f->field_count = field_count;
        f->length = length;
        memcpy(f->bytes, bytes, length);
    }
    int status = f && f->steps && v.marks ? verify_program(&v) : ENOMEM;
    free(v.marks);
    if (status) {
        weft_filter_free(f);
        return status;
    }
    trim(f, v.steps);
    *filter = f;
    return 0;
}

void weft_filter_free(struct weft_filter *filter)
{
    if (!filter)
        return;
    free(filter->steps);
    free(filter);
}

int weft_filter_is(const struct weft_filter *filter, const uint8_t *bytes, size_t length)
{
    return filter->length == length && memcmp(filter->bytes, bytes, length) == 0;
}
