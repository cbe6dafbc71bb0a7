/* Provider of libweft-dl.so: events and fields that readers of LTTng's dl helper know. */
#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER lttng_ust_dl

#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "helpers/dl_provider.h"

#if !defined(WEFT_DL_PROVIDER_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define WEFT_DL_PROVIDER_H

#include <stddef.h>

#include <ust/objects.h>
#include <weft/tracepoint.h>

WEFT_TRACEPOINT_EVENT(
    lttng_ust_dl, dlopen,
    WEFT_TP_ARGS(const struct weft_object *, object, int, flags, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(uint64_t, baddr, object->base)
        weft_field_integer(uint64_t, memsz, object->bytes)
        weft_field_integer_hex(int, flags, flags)
        weft_field_string(path, object->path)
        weft_field_integer(uint8_t, has_build_id, object->build_id_bytes != 0)
        weft_field_integer(uint8_t, has_debug_link, object->has_debug_link)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_dl, dlmopen,
    WEFT_TP_ARGS(const struct weft_object *, object, int64_t, nsid, int, flags, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(uint64_t, baddr, object->base)
        weft_field_integer(uint64_t, memsz, object->bytes)
        weft_field_integer(int64_t, nsid, nsid)
        weft_field_integer_hex(int, flags, flags)
        weft_field_string(path, object->path)
        weft_field_integer(uint8_t, has_build_id, object->build_id_bytes != 0)
        weft_field_integer(uint8_t, has_debug_link, object->has_debug_link)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_dl, build_id,
    WEFT_TP_ARGS(const struct weft_object *, object, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(uint64_t, baddr, object->base)
        weft_field_sequence_hex(uint8_t, build_id, object->build_id, size_t, object->build_id_bytes)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_dl, debug_link,
    WEFT_TP_ARGS(const struct weft_object *, object, void *, ip),
    WEFT_TP_FIELDS(
        weft_field_integer_hex(uint64_t, baddr, object->base)
        weft_field_integer(uint32_t, crc, object->debug_crc)
        weft_field_string(filename, object->debug_link)
    )
)

WEFT_TRACEPOINT_EVENT(
    lttng_ust_dl, dlclose,
    WEFT_TP_ARGS(uint64_t, base, void *, ip),
    WEFT_TP_FIELDS(weft_field_integer_hex(uint64_t, baddr, base))
)

#endif

#include <weft/tracepoint-event.h>
