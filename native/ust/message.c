#include "ust/message.h"

#include <string.h>

struct weft_writer weft_message_begin(uint8_t *buffer, enum weft_wire_type type)
{
    struct weft_writer w = { buffer, WEFT_WIRE_MAX, 0, 0 };
    const struct weft_wire_header header = { (uint16_t)type, 0, 0 };
    weft_put(&w, &header, sizeof(header));
    return w;
}

void weft_put(struct weft_writer *w, const void *bytes, size_t length)
{
    if (length > w->capacity - w->used) {
        w->overflow = 1;
        return;
    }
    memcpy(w->bytes + w->used, bytes, length);
    w->used += length;
}

void weft_put_u8(struct weft_writer *w, uint8_t value)
{
    weft_put(w, &value, 1);
}

void weft_put_u16(struct weft_writer *w, uint16_t value)
{
    weft_put(w, &value, 2);
}

void weft_put_u32(struct weft_writer *w, uint32_t value)
{
    weft_put(w, &value, 4);
}

void weft_put_string(struct weft_writer *w, const char *text)
{
    const size_t length = text ? strlen(text) : 0;
    if (length > UINT16_MAX) {
        w->overflow = 1;
        return;
    }
    weft_put_u16(w, (uint16_t)length);
    if (length)
        weft_put(w, text, length);
}

size_t weft_message_end(struct weft_writer *w)
{
    if (w->overflow)
        return 0;
    const uint32_t length = (uint32_t)w->used;
    memcpy(w->bytes + offsetof(struct weft_wire_header, length), &length, 4);
    return w->used;
}

static void put_integer(struct weft_writer *w, const struct weft_integer_type *type)
{
    weft_put_u8(w, type->bits);
    weft_put_u8(w, type->flags);
    weft_put_u8(w, type->base);
}

static void put_enum(struct weft_writer *w, const struct weft_field *field)
{
    const struct weft_enum *e = field->enumeration;
    put_integer(w, &field->integer);
    weft_put_string(w, e->name);
    if (e->entry_count > UINT16_MAX)
        w->overflow = 1;
    weft_put_u16(w, (uint16_t)e->entry_count);
    int64_t next = 0; /* an automatic value is one more than the entry before it ends with */
    for (uint32_t i = 0; i < e->entry_count && !w->overflow; i++) {
        const int automatic = (e->entries[i].flags & WEFT_ENTRY_AUTO) != 0;
        const int64_t start = automatic ? next : e->entries[i].start, end = automatic ? next : e->entries[i].end;
        next = end + 1;
        weft_put(w, &start, 8);
        weft_put(w, &end, 8);
        weft_put_u8(w, (uint8_t)e->entries[i].flags);
        weft_put_string(w, e->entries[i].label);
    }
}

static void put_field(struct weft_writer *w, const struct weft_field *field)
{
    weft_put_string(w, field->name);
    weft_put_u8(w, field->flags);
    weft_put_u8(w, field->kind);
    switch (field->kind) {
    case WEFT_KIND_INTEGER:
        put_integer(w, &field->integer);
        break;
    case WEFT_KIND_FLOAT:
        weft_put_u8(w, field->integer.bits);
        weft_put_u8(w, field->integer.flags);
        break;
    case WEFT_KIND_STRING:
        weft_put_u8(w, field->encoding);
        break;
    case WEFT_KIND_ENUM:
        put_enum(w, field);
        break;
    case WEFT_KIND_ARRAY:
        weft_put_u32(w, field->length);
        weft_put_u8(w, field->encoding);
        put_integer(w, &field->integer);
        break;
    case WEFT_KIND_SEQUENCE:
        weft_put_string(w, field->length_name);
        put_integer(w, &field->length_type);
        weft_put_u8(w, field->encoding);
        put_integer(w, &field->integer);
        break;
    default:
        w->overflow = 1;
    }
}

static void put_name(struct weft_writer *w, const struct weft_event *event)
{
    const size_t provider = strlen(event->provider), name = strlen(event->name);
    if (provider + name + 1 > UINT16_MAX) {
        w->overflow = 1;
        return;
    }
    weft_put_u16(w, (uint16_t)(provider + 1 + name));
    weft_put(w, event->provider, provider);
    weft_put(w, ":", 1);
    weft_put(w, event->name, name);
}

size_t weft_message_point(uint8_t *buffer, uint32_t id, const struct weft_event *event)
{
    struct weft_writer w = weft_message_begin(buffer, WEFT_WIRE_POINT);
    weft_put_u32(&w, id);
    weft_put_u32(&w, (uint32_t)(event->loglevel ? *event->loglevel : WEFT_LOGLEVEL_NONE));
    put_name(&w, event);
    weft_put_string(&w, event->model_emf_uri ? *event->model_emf_uri : NULL);
    weft_put_u16(&w, (uint16_t)event->field_count);
    for (uint32_t i = 0; i < event->field_count && !w.overflow; i++)
        put_field(&w, &event->fields[i]);
    return weft_message_end(&w);
}

const uint8_t *weft_get(struct weft_cursor *c, size_t length)
{
    if (length > c->length - c->at) {
        c->short_message = 1;
        c->at = c->length;
        return NULL;
    }
    c->at += length;
    return c->bytes + c->at - length;
}

uint32_t weft_get_u32(struct weft_cursor *c)
{
    uint32_t value = 0;
    const uint8_t *bytes = weft_get(c, 4);
    if (bytes)
        memcpy(&value, bytes, 4);
    return value;
}

uint64_t weft_get_u64(struct weft_cursor *c)
{
    const uint64_t low = weft_get_u32(c);
    return low | (uint64_t)weft_get_u32(c) << 32;
}

uint16_t weft_get_u16(struct weft_cursor *c)
{
    uint16_t value = 0;
    const uint8_t *bytes = weft_get(c, 2);
    if (bytes)
        memcpy(&value, bytes, 2);
    return value;
}
