/*
 * How a program finds libweft: one dlopen() per loaded object, in its first constructor. Nothing is linked; without the library all
 * stays off and nothing is said. The order of constructors: log levels are noted (150), providers registered (151), points
 * registered (152: waits until the session daemon has said what to record), then the program's own.
 */
#ifndef WEFT_MODULE_H
#define WEFT_MODULE_H
#pragma GCC system_header

#include <dlfcn.h>
#include <errno.h>

#include <weft/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_module {
    const struct weft_library *library; /* NULL: not installed, or of another ABI */
    int looked;                         /* once is enough: a failed search walks all library directories */
    int registered;                     /* this object's points are */
};

/* One per loaded object, shared by its translation units. */
__attribute__((weak, visibility("hidden"))) struct weft_module weft_module;

static __inline__ __attribute__((unused)) void weft_module_look(void)
{
    const int saved = errno;
    void *handle = dlopen(WEFT_LIBRARY_SONAME, RTLD_NOW | RTLD_LOCAL);
    const struct weft_library *library = handle ? (const struct weft_library *)dlsym(handle, "weft_library") : NULL;
    if (library && library->abi == WEFT_LIBRARY_ABI && library->size >= WEFT_LIBRARY_SIZE_MIN)
        weft_module.library = library;
    if (!library)
        dlerror(); /* the program shall not find our failure in its dlerror() */
    weft_module.looked = 1;
    errno = saved;
}

static __inline__ __attribute__((unused)) const struct weft_library *weft_module_open(void)
{
    if (!weft_module.looked)
        weft_module_look();
    return weft_module.library;
}

#ifdef __cplusplus
}
#endif

#endif
