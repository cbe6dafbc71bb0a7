/* Provider of libweft-libc.so: events and fields that readers of LTTng's libc helper know. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER lttng_ust_libc

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "helpers/libc_provider.h"

#if !defined(WEFT_LIBC_PROVIDER_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define WEFT_LIBC_PROVIDER_H

#include <stddef.h>

#include <weft/tracepoint.h>

WEFT_TRACEPOINT_EVENT(
    lttng_ust_libc, malloc,
    WEFT_TP_ARGS(size_t, size, void *, ptr, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer(size_t, size, size)
        weft_field_integer_hex(void *, ptr, ptr)
        weft_field_integer_hex(void *, caller, ip)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_libc, free,
    WEFT_TP_ARGS(void *, ptr, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(void *, ptr, ptr)
        weft_field_integer_hex(void *, caller, ip)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_libc, calloc,
    WEFT_TP_ARGS(size_t, nmemb, size_t, size, void *, ptr, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer(size_t, nmemb, nmemb)
        weft_field_integer(size_t, size, size)
        weft_field_integer_hex(void *, ptr, ptr)
        weft_field_integer_hex(void *, caller, ip)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_libc, realloc,
    WEFT_TP_ARGS(void *, in_ptr, size_t, size, void *, ptr, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(void *, in_ptr, in_ptr)
        weft_field_integer(size_t, size, size)
        weft_field_integer_hex(void *, ptr, ptr)
        weft_field_integer_hex(void *, caller, ip)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_libc, memalign,
    WEFT_TP_ARGS(size_t, alignment, size_t, size, void *, ptr, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer(size_t, alignment, alignment)
        weft_field_integer(size_t, size, size)
        weft_field_integer_hex(void *, ptr, ptr)
        weft_field_integer_hex(void *, caller, ip)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_libc, posix_memalign,
    WEFT_TP_ARGS(void *, out_ptr, size_t, alignment, size_t, size, int, result, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(void *, out_ptr, out_ptr)
        weft_field_integer(size_t, alignment, alignment)
        weft_field_integer(size_t, size, size)
        weft_field_integer(int, result, result)
        weft_field_integer_hex(void *, caller, ip)
    )
)

#endif

#include <weft/tracepoint-event.h>
