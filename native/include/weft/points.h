/* Definition of instrumentation points: what an object does that has WEFT_TRACEPOINT_DEFINE in one of its files. */
#ifndef WEFT_POINTS_H
#define WEFT_POINTS_H
#pragma GCC system_header

#include <stdint.h>

#include <weft/macros.h>
#include <weft/module.h>

/*
 * A reference to the provider, so that the linker takes its object from an archive and keeps its shared library, and so that a
 * forgotten provider is found when linking. With WEFT_TRACEPOINT_PROBE_DYNAMIC_LINKAGE the probes come by dlopen() or not at all.
 */
#ifdef WEFT_TRACEPOINT_PROBE_DYNAMIC_LINKAGE
#define WEFT_NEED_PROBES(provider, name)
#else
#define WEFT_NEED_PROBES(provider, name)                                \
    WEFT_EXTERN_C int weft_probes_of_##provider WEFT_PROBES_VISIBILITY; \
    static const int *const weft_needs_##provider##___##name __attribute__((used)) = &weft_probes_of_##provider;
#endif

/* A section of their own: AddressSanitizer leaves such variables alone, and would else call a point that two objects share an error. */
#undef WEFT_DEFINE_POINT
#define WEFT_DEFINE_POINT(provider, name, args)                                                                \
    struct weft_point weft_point_##provider##___##name WEFT_POINT_VISIBILITY                                   \
        __attribute__((section("weft_point_data"))) = { NULL, sizeof(struct weft_point), #provider, #name,     \
                                                        WEFT_SIGNATURE(args), NULL };                          \
    static struct weft_point *weft_point_pointer_##provider##___##name                                         \
        __attribute__((used, section("weft_points"))) WEFT_RETAIN = &weft_point_##provider##___##name;         \
    WEFT_NEED_PROBES(provider, name)

/* All pointers of this object, whichever of its files they come from. */
WEFT_EXTERN_C struct weft_point *__start_weft_points[] __attribute__((weak, visibility("hidden")));
WEFT_EXTERN_C struct weft_point *__stop_weft_points[] __attribute__((weak, visibility("hidden")));

static __inline__ __attribute__((unused)) uint32_t weft_points_count(void)
{
    return (uint32_t)(((uintptr_t)__stop_weft_points - (uintptr_t)__start_weft_points) / sizeof(struct weft_point *));
}

/* A program and a library that both define a point share one of the two (that is how symbols resolve). Whoever registers it first
 * unregisters it; for the other it is as if it had none, or unloading the library would take the program's point away. */
static __attribute__((constructor(152))) void weft_points_load(void)
{
    uint32_t i;
    const uint32_t count = weft_points_count();
    if (weft_module.registered || count == 0 || !weft_module_open())
        return;
    for (i = 0; i < count; i++) {
        if (__start_weft_points[i] && __start_weft_points[i]->library)
            __start_weft_points[i] = NULL;
    }
    weft_module.registered = 1;
    weft_module.library->points_register(__start_weft_points, count);
}

static __attribute__((destructor(152))) void weft_points_unload(void)
{
    if (!weft_module.registered)
        return;
    weft_module.registered = 0;
    weft_module.library->points_unregister(__start_weft_points, weft_points_count());
}

#endif
