/* An event with a field of each kind that a filter can judge. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER shop

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./orders.h"

#if !defined(ORDERS_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define ORDERS_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_ENUM(shop, colour, LTTNG_UST_TP_ENUM_VALUES(lttng_ust_field_enum_value("RED", 1) lttng_ust_field_enum_range("BLUE", 2, 9)))

LTTNG_UST_TRACEPOINT_EVENT(
    shop, order,
    LTTNG_UST_TP_ARGS(int, i, double, price, const char *, who, const int16_t *, row, int, count),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, amount, i)
        lttng_ust_field_float(double, price, price)
        lttng_ust_field_string(who, who)
        lttng_ust_field_enum(shop, colour, int, colour, (count + 1))
        lttng_ust_field_array_text(char, code, who, 3)
        lttng_ust_field_sequence(int16_t, row, row, int, count)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(shop, closed, LTTNG_UST_TP_ARGS(int, i), LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(int, day, i)))

#endif

#include <lttng/tracepoint-event.h>
