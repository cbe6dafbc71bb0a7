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
#pragma GCC system_header
#ifndef WEFT_TRACEPOINT_H
#define WEFT_TRACEPOINT_H

#include <weft/loglevels.h>
#include <weft/macros.h>
#include <weft/module.h>

#define WEFT_TP_ARGS(...) (__VA_ARGS__)
#define WEFT_TP_FIELDS(...) (__VA_ARGS__)
#define WEFT_TP_ENUM_VALUES(...) (__VA_ARGS__)

/* Forwarded, so that provider and name may themselves be macros, in all passes alike. */
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields) \
    WEFT_ON_CLASS(provider, name, args, fields) WEFT_ON_EVENT(provider, name, provider, name, args)
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields) WEFT_ON_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args) \
    WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_TRACEPOINT_ENUM(provider, name, values) WEFT_ON_ENUM(provider, name, values)
#define WEFT_TRACEPOINT_LOGLEVEL(provider, name, level) WEFT_ON_LEVEL(provider, name, level)
#define WEFT_TRACEPOINT_MODEL_EMF_URI(provider, name, uri) WEFT_ON_URI(provider, name, uri)

/* The event's name stands among the variable arguments and a 0 ends them: so there is always one more, and no compiler, however
 * pedantic, misses an argument of an event that has none. */
#define weft_tracepoint(provider, ...)              \
    do {                                            \
        if (WEFT_ENABLED(provider, __VA_ARGS__, 0)) \
            WEFT_HIT(provider, __VA_ARGS__, 0);     \
    } while (0)
#define weft_do_tracepoint(provider, ...) WEFT_HIT(provider, __VA_ARGS__, 0)
#define weft_tracepoint_enabled(provider, name) WEFT_ENABLED(provider, name, 0)

#define WEFT_ENABLED(provider, name, ...) \
    __builtin_expect(!!__atomic_load_n(&weft_point_##provider##___##name.sinks, __ATOMIC_RELAXED), 0)
#define WEFT_HIT(provider, name, ...) weft_hit_##provider##___##name(__VA_ARGS__)

#ifdef WEFT_TRACEPOINT_HIDDEN_DEFINITION
#define WEFT_POINT_VISIBILITY __attribute__((visibility("hidden")))
#else
#define WEFT_POINT_VISIBILITY __attribute__((visibility("default")))
#endif
#ifdef WEFT_TRACEPOINT_PROVIDER_HIDDEN_DEFINITION
#define WEFT_PROBES_VISIBILITY __attribute__((visibility("hidden")))
#else
#define WEFT_PROBES_VISIBILITY __attribute__((visibility("default")))
#endif

/* Inlined even without optimisation: the address that a probe returns to, its record's `ip`, is then in the program's function. */
#define WEFT_DECLARE_POINT(provider, name, args)                                                                  \
    WEFT_EXTERN_C struct weft_point weft_point_##provider##___##name WEFT_POINT_VISIBILITY;                       \
    static __inline__ __attribute__((unused, always_inline)) void weft_hit_##provider##___##name(                 \
        WEFT_FIRST_PARAMETERS(args) int weft_end __attribute__((unused)))                                         \
    {                                                                                                             \
        struct weft_sink *weft_sink = __atomic_load_n(&weft_point_##provider##___##name.sinks, __ATOMIC_ACQUIRE); \
        for (; weft_sink; weft_sink = __atomic_load_n(&weft_sink->next, __ATOMIC_ACQUIRE)) {                      \
            if (__atomic_load_n(&weft_sink->on, __ATOMIC_ACQUIRE))                                                \
                ((void (*)(struct weft_sink * WEFT_TYPES(args)))weft_sink->probe)(weft_sink WEFT_NAMES(args));    \
        }                                                                                                         \
    }

#endif /* WEFT_TRACEPOINT_H */

/* Points are defined in the file that asks for it, also when the header above was seen before. */
#ifdef WEFT_TRACEPOINT_DEFINE
#include <weft/points.h>
#endif
#ifndef WEFT_DEFINE_POINT
#define WEFT_DEFINE_POINT(provider, name, args)
#endif

#ifndef WEFT_TRACEPOINT_HEADER_MULTI_READ
#include <weft/pass-declare.h>
#endif
