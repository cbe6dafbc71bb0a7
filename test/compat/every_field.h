/* A provider written for LTTng-UST, with every field type, class, level and enumeration form. Compiled unchanged for both tracers. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER every

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./every_field.h"

#if !defined(EVERY_FIELD_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define EVERY_FIELD_H

#include <lttng/tracepoint.h>
#include <stddef.h>
#include <stdint.h>

/* LTTng-UST 2.13 refuses negative values in C++. */
#undef EVERY_NEGATIVE
#ifdef __cplusplus
#define EVERY_NEGATIVE
#else
#define EVERY_NEGATIVE lttng_ust_field_enum_value("NEGATIVE", -3)
#endif

LTTNG_UST_TRACEPOINT_ENUM(
    every, colour,
    LTTNG_UST_TP_ENUM_VALUES(
        lttng_ust_field_enum_value("RED", 1)
        lttng_ust_field_enum_range("BLUE", 5, 9)
        lttng_ust_field_enum_auto("AUTOMATIC")
        EVERY_NEGATIVE
    )
)

LTTNG_UST_TRACEPOINT_EVENT(
    every, integers,
    LTTNG_UST_TP_ARGS(int8_t, i8, uint8_t, u8, int16_t, i16, uint16_t, u16, int32_t, i32, uint32_t, u32, int64_t, i64, uint64_t, u64),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int8_t, i8, i8)
        lttng_ust_field_integer(uint8_t, u8, u8)
        lttng_ust_field_integer(int16_t, i16, i16)
        lttng_ust_field_integer(uint16_t, u16, u16)
        lttng_ust_field_integer(int32_t, i32, i32)
        lttng_ust_field_integer(uint32_t, u32, u32)
        lttng_ust_field_integer(int64_t, i64, i64)
        lttng_ust_field_integer(uint64_t, u64, u64)
        lttng_ust_field_integer_hex(uint8_t, h8, u8)
        lttng_ust_field_integer_hex(int32_t, h32, i32)
        lttng_ust_field_integer_hex(uint64_t, h64, u64)
        lttng_ust_field_integer_network(uint16_t, n16, u16)
        lttng_ust_field_integer_network(int32_t, n32, i32)
        lttng_ust_field_integer_network_hex(uint64_t, n64, u64)
        lttng_ust_field_integer_nowrite(int, hidden, i32)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(
    every, kinds,
    LTTNG_UST_TP_ARGS(char, c, long, l, unsigned long, ul, size_t, s, float, f, double, d, const char *, text, void *, p),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(char, c, c)
        lttng_ust_field_integer(long, l, l)
        lttng_ust_field_integer(unsigned long, ul, ul)
        lttng_ust_field_integer(size_t, s, s)
        lttng_ust_field_integer_hex(uintptr_t, p, (uintptr_t)p)
        lttng_ust_field_float(float, f, f)
        lttng_ust_field_float(double, d, d)
        lttng_ust_field_float_nowrite(double, hidden_d, d)
        lttng_ust_field_string(text, text)
        lttng_ust_field_string_nowrite(hidden_text, text)
        lttng_ust_field_integer(int, integer, 7)
        lttng_ust_field_integer(int, string, 8)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(
    every, lists,
    LTTNG_UST_TP_ARGS(const int *, numbers, const uint16_t *, network, const char *, text, size_t, count),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_array(int, a, numbers, 3)
        lttng_ust_field_array_hex(int, ah, numbers, 3)
        lttng_ust_field_array_network(uint16_t, an, network, 2)
        lttng_ust_field_array_network_hex(uint16_t, anh, network, 2)
        lttng_ust_field_array_text(char, at, text, 8)
        lttng_ust_field_array_nowrite(int, hidden_a, numbers, 3)
        lttng_ust_field_array_text_nowrite(char, hidden_at, text, 8)
        lttng_ust_field_sequence(int, q, numbers, size_t, count)
        lttng_ust_field_sequence_hex(int, qh, numbers, unsigned int, count)
        lttng_ust_field_sequence_network(uint16_t, qn, network, uint8_t, 2)
        lttng_ust_field_sequence_network_hex(uint16_t, qnh, network, uint16_t, 2)
        lttng_ust_field_sequence_text(char, qt, text, size_t, count)
        lttng_ust_field_sequence_nowrite(int, hidden_q, numbers, size_t, count)
        lttng_ust_field_sequence_text_nowrite(char, hidden_qt, text, size_t, count)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(
    every, enums,
    LTTNG_UST_TP_ARGS(int, value),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_enum(every, colour, int, colour, value)
        lttng_ust_field_enum(every, colour, int8_t, small_colour, (int8_t)value)
        lttng_ust_field_enum_nowrite(every, colour, int, hidden_colour, value)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(every, nothing, LTTNG_UST_TP_ARGS(void), LTTNG_UST_TP_FIELDS())

LTTNG_UST_TRACEPOINT_EVENT_CLASS(
    every, point,
    LTTNG_UST_TP_ARGS(int, x, int, y),
    LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(int, x, x) lttng_ust_field_integer(int, y, y))
)
LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(every, point, every, here, LTTNG_UST_TP_ARGS(int, x, int, y))
LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(every, point, every, there, LTTNG_UST_TP_ARGS(int, x, int, y))
LTTNG_UST_TRACEPOINT_LOGLEVEL(every, there, LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING)
LTTNG_UST_TRACEPOINT_MODEL_EMF_URI(every, there, "http://example.org/there")

#endif

#include <lttng/tracepoint-event.h>
