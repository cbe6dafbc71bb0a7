/* Provider of the test program `counter`: every event says who wrote it and the how-manieth it is. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER weft_test

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./counter.h"

#if !defined(WEFT_TEST_COUNTER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define WEFT_TEST_COUNTER_H

#include <lttng/tracepoint.h>
#include <stdint.h>

/* With a filler each event is so many bytes larger: a program then makes more bytes in a second than most disks and networks take. */
#ifdef WEFT_TEST_FILLER
#define WEFT_TEST_FILLER_FIELD lttng_ust_field_array(uint8_t, filler, weft_test_filler, WEFT_TEST_FILLER)
static const uint8_t weft_test_filler[WEFT_TEST_FILLER];
#else
#define WEFT_TEST_FILLER_FIELD
#endif

LTTNG_UST_TRACEPOINT_EVENT(
    weft_test, count,
    LTTNG_UST_TP_ARGS(int, thread, uint64_t, number),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, thread, thread)
        lttng_ust_field_integer(uint64_t, number, number)
        WEFT_TEST_FILLER_FIELD
    )
)

#endif

#include <lttng/tracepoint-event.h>
