/* A provider with every kind of field, written for LTTng-UST 2.13 and compiled unchanged for both tracers, in C and in C++. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER weft_every

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./fields_provider.h"

#if !defined(FIELDS_PROVIDER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define FIELDS_PROVIDER_H

#include <lttng/tracepoint.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef FIELDS_PROVIDER_SAMPLE
#define FIELDS_PROVIDER_SAMPLE
enum every_color { EVERY_RED, EVERY_GREEN = 7, EVERY_BLUE };
struct every_sample {
    int8_t i8;
    uint8_t u8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    const int32_t *numbers;  /* 4 of them */
    const uint16_t *network; /* 3, in network order */
    const char *text;        /* 12 bytes: a NUL in the middle, something behind it */
    void *pointer;
};
#endif

LTTNG_UST_TRACEPOINT_EVENT(weft_every, nothing, LTTNG_UST_TP_ARGS(), LTTNG_UST_TP_FIELDS())
LTTNG_UST_TRACEPOINT_EVENT(weft_every, nothing_void, LTTNG_UST_TP_ARGS(void), LTTNG_UST_TP_FIELDS())

LTTNG_UST_TRACEPOINT_EVENT(weft_every, integers, LTTNG_UST_TP_ARGS(const struct every_sample *, s),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int8_t, i8, s->i8)
        lttng_ust_field_integer(uint8_t, u8, s->u8)
        lttng_ust_field_integer(int16_t, i16, s->i16)
        lttng_ust_field_integer(uint16_t, u16, s->u16)
        lttng_ust_field_integer(int32_t, i32, s->i32)
        lttng_ust_field_integer(uint32_t, u32, s->u32)
        lttng_ust_field_integer(int64_t, i64, s->i64)
        lttng_ust_field_integer(uint64_t, u64, s->u64)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, c_types, LTTNG_UST_TP_ARGS(const struct every_sample *, s),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(char, a_char, s->i8)
        lttng_ust_field_integer(unsigned char, a_uchar, s->u8)
        lttng_ust_field_integer(short, a_short, s->i16)
        lttng_ust_field_integer(unsigned short, a_ushort, s->u16)
        lttng_ust_field_integer(int, an_int, s->i32)
        lttng_ust_field_integer(unsigned int, a_uint, s->u32)
        lttng_ust_field_integer(long, a_long, s->i64)
        lttng_ust_field_integer(unsigned long, a_ulong, s->u64)
        lttng_ust_field_integer(long long, a_llong, s->i64)
        lttng_ust_field_integer(unsigned long long, a_ullong, s->u64)
        lttng_ust_field_integer(size_t, a_size, s->u64)
        lttng_ust_field_integer(int, a_bool, s->i32 != 0)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, hexadecimal, LTTNG_UST_TP_ARGS(const struct every_sample *, s),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer_hex(int8_t, i8, s->i8)
        lttng_ust_field_integer_hex(uint8_t, u8, s->u8)
        lttng_ust_field_integer_hex(int32_t, i32, s->i32)
        lttng_ust_field_integer_hex(uint64_t, u64, s->u64)
        lttng_ust_field_integer_hex(unsigned long, pointer, (unsigned long) s->pointer)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, network, LTTNG_UST_TP_ARGS(const struct every_sample *, s),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer_network(uint16_t, net16, __builtin_bswap16(s->u16))
        lttng_ust_field_integer_network(int32_t, net32, (int32_t) __builtin_bswap32((uint32_t) s->i32))
        lttng_ust_field_integer_network_hex(uint32_t, net32_hex, __builtin_bswap32(s->u32))
        lttng_ust_field_integer_network_hex(uint64_t, net64_hex, __builtin_bswap64(s->u64))
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, floats, LTTNG_UST_TP_ARGS(float, f, double, d),
    LTTNG_UST_TP_FIELDS(lttng_ust_field_float(float, f, f) lttng_ust_field_float(double, d, d)))

LTTNG_UST_TRACEPOINT_EVENT(weft_every, strings, LTTNG_UST_TP_ARGS(const char *, a, const char *, b, const char *, none),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_string(a, a)
        lttng_ust_field_string(b, b)
        lttng_ust_field_string(none, none)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, arrays, LTTNG_UST_TP_ARGS(const struct every_sample *, s),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_array(int32_t, plain, s->numbers, 4)
        lttng_ust_field_array_hex(int32_t, hex, s->numbers, 2)
        lttng_ust_field_array_network(uint16_t, net, s->network, 3)
        lttng_ust_field_array_network_hex(uint16_t, net_hex, s->network, 3)
        lttng_ust_field_array_text(char, text, s->text, 12)
        lttng_ust_field_array(char, bytes, s->text, 3)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, sequences, LTTNG_UST_TP_ARGS(const struct every_sample *, s, size_t, count),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_sequence(int32_t, plain, s->numbers, size_t, count)
        lttng_ust_field_sequence_hex(int32_t, hex, s->numbers, unsigned char, count)
        lttng_ust_field_sequence_network(uint16_t, net, s->network, unsigned int, count)
        lttng_ust_field_sequence_network_hex(uint16_t, net_hex, s->network, unsigned short, count)
        lttng_ust_field_sequence_text(char, text, s->text, unsigned long, count * 4)
    )
)

LTTNG_UST_TRACEPOINT_ENUM(weft_every, color,
    LTTNG_UST_TP_ENUM_VALUES(
        lttng_ust_field_enum_value("red", EVERY_RED)
        lttng_ust_field_enum_auto("after red")
        lttng_ust_field_enum_value("green", EVERY_GREEN)
        lttng_ust_field_enum_range("some", 10, 19)
        lttng_ust_field_enum_auto("after some")
        lttng_ust_field_enum_value("BLUE", 42ULL)
    )
)
LTTNG_UST_TRACEPOINT_ENUM(weft_every, step,
    LTTNG_UST_TP_ENUM_VALUES(
        lttng_ust_field_enum_value("back", -1)
        lttng_ust_field_enum_range("far back", -100, -2)
        lttng_ust_field_enum_value("stay", 0)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, enumerations, LTTNG_UST_TP_ARGS(int, a, int, b),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_enum(weft_every, color, int, color, a)
        lttng_ust_field_enum(weft_every, color, uint8_t, small, a)
        lttng_ust_field_enum(weft_every, step, int64_t, step, b)
    )
)

/* Declared, but not recorded: only filters see them. */
LTTNG_UST_TRACEPOINT_EVENT(weft_every, unwritten, LTTNG_UST_TP_ARGS(const struct every_sample *, s, const char *, text, size_t, count),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, before, s->i32)
        lttng_ust_field_integer_nowrite(int, i, s->i32)
        lttng_ust_field_float_nowrite(double, d, 1.5)
        lttng_ust_field_string_nowrite(text, text)
        lttng_ust_field_array_nowrite(int32_t, a, s->numbers, 4)
        lttng_ust_field_array_nowrite_hex(int32_t, ah, s->numbers, 4)
        lttng_ust_field_array_network_nowrite(uint16_t, an, s->network, 3)
        lttng_ust_field_array_network_nowrite_hex(uint16_t, anh, s->network, 3)
        lttng_ust_field_array_text_nowrite(char, at, s->text, 12)
        lttng_ust_field_sequence_nowrite(int32_t, q, s->numbers, size_t, count)
        lttng_ust_field_sequence_nowrite_hex(int32_t, qh, s->numbers, size_t, count)
        lttng_ust_field_sequence_network_nowrite(uint16_t, qn, s->network, size_t, count)
        lttng_ust_field_sequence_network_nowrite_hex(uint16_t, qnh, s->network, size_t, count)
        lttng_ust_field_sequence_text_nowrite(char, qt, s->text, size_t, count)
        lttng_ust_field_enum_nowrite(weft_every, color, int, c, s->i32)
        lttng_ust_field_integer(int, after, s->i32 ^ 1)
    )
)

LTTNG_UST_TRACEPOINT_EVENT(weft_every, ten,
    LTTNG_UST_TP_ARGS(int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h, int, i, int, j),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, a, a) lttng_ust_field_integer(int, b, b) lttng_ust_field_integer(int, c, c)
        lttng_ust_field_integer(int, d, d) lttng_ust_field_integer(int, e, e) lttng_ust_field_integer(int, f, f)
        lttng_ust_field_integer(int, g, g) lttng_ust_field_integer(int, h, h) lttng_ust_field_integer(int, i, i)
        lttng_ust_field_integer(int, j, j)
    )
)
LTTNG_UST_TRACEPOINT_LOGLEVEL(weft_every, ten, LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING)
LTTNG_UST_TRACEPOINT_MODEL_EMF_URI(weft_every, ten, "http://example.org/ten")

LTTNG_UST_TRACEPOINT_EVENT_CLASS(weft_every, a_class, LTTNG_UST_TP_ARGS(int, n, const char *, what),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, n, n)
        lttng_ust_field_string(what, what)
    )
)
LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(weft_every, a_class, weft_every, first, LTTNG_UST_TP_ARGS(int, n, const char *, what))
LTTNG_UST_TRACEPOINT_LOGLEVEL(weft_every, first, LTTNG_UST_TRACEPOINT_LOGLEVEL_EMERG)
LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(weft_every, a_class, weft_every, second, LTTNG_UST_TP_ARGS(int, n, const char *, what))
LTTNG_UST_TRACEPOINT_LOGLEVEL(weft_every, second, LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG)

#endif

#include <lttng/tracepoint-event.h>
