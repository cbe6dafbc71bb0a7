/*
 * Instrumentation points: what a provider header includes, and what a program calls.
 *
 *     weft_tracepoint(provider, name, arguments...)       records if enabled; costs one load and one branch if not
 *     weft_tracepoint_enabled(provider, name)             true when somebody records it
 *     weft_do_tracepoint(provider, name, arguments...)    without the check (after weft_tracepoint_enabled)
 *
 * See docs/instrumenting.md for the shape of a provider header. Exactly one C or C++ file of each loaded object defines
 * WEFT_TRACEPOINT_DEFINE before it includes the header (call sites), and one of the process WEFT_TRACEPOINT_CREATE_PROBES.
 */
#ifndef WEFT_TRACEPOINT_H
#define WEFT_TRACEPOINT_H

#include <weft/macros.h>
#include <weft/module.h>

#define WEFT_TP_ARGS(...) (__VA_ARGS__)
#define WEFT_TP_FIELDS(...) (__VA_ARGS__)
#define WEFT_TP_ENUM_VALUES(...) (__VA_ARGS__)

#define weft_tracepoint(provider, name, ...)                                                                    \
    do {                                                                                                        \
        if (__builtin_expect(!!__atomic_load_n(&weft_point_##provider##___##name.sinks, __ATOMIC_RELAXED), 0))   \
            weft_hit_##provider##___##name(__VA_ARGS__);                                                         \
    } while (0)
#define weft_do_tracepoint(provider, name, ...) weft_hit_##provider##___##name(__VA_ARGS__)
#define weft_tracepoint_enabled(provider, name) \
    __builtin_expect(!!__atomic_load_n(&weft_point_##provider##___##name.sinks, __ATOMIC_RELAXED), 0)

#ifdef WEFT_TRACEPOINT_HIDDEN_DEFINITION
#define WEFT_POINT_VISIBILITY __attribute__((visibility("hidden")))
#else
#define WEFT_POINT_VISIBILITY __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define WEFT_EXTERN_C extern "C"
#else
#define WEFT_EXTERN_C extern
#endif

#define WEFT_DECLARE_POINT(provider, name, args)                                                                            \
    WEFT_EXTERN_C struct weft_point weft_point_##provider##___##name WEFT_POINT_VISIBILITY;                                  \
    static inline __attribute__((unused)) void weft_visit_##provider##___##name(struct weft_sink *weft_sink WEFT_PARAMETERS(args)) \
    {                                                                                                                       \
        for (; weft_sink; weft_sink = __atomic_load_n(&weft_sink->next, __ATOMIC_ACQUIRE)) {                                  \
            if (weft_sink->on)                                                                                              \
                ((void (*)(struct weft_sink * WEFT_TYPES(args)))weft_sink->probe)(weft_sink WEFT_NAMES(args));                \
        }                                                                                                                   \
    }                                                                                                                       \
    WEFT_HIT_FUNCTION(provider, name, args)

#define WEFT_HIT_FUNCTION(provider, name, args) WEFT_CAT(WEFT_HIT_, WEFT_COUNT args)(provider, name, args)
#define WEFT_VISIT(provider, name) \
    weft_visit_##provider##___##name(__atomic_load_n(&weft_point_##provider##___##name.sinks, __ATOMIC_ACQUIRE)
#define WEFT_HIT_1(provider, name, args)                                                                                    \
    static inline __attribute__((unused)) void weft_hit_##provider##___##name(void) { WEFT_VISIT(provider, name)); }
/* The parameter list without its leading comma. */
#define WEFT_REST_(skipped, ...) __VA_ARGS__
#define WEFT_REST(...) WEFT_REST_(__VA_ARGS__)
#define WEFT_HIT_2(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_4(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_6(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_8(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_10(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_12(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_14(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_16(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_18(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_20(provider, name, args) WEFT_HIT_PARAMETERS(provider, name, args)
#define WEFT_HIT_PARAMETERS(provider, name, args)                                                                           \
    static inline __attribute__((unused)) void weft_hit_##provider##___##name(WEFT_REST(skip WEFT_PARAMETERS(args)))         \
    {                                                                                                                       \
        WEFT_VISIT(provider, name) WEFT_NAMES(args));                                                                        \
    }

#endif /* WEFT_TRACEPOINT_H */

/* Call sites are defined in the object that asks for it, also when the header above was seen before. */
#if defined(WEFT_TRACEPOINT_DEFINE) && !defined(WEFT_POINTS_H)
#define WEFT_POINTS_H

#define WEFT_DEFINE_POINT(provider, name, args)                                                                             \
    struct weft_point weft_point_##provider##___##name WEFT_POINT_VISIBILITY = { NULL, sizeof(struct weft_point), #provider, #name, \
                                                                                 WEFT_SIGNATURE(args), NULL };               \
    static struct weft_point *weft_point_pointer_##provider##___##name __attribute__((used, section("weft_points"))) =        \
        &weft_point_##provider##___##name;

#ifdef __cplusplus
extern "C" {
#endif
extern struct weft_point *const __start_weft_points[] __attribute__((weak, visibility("hidden")));
extern struct weft_point *const __stop_weft_points[] __attribute__((weak, visibility("hidden")));
#ifdef __cplusplus
}
#endif

#define WEFT_POINT_COUNT ((uint32_t)(((uintptr_t)&__stop_weft_points[0] - (uintptr_t)&__start_weft_points[0]) / sizeof(void *)))

static __attribute__((constructor(152))) void weft_points_load(void)
{
    if (weft_module_open() && WEFT_POINT_COUNT != 0)
        weft_module_library->points_register(__start_weft_points, WEFT_POINT_COUNT);
}

static __attribute__((destructor(152))) void weft_points_unload(void)
{
    if (weft_module_library && WEFT_POINT_COUNT != 0)
        weft_module_library->points_unregister(__start_weft_points, WEFT_POINT_COUNT);
}
#endif

#ifndef WEFT_DEFINE_POINT
#define WEFT_DEFINE_POINT(provider, name, args)
#endif

/* What the macros of a provider header mean outside of the passes of tracepoint-event.h. */
#ifndef WEFT_TRACEPOINT_HEADER_MULTI_READ
#include <weft/pass-reset.h>
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields) \
    WEFT_DECLARE_POINT(provider, name, args) WEFT_DEFINE_POINT(provider, name, args)
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args) \
    WEFT_DECLARE_POINT(provider, name, args) WEFT_DEFINE_POINT(provider, name, args)
#define WEFT_TRACEPOINT_ENUM(provider, name, values)
#define WEFT_TRACEPOINT_LOGLEVEL(provider, name, level)
#define WEFT_TRACEPOINT_MODEL_EMF_URI(provider, name, uri)
#endif
