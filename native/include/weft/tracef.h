/*
 * printf-style events without a provider:
 *     weft_tracef("reading %s took %d ms", path, ms);           event lttng_ust_tracef:event
 *     weft_vtracef(format, va_list)
 *     weft_tracelog(WEFT_LOGLEVEL_INFO, "connected to %s", host);  event lttng_ust_tracelog:TRACE_INFO, with file, line, function
 *     weft_vtracelog(level, format, va_list)
 * Nothing is formatted unless somebody records it.
 */
#ifndef WEFT_TRACEF_H
#define WEFT_TRACEF_H

#include <stdarg.h>

#include <weft/loglevels.h>
#include <weft/module.h>

static __attribute__((constructor(152))) void weft_tracef_load(void)
{
    if (weft_module_open())
        weft_module_library->points_register(NULL, 0);
}

static inline __attribute__((unused, format(printf, 2, 3))) void weft_tracef_call(void *ip, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    weft_module_library->vtracef(ip, format, arguments);
    va_end(arguments);
}

static inline __attribute__((unused, format(printf, 6, 7))) void
weft_tracelog_call(int level, void *ip, const char *file, int line, const char *function, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    weft_module_library->vtracelog(level, ip, file, line, function, format, arguments);
    va_end(arguments);
}

static inline __attribute__((unused)) int weft_tracelog_enabled(int level)
{
    return weft_module_library && level >= 0 && level <= WEFT_LOGLEVEL_DEBUG &&
           __atomic_load_n(&weft_module_library->tracelog_points[level]->sinks, __ATOMIC_RELAXED);
}

#define WEFT_TRACEF_ENABLED() \
    __builtin_expect(weft_module_library && __atomic_load_n(&weft_module_library->tracef_point->sinks, __ATOMIC_RELAXED), 0)
#define WEFT_HERE() __builtin_return_address(0)

#define weft_tracef(...)                                   \
    do {                                                   \
        if (WEFT_TRACEF_ENABLED())                         \
            weft_tracef_call(WEFT_HERE(), __VA_ARGS__);    \
    } while (0)
#define weft_vtracef(format, arguments)                                        \
    do {                                                                       \
        if (WEFT_TRACEF_ENABLED())                                             \
            weft_module_library->vtracef(WEFT_HERE(), format, arguments);      \
    } while (0)
#define weft_tracelog(level, ...)                                                                      \
    do {                                                                                               \
        if (__builtin_expect(weft_tracelog_enabled(level), 0))                                         \
            weft_tracelog_call(level, WEFT_HERE(), __FILE__, __LINE__, __func__, __VA_ARGS__);         \
    } while (0)
#define weft_vtracelog(level, format, arguments)                                                                        \
    do {                                                                                                                \
        if (__builtin_expect(weft_tracelog_enabled(level), 0))                                                          \
            weft_module_library->vtracelog(level, WEFT_HERE(), __FILE__, __LINE__, __func__, format, arguments);        \
    } while (0)

#endif
