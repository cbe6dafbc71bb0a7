/*
 * Contexts that the application gives values of, by name. A name has a place in a table as soon as anybody mentions it, the
 * application or a filter, and keeps it for the life of the process: who records holds the place, and finds in it whatever is
 * registered by then, or nothing.
 */
#ifndef WEFT_UST_APP_CONTEXT_H
#define WEFT_UST_APP_CONTEXT_H

#include <stddef.h>

#include "weft/abi.h"

struct weft_app_context_place;

/* The place of a name "PROVIDER:NAME" of `length` bytes; NULL: no such name (errno EINVAL) or no memory (ENOMEM). With the registry's
 * lock held. */
struct weft_app_context_place *weft_app_context_place(const char *name, size_t length);

/* The present value; `value->kind` is WEFT_CONTEXT_VALUE_NONE when there is none. Async-signal-safe. */
void weft_app_context_get(const struct weft_app_context_place *place, struct weft_context_value *value);

/* weft_library.app_context_register and _unregister. With the registry's lock held. */
int weft_app_context_add(struct weft_app_context *context);
/* 1 if it was registered: a thread may then still be in its callback. */
int weft_app_context_remove(struct weft_app_context *context);

#endif
