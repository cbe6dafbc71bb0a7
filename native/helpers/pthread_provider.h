/* Provider of libweft-pthread.so: events and fields that readers of LTTng's pthread helper know. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER lttng_ust_pthread

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "helpers/pthread_provider.h"

#if !defined(WEFT_PTHREAD_PROVIDER_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define WEFT_PTHREAD_PROVIDER_H

#include <weft/tracepoint.h>

WEFT_TRACEPOINT_EVENT(
    lttng_ust_pthread, pthread_mutex_lock_req,
    WEFT_TP_ARGS(void *, mutex, void *, ip),
    WEFT_TP_FIELDS(weft_field_integer_hex(void *, mutex, mutex) weft_field_integer_hex(void *, caller, ip))
)

WEFT_TRACEPOINT_EVENT_CLASS(
    lttng_ust_pthread, mutex_status,
    WEFT_TP_ARGS(void *, mutex, int, status, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(void *, mutex, mutex)
        weft_field_integer(int, status, status)
        weft_field_integer_hex(void *, caller, ip)
    )
)

WEFT_TRACEPOINT_EVENT_INSTANCE(
    lttng_ust_pthread, mutex_status, lttng_ust_pthread, pthread_mutex_lock_acq, WEFT_TP_ARGS(void *, mutex, int, status, void *, ip)
)
WEFT_TRACEPOINT_EVENT_INSTANCE(
    lttng_ust_pthread, mutex_status, lttng_ust_pthread, pthread_mutex_trylock, WEFT_TP_ARGS(void *, mutex, int, status, void *, ip)
)
WEFT_TRACEPOINT_EVENT_INSTANCE(
    lttng_ust_pthread, mutex_status, lttng_ust_pthread, pthread_mutex_unlock, WEFT_TP_ARGS(void *, mutex, int, status, void *, ip)
)

#endif

#include <weft/tracepoint-event.h>
