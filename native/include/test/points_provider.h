/* Provider of points_test: defined in the program and in the library that it loads. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER weft_points

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "./points_provider.h"

#if !defined(POINTS_PROVIDER_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define POINTS_PROVIDER_H

#include <weft/tracepoint.h>

/* The provider's name is a macro: passes must agree on what it expands to. */
WEFT_TRACEPOINT_EVENT(WEFT_TRACEPOINT_PROVIDER, number, WEFT_TP_ARGS(int, n), WEFT_TP_FIELDS(weft_field_integer(int, n, n)))
WEFT_TRACEPOINT_EVENT(weft_points, text, WEFT_TP_ARGS(const char *, text), WEFT_TP_FIELDS(weft_field_string(text, text)))
WEFT_TRACEPOINT_LOGLEVEL(WEFT_TRACEPOINT_PROVIDER, number, WEFT_LOGLEVEL_INFO)

#endif

#include <weft/tracepoint-event.h>
