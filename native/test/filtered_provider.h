/* One event for filtered_test: two recorded integers, a text, and a number that only filters see. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER weft_filtered

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "test/filtered_provider.h"

#if !defined(WEFT_FILTERED_PROVIDER_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define WEFT_FILTERED_PROVIDER_H

#include <weft/tracepoint.h>

WEFT_TRACEPOINT_EVENT(weft_filtered, pair, WEFT_TP_ARGS(uint32_t, source, uint64_t, number, const char *, text),
    WEFT_TP_FIELDS(
        weft_field_integer(uint32_t, source, source)
        weft_field_integer(uint64_t, number, number)
        weft_field_string_nowrite(text, text)
        weft_field_integer_nowrite(int, parity, (int)(number & 1))
    )
)

#endif

#include <weft/tracepoint-event.h>
