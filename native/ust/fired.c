#include "ust/fired.h"

#include <string.h>
#include <time.h>

#include "ust/context.h"
#include "ust/wire.h"
#include "weft/serialize.h"

enum { NO_VALUE = 0, SIGNED = 1, NATURAL = 2, NUMBER = 3, TEXT = 4, ROW = 5, NATURAL_ROW = 6 }; /* kinds of wire.h */

#define NUMBER_BYTES 9u /* the most that a value takes which cannot be cut */
#define ROW_HEAD 3u     /* kind and count, or length */

/* Where the next value goes, and the room for it: each value that follows may be a number. */
struct place {
    uint8_t *at;
    size_t room;
};

static void put(struct place *p, const void *bytes, size_t length)
{
    memcpy(p->at, bytes, length);
    p->at += length;
}

static void put_kind(struct place *p, uint8_t kind)
{
    *p->at++ = kind;
}

static void put_number(struct place *p, uint8_t kind, const void *eight)
{
    put_kind(p, kind);
    put(p, eight, 8);
}

static void put_integer(struct place *p, int natural, int64_t value)
{
    put_number(p, natural ? NATURAL : SIGNED, &value);
}

/* Up to its NUL, or `most` bytes. What is cut is cut between characters. */
static void put_text(struct place *p, const char *text, size_t most)
{
    const size_t room = p->room - ROW_HEAD;
    size_t length = text ? strnlen(text, most < room ? most : room) : 0;
    if (length == room && length < most && text[length]) {
        while (length && ((uint8_t)text[length] & 0xc0) == 0x80)
            length--;
    }
    const uint16_t bytes = (uint16_t)length;
    put_kind(p, TEXT);
    put(p, &bytes, 2);
    put(p, text ? text : "", length);
}

static int64_t element(const struct weft_value *v, size_t index)
{
    const size_t bytes = v->element.bits / 8u;
    return weft_load_integer((const char *)v->as.bytes + index * bytes, bytes, v->element.flags);
}

static void put_row(struct place *p, const struct weft_value *v)
{
    const size_t room = (p->room - ROW_HEAD) / 8;
    const size_t all = v->as.bytes ? v->length : 0;
    const uint16_t count = (uint16_t)(all < room ? all : room);
    put_kind(p, v->element.flags & WEFT_INT_SIGNED ? ROW : NATURAL_ROW);
    put(p, &count, 2);
    for (size_t i = 0; i < count; i++) {
        const int64_t value = element(v, i);
        put(p, &value, 8);
    }
}

static void put_field(struct place *p, const struct weft_capture *c, const struct weft_value *v)
{
    switch (v->kind) {
    case WEFT_VALUE_INT:
        put_integer(p, c->natural, v->as.integer);
        break;
    case WEFT_VALUE_DOUBLE:
        put_number(p, NUMBER, &v->as.number);
        break;
    case WEFT_VALUE_STRING:
        put_text(p, v->as.bytes, v->length);
        break;
    case WEFT_VALUE_ARRAY:
        put_row(p, v);
        break;
    default:
        put_kind(p, NO_VALUE);
    }
}

static void put_element(struct place *p, const struct weft_capture *c, const struct weft_value *v)
{
    if (v->kind == WEFT_VALUE_ARRAY && v->as.bytes && c->index < v->length)
        put_integer(p, !(v->element.flags & WEFT_INT_SIGNED), element(v, c->index));
    else
        put_kind(p, NO_VALUE);
}

static int is_signed(uint16_t context)
{
    return context == WEFT_CONTEXT_VPID || context == WEFT_CONTEXT_VTID || context == WEFT_CONTEXT_CPU_ID;
}

static void put_context(struct place *p, const struct weft_capture *c, void *ip)
{
    if (weft_context_form(c->what) == WEFT_CONTEXT_TEXT)
        put_text(p, weft_context_text(), WEFT_PROCNAME_BYTES);
    else
        put_integer(p, !is_signed(c->what), weft_context_integer(c->what, ip));
}

static void put_app_context(struct place *p, const struct weft_capture *c)
{
    struct weft_context_value v;
    weft_app_context_get(c->place, &v);
    if (v.kind >= WEFT_CONTEXT_VALUE_INT8 && v.kind <= WEFT_CONTEXT_VALUE_UINT64)
        put_integer(p, v.kind >= WEFT_CONTEXT_VALUE_UINT8, v.as.integer);
    else if (v.kind == WEFT_CONTEXT_VALUE_FLOAT || v.kind == WEFT_CONTEXT_VALUE_DOUBLE)
        put_number(p, NUMBER, &v.as.number);
    else if (v.kind == WEFT_CONTEXT_VALUE_STRING && v.as.text)
        put_text(p, v.as.text, WEFT_VALUE_UNMEASURED);
    else
        put_kind(p, NO_VALUE);
}

/* A field that the thread brings no value of: it is very late, and the values are another object's. */
static void put_capture(struct place *p, const struct weft_capture *c, const struct weft_value *values, uint32_t count, void *ip)
{
    const int in_event = c->kind == WEFT_CAPTURE_FIELD || c->kind == WEFT_CAPTURE_ELEMENT;
    if (c->kind == WEFT_CAPTURE_UNAVAILABLE || (in_event && c->what >= count))
        put_kind(p, NO_VALUE);
    else if (c->kind == WEFT_CAPTURE_FIELD)
        put_field(p, c, &values[c->what]);
    else if (c->kind == WEFT_CAPTURE_ELEMENT)
        put_element(p, c, &values[c->what]);
    else if (c->kind == WEFT_CAPTURE_CONTEXT)
        put_context(p, c, ip);
    else
        put_app_context(p, c);
}

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

size_t weft_fired_write(uint8_t message[WEFT_FIRED_MAX], const struct weft_fired *fired, const struct weft_value *values,
                        uint32_t count, void *ip)
{
    _Static_assert(sizeof(struct weft_wire_header) + 22 + WEFT_CAPTURES_MAX * NUMBER_BYTES <= WEFT_FIRED_MAX, "numbers always fit");
    struct weft_wire_header header = { WEFT_WIRE_FIRED, 0, 0 };
    const uint64_t now = monotonic_ns();
    struct place p = { message + sizeof(header), 0 };
    put(&p, &fired->watch, 4);
    put(&p, &fired->point, 4);
    put(&p, &now, 8);
    put(&p, &fired->discarded, 4);
    put(&p, &fired->capture_count, 2);
    for (uint32_t i = 0; i < fired->capture_count; i++) {
        p.room = (size_t)(message + WEFT_FIRED_MAX - p.at) - (fired->capture_count - i - 1u) * NUMBER_BYTES;
        put_capture(&p, &fired->captures[i], values, count, ip);
    }
    header.length = (uint32_t)(p.at - message);
    memcpy(message, &header, sizeof(header));
    return header.length;
}
