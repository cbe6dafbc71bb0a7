#include "ust/app_context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 255u

struct weft_app_context_place {
    struct weft_app_context_place *next;
    struct weft_app_context *registered; /* NULL: nobody gives this value now */
    size_t length;
    char name[];
};

static struct weft_app_context_place *places;

/* "PROVIDER:NAME", neither part empty. */
static int well_named(const char *name, size_t length)
{
    const char *colon = length <= NAME_MAX_BYTES && !memchr(name, 0, length) ? memchr(name, ':', length) : NULL;
    return colon && colon > name && colon + 1 < name + length;
}

struct weft_app_context_place *weft_app_context_place(const char *name, size_t length)
{
    if (!well_named(name, length)) {
        errno = EINVAL;
        return NULL;
    }
    for (struct weft_app_context_place *p = places; p; p = p->next) {
        if (p->length == length && memcmp(p->name, name, length) == 0)
            return p;
    }
    struct weft_app_context_place *p = calloc(1, sizeof(*p) + length);
    if (!p) {
        errno = ENOMEM;
        return NULL;
    }
    p->length = length;
    memcpy(p->name, name, length);
    p->next = places;
    places = p;
    return p;
}

void weft_app_context_get(const struct weft_app_context_place *place, struct weft_context_value *value)
{
    const struct weft_app_context *c = __atomic_load_n(&place->registered, __ATOMIC_ACQUIRE);
    value->kind = WEFT_CONTEXT_VALUE_NONE;
    if (c)
        c->get(c->data, value);
}

int weft_app_context_add(struct weft_app_context *context)
{
    if (!context->name || !context->get)
        return -EINVAL;
    struct weft_app_context_place *p = weft_app_context_place(context->name, strlen(context->name));
    if (!p)
        return -errno;
    if (p->registered)
        return -EEXIST;
    context->library = p;
    __atomic_store_n(&p->registered, context, __ATOMIC_RELEASE);
    return 0;
}

int weft_app_context_remove(struct weft_app_context *context)
{
    struct weft_app_context_place *p = context->library;
    if (!p)
        return 0;
    context->library = NULL;
    __atomic_store_n(&p->registered, NULL, __ATOMIC_RELEASE);
    return 1;
}
