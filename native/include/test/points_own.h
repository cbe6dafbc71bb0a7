/* The provider that a library brings. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER weft_own

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "./points_own.h"

#if !defined(POINTS_OWN_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define POINTS_OWN_H

#include <weft/tracepoint.h>

WEFT_TRACEPOINT_EVENT(weft_own, used, WEFT_TP_ARGS(), WEFT_TP_FIELDS())

#endif

#include <weft/tracepoint-event.h>
