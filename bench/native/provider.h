/* Provider of the bench programs: one event of two integers. Compiles against LTTng-UST and against native/include/compat. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER weft_bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./provider.h"

#if !defined(WEFT_BENCH_PROVIDER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define WEFT_BENCH_PROVIDER_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(
    weft_bench, pair,
    LTTNG_UST_TP_ARGS(int, thread, uint64_t, number),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, thread, thread)
        lttng_ust_field_integer(uint64_t, number, number)
    )
)

#endif

#include <lttng/tracepoint-event.h>
