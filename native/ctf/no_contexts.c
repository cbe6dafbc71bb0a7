/* What ust/filter.c asks of a thread that records. Nobody records here: a program that wants it is refused when it is verified. */
#include <errno.h>

#include "ust/app_context.h"
#include "ust/context.h"

enum weft_context_form weft_context_form(uint16_t type)
{
    (void)type;
    return WEFT_CONTEXT_UNKNOWN;
}

int64_t weft_context_integer(uint16_t type, void *ip)
{
    (void)type;
    (void)ip;
    return 0;
}

const char *weft_context_text(void)
{
    return "";
}

struct weft_app_context_place *weft_app_context_place(const char *name, size_t length)
{
    (void)name;
    (void)length;
    errno = EINVAL;
    return NULL;
}

void weft_app_context_get(const struct weft_app_context_place *place, struct weft_context_value *value)
{
    (void)place;
    value->kind = WEFT_CONTEXT_VALUE_NONE;
}
