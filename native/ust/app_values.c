#include "ust/app_values.h"

#include <errno.h>
#include <string.h>

#include "ust/app_context.h"

static char *put(char *target, enum weft_app_tag tag, const void *value, size_t bytes)
{
    *target++ = (char)tag;
    memcpy(target, value, bytes);
    return target + bytes;
}

/* Little-endian: the low bytes come first. */
static char *put_value(char *target, const struct weft_context_value *v)
{
    const float narrow = v->kind == WEFT_CONTEXT_VALUE_FLOAT ? (float)v->as.number : 0;
    switch (v->kind) {
    case WEFT_CONTEXT_VALUE_INT8:
        return put(target, WEFT_APP_INT8, &v->as.integer, 1);
    case WEFT_CONTEXT_VALUE_INT16:
        return put(target, WEFT_APP_INT16, &v->as.integer, 2);
    case WEFT_CONTEXT_VALUE_INT32:
        return put(target, WEFT_APP_INT32, &v->as.integer, 4);
    case WEFT_CONTEXT_VALUE_INT64:
        return put(target, WEFT_APP_INT64, &v->as.integer, 8);
    case WEFT_CONTEXT_VALUE_UINT8:
        return put(target, WEFT_APP_UINT8, &v->as.natural, 1);
    case WEFT_CONTEXT_VALUE_UINT16:
        return put(target, WEFT_APP_UINT16, &v->as.natural, 2);
    case WEFT_CONTEXT_VALUE_UINT32:
        return put(target, WEFT_APP_UINT32, &v->as.natural, 4);
    case WEFT_CONTEXT_VALUE_UINT64:
        return put(target, WEFT_APP_UINT64, &v->as.natural, 8);
    case WEFT_CONTEXT_VALUE_FLOAT:
        return put(target, WEFT_APP_FLOAT, &narrow, 4);
    case WEFT_CONTEXT_VALUE_DOUBLE:
        return put(target, WEFT_APP_DOUBLE, &v->as.number, 8);
    default:
        return put(target, WEFT_APP_NONE, "", 0);
    }
}

static char *put_text(char *target, const char *text)
{
    target = put(target, WEFT_APP_STRING, text, strnlen(text, WEFT_APP_TEXT_MAX));
    *target++ = 0;
    return target;
}

char *weft_app_values_write(const struct weft_channel *c, char *target)
{
    const int saved = errno;
    for (uint32_t i = 0; i < c->app_count; i++) {
        struct weft_context_value v;
        weft_app_context_get(c->contexts[c->context_count + i].place, &v);
        target = v.kind == WEFT_CONTEXT_VALUE_STRING && v.as.text ? put_text(target, v.as.text) : put_value(target, &v);
    }
    errno = saved;
    return target;
}
