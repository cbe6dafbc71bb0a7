#define _GNU_SOURCE
#include "fake_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weft/serialize.h"

struct line {
    char text[4096];
    size_t length;
    const unsigned char *at; /* what is not decoded yet */
};

static void put(struct line *l, const char *text)
{
    const size_t room = sizeof(l->text) - 1 - l->length, n = strnlen(text, room);
    memcpy(l->text + l->length, text, n);
    l->length += n;
}

static void put_number(struct line *l, const char *format, unsigned long long value)
{
    char digits[32];
    snprintf(digits, sizeof(digits), format, value);
    put(l, digits);
}

static uint64_t take(struct line *l, const struct weft_integer_type *t)
{
    const unsigned bytes = t->bits / 8;
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        const unsigned from = t->flags & WEFT_INT_REVERSE ? bytes - 1 - i : i;
        value |= (uint64_t)l->at[from] << (8 * i);
    }
    l->at += bytes;
    if ((t->flags & WEFT_INT_SIGNED) && bytes < 8 && (value >> (t->bits - 1)))
        value |= ~(uint64_t)0 << t->bits;
    return value;
}

static void put_integer(struct line *l, const struct weft_integer_type *t)
{
    const uint64_t value = take(l, t);
    put_number(l, t->base == 16 ? "0x%llx" : t->flags & WEFT_INT_SIGNED ? "%lld" : "%llu", value);
}

static void put_string(struct line *l)
{
    put(l, "\"");
    put(l, (const char *)l->at);
    put(l, "\"");
    l->at += strlen((const char *)l->at) + 1;
}

static void put_elements(struct line *l, const struct weft_field *f, uint64_t count)
{
    put(l, "[");
    for (uint64_t i = 0; i < count; i++) {
        put(l, " ");
        put_integer(l, &f->integer);
    }
    put(l, " ]");
}

static void put_field(struct line *l, const struct weft_field *f)
{
    put(l, f->name);
    put(l, " = ");
    if (f->kind == WEFT_KIND_STRING)
        put_string(l);
    else if (f->kind == WEFT_KIND_ARRAY)
        put_elements(l, f, f->length);
    else if (f->kind == WEFT_KIND_SEQUENCE)
        put_elements(l, f, take(l, &f->length_type));
    else
        put_integer(l, &f->integer);
}

void fake_text_write(int fd, const struct weft_event *event, const char *payload, size_t length, const void *ip)
{
    struct line l = { .length = 0, .at = (const unsigned char *)payload };
    const char *separator = " ";
    put(&l, event->provider);
    put(&l, ":");
    put(&l, event->name);
    put(&l, " {");
    for (uint32_t i = 0; i < event->field_count; i++) {
        if (event->fields[i].flags & WEFT_FIELD_NOWRITE)
            continue;
        put(&l, separator);
        put_field(&l, &event->fields[i]);
        separator = ", ";
    }
    put(&l, l.at == (const unsigned char *)payload + length ? " } ip=" : " } WRONG LENGTH ip=");
    put_number(&l, "0x%llx", (unsigned long long)(uintptr_t)ip);
    l.text[l.length++] = '\n';
    if (write(fd, l.text, l.length) < 0)
        _exit(99);
}

static void put_value(struct line *l, const struct weft_value *v)
{
    char text[64];
    switch (v->kind) {
    case WEFT_VALUE_INT:
        put_number(l, "%lld", (unsigned long long)v->as.integer);
        break;
    case WEFT_VALUE_DOUBLE:
        snprintf(text, sizeof(text), "%g", v->as.number);
        put(l, text);
        break;
    case WEFT_VALUE_STRING:
        snprintf(text, sizeof(text), "\"%.*s\"", v->length < 32 ? (int)v->length : 32, (const char *)v->as.bytes);
        put(l, text);
        break;
    default:
        put(l, "[");
        for (size_t i = 0; i < v->length; i++) {
            const size_t bytes = v->element.bits / 8u;
            put(l, " ");
            put_number(l, "%lld", (unsigned long long)weft_load_integer((const char *)v->as.bytes + i * bytes, bytes, v->element.flags));
        }
        put(l, " ]");
    }
}

void fake_text_values(char *text, size_t size, const struct weft_value *values, uint32_t count)
{
    struct line l = { .length = 0 };
    for (uint32_t i = 0; i < count; i++) {
        put(&l, i ? " " : "");
        put_value(&l, &values[i]);
    }
    l.text[l.length] = 0;
    snprintf(text, size, "%s", l.text);
}
