/* A provider in the older spelling of the same macros. */
#undef TRACEPOINT_PROVIDER
#define TRACEPOINT_PROVIDER old_names

#undef TRACEPOINT_INCLUDE
#define TRACEPOINT_INCLUDE "./old_names.h"

#if !defined(OLD_NAMES_H) || defined(TRACEPOINT_HEADER_MULTI_READ)
#define OLD_NAMES_H

#include <lttng/tracepoint.h>

TRACEPOINT_EVENT(
    old_names, one,
    TP_ARGS(int, value, const char *, text),
    TP_FIELDS(ctf_integer(int, value, value) ctf_string(text, text) ctf_integer_hex(int, hex, value))
)
TRACEPOINT_LOGLEVEL(old_names, one, TRACE_INFO)

TRACEPOINT_EVENT_CLASS(old_names, shape, TP_ARGS(double, d), TP_FIELDS(ctf_float(double, d, d)))
TRACEPOINT_EVENT_INSTANCE(old_names, shape, two, TP_ARGS(double, d))

#endif

#include <lttng/tracepoint-event.h>
