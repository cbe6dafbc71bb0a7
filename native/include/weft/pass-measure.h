/* Pass: the size of a payload. Fields of run-time size are measured here, once. */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#define weft_ext_integer(type, item, src, reverse, base, write) WEFT_IF_##write(weft_size += sizeof(type);)
#define weft_ext_float(type, item, src, write) WEFT_IF_##write(weft_size += WEFT_FLOAT_BYTES(type);)
#define weft_ext_string(item, src, write) \
    WEFT_IF_##write(weft_size += weft_measure_string(weft_dynamic++, (const char *)(src));)
#define weft_ext_array(type, item, src, length, reverse, base, encoding, write) \
    WEFT_IF_##write(weft_size += sizeof(type) * (length);)
#define weft_ext_sequence(type, item, src, length_type, count, reverse, base, encoding, write) \
    WEFT_IF_##write(                                                                           \
        weft_dynamic->from = (const void *)(src);                                              \
        weft_dynamic->length = sizeof(type) * (size_t)(length_type)(count);                    \
        weft_size += sizeof(length_type) + (weft_dynamic++)->length;)
#define weft_ext_enum(provider, name, type, item, src, write) WEFT_IF_##write(weft_size += sizeof(type);)
#define weft_ext_unused(src) (void)(src);
#define WEFT_ON_CLASS(provider, name, args, fields)                                                     \
    static __inline__ __attribute__((unused, always_inline)) size_t weft_measure_##provider##___##name( \
        struct weft_measured *weft_dynamic __attribute__((unused)) WEFT_PARAMETERS(args))               \
    {                                                                                                   \
        size_t weft_size = 0;                                                                           \
        WEFT_UNWRAP fields                                                                              \
        return weft_size;                                                                               \
    }
