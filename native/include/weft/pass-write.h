/* Pass: writing a payload, field after field without padding. */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#define WEFT_PUT_VALUE(type, src)                   \
    {                                               \
        type weft_value = (type)(src);              \
        memcpy(weft_at, &weft_value, sizeof(type)); \
        weft_at += sizeof(type);                    \
    }
#define WEFT_PUT_FLOAT(type, src)      \
    if (sizeof(type) > sizeof(double)) \
        WEFT_PUT_VALUE(double, src)    \
    else                               \
        WEFT_PUT_VALUE(type, src)
#define weft_ext_integer(type, item, src, reverse, base, write) WEFT_IF_##write(WEFT_PUT_VALUE(type, src))
#define weft_ext_float(type, item, src, write) WEFT_IF_##write(WEFT_PUT_FLOAT(type, src))
#define weft_ext_enum(provider, name, type, item, src, write) WEFT_IF_##write(WEFT_PUT_VALUE(type, src))
#define weft_ext_string(item, src, write) WEFT_IF_##write(weft_at = weft_put_string(weft_at, weft_dynamic++);)
#define WEFT_PUT_BYTES_0(from, bytes) memcpy(weft_at, from, bytes); weft_at += (bytes);
#define WEFT_PUT_BYTES_1(from, bytes) weft_at = weft_put_text(weft_at, from, bytes);
#define weft_ext_array(type, item, src, length, reverse, base, encoding, write) \
    WEFT_IF_##write(WEFT_PUT_BYTES_##encoding((const void *)(src), sizeof(type) * (length)))
#define weft_ext_sequence(type, item, src, length_type, count, reverse, base, encoding, write) \
    WEFT_IF_##write(                                                                           \
        WEFT_PUT_VALUE(length_type, weft_dynamic->length / sizeof(type))                       \
        if (weft_dynamic->length) {                                                            \
            WEFT_PUT_BYTES_##encoding(weft_dynamic->from, weft_dynamic->length)                \
        }                                                                                      \
        weft_dynamic++;)
#define weft_ext_unused(src)
#define WEFT_ON_CLASS(provider, name, args, fields)                                                             \
    static __inline__ __attribute__((unused, always_inline)) void weft_write_##provider##___##name(             \
        char *weft_at __attribute__((unused)), const struct weft_measured *weft_dynamic __attribute__((unused)) \
        WEFT_PARAMETERS(args))                                                                                  \
    {                                                                                                           \
        WEFT_UNWRAP fields                                                                                      \
    }
