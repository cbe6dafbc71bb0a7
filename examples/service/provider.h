/* What the example service tells about itself. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER shop

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "./provider.h"

#if !defined(SHOP_PROVIDER_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define SHOP_PROVIDER_H

#include <stdint.h>

#include <weft/loglevels.h>
#include <weft/tracepoint.h>

WEFT_TRACEPOINT_EVENT(
    shop, order,
    WEFT_TP_ARGS(uint64_t, id, const char *, item, int, amount),
    WEFT_TP_FIELDS(
        weft_field_integer(uint64_t, id, id)
        weft_field_string(item, item)
        weft_field_integer(int, amount, amount)
    )
)
WEFT_TRACEPOINT_LOGLEVEL(shop, order, WEFT_LOGLEVEL_INFO)

WEFT_TRACEPOINT_EVENT(
    shop, served,
    WEFT_TP_ARGS(uint64_t, id, double, price),
    WEFT_TP_FIELDS(
        weft_field_integer(uint64_t, id, id)
        weft_field_float(double, price, price)
    )
)

#endif

#include <weft/tracepoint-event.h>
