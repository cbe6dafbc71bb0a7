/*
 * printf-style events without a provider:
 *     weft_tracef("reading %s took %d ms", path, ms);              event lttng_ust_tracef:event
 *     weft_vtracef(format, va_list)
 *     weft_tracelog(WEFT_LOGLEVEL_INFO, "connected to %s", host);  event lttng_ust_tracelog:LTTNG_UST_TRACEPOINT_LOGLEVEL_INFO, with file, line, function
 *     weft_vtracelog(level, format, va_list)
 * Nothing is formatted unless somebody records it.
 */
#ifndef WEFT_TRACEF_H
#define WEFT_TRACEF_H
#pragma GCC system_header

#include <stdarg.h>

#include <weft/loglevels.h>
#include <weft/module.h>

/* The library has the points; here is only waited until they are as the session daemon wants them. */
static __attribute__((constructor(152))) void weft_tracef_load(void)
{
    if (weft_module_open())
        weft_module.library->points_register(NULL, 0);
}

static __inline__ __attribute__((unused)) int weft_tracef_enabled(void)
{
    return weft_module.library && __atomic_load_n(&weft_module.library->tracef_point->sinks, __ATOMIC_RELAXED);
}

static __inline__ __attribute__((unused)) int weft_tracelog_enabled(int level)
{
    return weft_module.library && level >= 0 && level <= WEFT_LOGLEVEL_DEBUG &&
           __atomic_load_n(&weft_module.library->tracelog_points[level]->sinks, __ATOMIC_RELAXED);
}

/* Never inlined: where they return to is the record's `ip`. */
static __attribute__((unused, noinline, format(printf, 1, 2))) void weft_tracef_call(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    weft_module.library->vtracef(__builtin_return_address(0), format, arguments);
    va_end(arguments);
}

static __attribute__((unused, noinline, format(printf, 1, 0))) void weft_vtracef_call(const char *format, va_list arguments)
{
    weft_module.library->vtracef(__builtin_return_address(0), format, arguments);
}

static __attribute__((unused, noinline, format(printf, 5, 6))) void
weft_tracelog_call(int level, const char *file, int line, const char *function, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    weft_module.library->vtracelog(level, __builtin_return_address(0), file, line, function, format, arguments);
    va_end(arguments);
}

static __attribute__((unused, noinline, format(printf, 5, 0))) void
weft_vtracelog_call(int level, const char *file, int line, const char *function, const char *format, va_list arguments)
{
    weft_module.library->vtracelog(level, __builtin_return_address(0), file, line, function, format, arguments);
}

#define weft_tracef(...)                                \
    do {                                                \
        if (__builtin_expect(weft_tracef_enabled(), 0)) \
            weft_tracef_call(__VA_ARGS__);              \
    } while (0)
#define weft_vtracef(format, arguments)                 \
    do {                                                \
        if (__builtin_expect(weft_tracef_enabled(), 0)) \
            weft_vtracef_call(format, arguments);       \
    } while (0)
#define weft_tracelog(level, ...)                                                 \
    do {                                                                          \
        if (__builtin_expect(weft_tracelog_enabled(level), 0))                    \
            weft_tracelog_call(level, __FILE__, __LINE__, __func__, __VA_ARGS__); \
    } while (0)
#define weft_vtracelog(level, format, arguments)                                         \
    do {                                                                                 \
        if (__builtin_expect(weft_tracelog_enabled(level), 0))                           \
            weft_vtracelog_call(level, __FILE__, __LINE__, __func__, format, arguments); \
    } while (0)

#endif
