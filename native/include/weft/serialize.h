/* What the generated probes are made of. Nothing here is for programs. */
#ifndef WEFT_SERIALIZE_H
#define WEFT_SERIALIZE_H
#pragma GCC system_header

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weft/abi.h>

/* A field whose size is known only at run time, measured once: where it lies and how many bytes of it are recorded. */
struct weft_measured {
    const void *from;
    size_t length;
};

static __inline__ __attribute__((unused, always_inline)) size_t weft_measure_string(struct weft_measured *m, const char *text)
{
    m->from = text ? text : "(null)";
    m->length = strlen((const char *)m->from);
    return m->length + 1;
}

/* Copies what was measured. Whoever owns the text may be changing it: a NUL that was not there before is covered with '#', or a
 * reader would take the rest for the next field. */
static __inline__ __attribute__((unused)) char *weft_put_string(char *at, const struct weft_measured *m)
{
    size_t shown;
    memcpy(at, m->from, m->length);
    at[m->length] = 0;
    shown = strlen(at);
    if (__builtin_expect(shown != m->length, 0))
        memset(at + shown, '#', m->length - shown);
    return at + m->length + 1;
}

/* Text of a given size: up to its NUL, then zeros; what lies behind the NUL is not read. */
static __inline__ __attribute__((unused)) char *weft_put_text(char *at, const void *from, size_t length)
{
    const char *end = (const char *)memchr(from, 0, length);
    const size_t shown = end ? (size_t)(end - (const char *)from) : length;
    memcpy(at, from, shown);
    memset(at + shown, 0, length - shown);
    return at + length;
}

/* An integer of `bytes` bytes, in whatever byte order; `flags`: WEFT_INT_*. Constants where it is inlined. */
static __inline__ __attribute__((unused, always_inline)) int64_t weft_load_integer(const void *from, size_t bytes, unsigned flags)
{
    uint64_t all = 0;
    uint32_t word = 0;
    uint16_t half = 0;
    uint8_t byte = 0;
    switch (bytes) {
    case 1:
        memcpy(&byte, from, 1);
        return flags & WEFT_INT_SIGNED ? (int64_t)(int8_t)byte : (int64_t)byte;
    case 2:
        memcpy(&half, from, 2);
        half = flags & WEFT_INT_REVERSE ? __builtin_bswap16(half) : half;
        return flags & WEFT_INT_SIGNED ? (int64_t)(int16_t)half : (int64_t)half;
    case 4:
        memcpy(&word, from, 4);
        word = flags & WEFT_INT_REVERSE ? __builtin_bswap32(word) : word;
        return flags & WEFT_INT_SIGNED ? (int64_t)(int32_t)word : (int64_t)word;
    case 8:
        memcpy(&all, from, 8);
        return (int64_t)(flags & WEFT_INT_REVERSE ? __builtin_bswap64(all) : all);
    default:
        return 0;
    }
}

static __inline__ __attribute__((unused, always_inline)) void weft_value_integer(struct weft_value *v, const void *from, size_t bytes,
                                                                                 unsigned flags)
{
    v->kind = WEFT_VALUE_INT;
    v->as.integer = weft_load_integer(from, bytes, flags);
}

static __inline__ __attribute__((unused, always_inline)) void weft_value_double(struct weft_value *v, double number)
{
    v->kind = WEFT_VALUE_DOUBLE;
    v->as.number = number;
}

static __inline__ __attribute__((unused, always_inline)) void weft_value_text(struct weft_value *v, const char *text, size_t length)
{
    v->kind = WEFT_VALUE_STRING;
    v->as.bytes = text || length != WEFT_VALUE_UNMEASURED ? text : "(null)";
    v->length = length;
}

static __inline__ __attribute__((unused, always_inline)) void weft_value_array(struct weft_value *v, const void *from, size_t elements,
                                                                               uint8_t bits, unsigned flags)
{
    v->kind = WEFT_VALUE_ARRAY;
    v->element.bits = bits;
    v->element.flags = (uint8_t)flags;
    v->element.base = 10;
    v->as.bytes = from;
    v->length = elements;
}

/* WEFT_INT_SIGNED or 0, a constant for integers, enumerations, floats and pointers (which no constant expression may compare). */
#ifdef __cplusplus
extern "C++" {
template <typename T> struct weft_sign {
    static const unsigned flag = (T)-1 < (T)1 ? WEFT_INT_SIGNED : 0u;
};
template <typename T> struct weft_sign<T *> {
    static const unsigned flag = 0u;
};
}
#define WEFT_SIGN_OF(type) (weft_sign<type>::flag)
#else
#define WEFT_POINTER_CLASS 5 /* of __builtin_classify_type */
#define WEFT_SIGN_OF(type)                                                                       \
    ((unsigned)__builtin_choose_expr(__builtin_classify_type((type)0) == WEFT_POINTER_CLASS, 0u, \
                                     ((type)-1 < (type)1 ? WEFT_INT_SIGNED : 0u)))
#endif

/* A `long double` has no form in a trace that every reader knows: it is recorded as a double. */
#define WEFT_FLOAT_BYTES(type) (sizeof(type) > sizeof(double) ? sizeof(double) : sizeof(type))

#define WEFT_IF_WRITE(...) __VA_ARGS__
#define WEFT_IF_NOWRITE(...)
#define WEFT_FLAGS_WRITE 0u
#define WEFT_FLAGS_NOWRITE WEFT_FIELD_NOWRITE

#endif
