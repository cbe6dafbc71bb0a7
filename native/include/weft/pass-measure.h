/* Pass: the size of a payload. Fields of run-time size are measured here, once. */
#include <weft/pass-reset.h>
#define weft_ext_integer(type, item, src, reverse, base, write) WEFT_IF_##write(weft_size += sizeof(type);)
#define weft_ext_float(type, item, src, write) WEFT_IF_##write(weft_size += sizeof(type);)
#define weft_ext_string(item, src, write) WEFT_IF_##write(weft_size += weft_measure_string(weft_dynamic++, src);)
#define weft_ext_array(type, item, src, length, reverse, base, encoding, write) WEFT_IF_##write(weft_size += sizeof(type) * (length);)
#define weft_ext_sequence(type, item, src, length_type, count, reverse, base, encoding, write) \
    WEFT_IF_##write(                                                                           \
        weft_dynamic->from = (const void *)(src);                                              \
        weft_dynamic->length = sizeof(type) * (size_t)(length_type)(count);                    \
        weft_size += sizeof(length_type) + (weft_dynamic++)->length;)
#define weft_ext_enum(provider, name, type, item, src, write) WEFT_IF_##write(weft_size += sizeof(type);)
#define weft_ext_unused(src) (void)(src);
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)                                                            \
    static inline __attribute__((unused, always_inline)) size_t weft_measure_##provider##___##name(                          \
        struct weft_measured *weft_dynamic __attribute__((unused)) WEFT_PARAMETERS(args))                                    \
    {                                                                                                                        \
        size_t weft_size = 0;                                                                                                \
        WEFT_UNWRAP fields                                                                                                   \
        return weft_size;                                                                                                    \
    }
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields) WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args)
