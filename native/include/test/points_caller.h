/* A second provider in the same program, whose events say themselves where they come from. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER weft_caller

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "./points_caller.h"

#if !defined(POINTS_CALLER_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define POINTS_CALLER_H

#include <weft/tracepoint.h>

WEFT_TRACEPOINT_EVENT(weft_caller, called, WEFT_TP_ARGS(void *, ip), WEFT_TP_FIELDS())

#endif

#include <weft/tracepoint-event.h>
