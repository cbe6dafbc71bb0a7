/*
 * Application contexts: values of the program's own that filters ($app.PROVIDER:NAME) and channels may ask for at any event.
 *
 *     static void get_user(void *data, struct weft_context_value *value)
 *     {
 *         value->kind = WEFT_CONTEXT_VALUE_INT64;
 *         value->as.integer = current_user;
 *     }
 *     static struct weft_app_context user = WEFT_APP_CONTEXT("shop:user", get_user, NULL);
 *     weft_app_context_register(&user);
 *     ...
 *     weft_app_context_unregister(&user);      before the object that holds it is unloaded
 *
 * It may be registered before or after a filter that names it; while it is not, a filter takes its value as missing.
 */
#ifndef WEFT_CONTEXT_H
#define WEFT_CONTEXT_H
#pragma GCC system_header

#include <errno.h>

#include <weft/module.h>

#define WEFT_APP_CONTEXT(name, get, data) { sizeof(struct weft_app_context), name, get, data, NULL }

static __inline__ __attribute__((unused)) int weft_app_context_offered(void)
{
    const struct weft_library *library = weft_module_open();
    return library && library->size > offsetof(struct weft_library, app_context_unregister);
}

/* 0, or a negative errno value: -ENOSYS (no libweft, or one without contexts), -EINVAL (the name), -EEXIST (the name is taken). */
static __inline__ __attribute__((unused)) int weft_app_context_register(struct weft_app_context *context)
{
    return weft_app_context_offered() ? weft_module.library->app_context_register(context) : -ENOSYS;
}

static __inline__ __attribute__((unused)) void weft_app_context_unregister(struct weft_app_context *context)
{
    if (weft_app_context_offered())
        weft_module.library->app_context_unregister(context);
}

#endif
