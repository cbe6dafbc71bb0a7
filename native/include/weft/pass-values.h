/*
 * Pass: the values of all fields, those that are not written included, for a filter. Nothing is copied and no text is measured.
 * Whoever is filtered evaluates a field's expression here and, when the event is recorded, once more.
 */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#define WEFT_INTEGER_VALUE(type, src, reverse)                                                                         \
    {                                                                                                                  \
        type weft_source = (type)(src);                                                                                \
        weft_value_integer(weft_at++, &weft_source, sizeof(type), WEFT_SIGN_OF(type) | ((reverse) ? WEFT_INT_REVERSE : 0u)); \
    }
#define weft_ext_integer(type, item, src, reverse, base, write) WEFT_INTEGER_VALUE(type, src, reverse)
#define weft_ext_enum(provider, name, type, item, src, write) WEFT_INTEGER_VALUE(type, src, 0)
#define weft_ext_float(type, item, src, write) weft_value_double(weft_at++, (double)(type)(src));
#define weft_ext_string(item, src, write) weft_value_text(weft_at++, (const char *)(src), WEFT_VALUE_UNMEASURED);
#define WEFT_ELEMENTS_0(type, from, count, reverse) \
    weft_value_array(weft_at++, from, count, (uint8_t)(sizeof(type) * 8), WEFT_SIGN_OF(type) | ((reverse) ? WEFT_INT_REVERSE : 0u));
#define WEFT_ELEMENTS_1(type, from, count, reverse) weft_value_text(weft_at++, (const char *)(from), sizeof(type) * (count));
#define weft_ext_array(type, item, src, length, reverse, base, encoding, write) \
    WEFT_ELEMENTS_##encoding(type, (const void *)(src), (size_t)(length), reverse)
#define weft_ext_sequence(type, item, src, length_type, count, reverse, base, encoding, write) \
    WEFT_ELEMENTS_##encoding(type, (const void *)(src), (size_t)(length_type)(count), reverse)
#define weft_ext_unused(src)
#define WEFT_ON_CLASS(provider, name, args, fields)                                                    \
    static __inline__ __attribute__((unused, always_inline)) void weft_values_##provider##___##name(   \
        struct weft_value *weft_at __attribute__((unused)) WEFT_PARAMETERS(args))                      \
    {                                                                                                  \
        WEFT_UNWRAP fields                                                                             \
    }
