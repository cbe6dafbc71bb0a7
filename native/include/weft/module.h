/*
 * How a program finds libweft: one dlopen() per loaded object, in its first constructor. Nothing is linked; without the library all
 * stays off. The order of constructors: log levels are noted (150), providers registered (151), points registered (152: waits
 * until the session daemon has said what to record), then the program's own.
 */
#ifndef WEFT_MODULE_H
#define WEFT_MODULE_H

#include <dlfcn.h>

#include <weft/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One per loaded object, shared by its translation units. */
__attribute__((weak, visibility("hidden"))) const struct weft_library *weft_module_library;

static inline __attribute__((unused)) const struct weft_library *weft_module_open(void)
{
    if (!weft_module_library) {
        void *handle = dlopen(WEFT_LIBRARY_SONAME, RTLD_NOW | RTLD_LOCAL);
        const struct weft_library *library = handle ? (const struct weft_library *)dlsym(handle, "weft_library") : NULL;
        if (library && library->abi == WEFT_LIBRARY_ABI && library->size >= sizeof(*library))
            weft_module_library = library;
    }
    return weft_module_library;
}

#ifdef __cplusplus
}
#endif

#endif
