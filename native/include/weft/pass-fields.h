/* Pass: field descriptions, one array per event class, ended by an empty field. */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#define WEFT_INTEGER_OF(type, reverse, base) \
    { (uint8_t)(sizeof(type) * 8), (uint8_t)(WEFT_SIGN_OF(type) | ((reverse) ? WEFT_INT_REVERSE : 0u)), base }
#define WEFT_NO_INTEGER { 0, 0, 0 }
#define weft_ext_integer(type, item, src, reverse, base, write) \
    { #item, WEFT_KIND_INTEGER, WEFT_FLAGS_##write, 0, WEFT_INTEGER_OF(type, reverse, base), WEFT_NO_INTEGER, 0, NULL, NULL },
#define weft_ext_float(type, item, src, write)                                                                             \
    { #item, WEFT_KIND_FLOAT, WEFT_FLAGS_##write, 0, { (uint8_t)(WEFT_FLOAT_BYTES(type) * 8), 0, 10 }, WEFT_NO_INTEGER, 0, \
      NULL, NULL },
#define weft_ext_string(item, src, write) \
    { #item, WEFT_KIND_STRING, WEFT_FLAGS_##write, 1, WEFT_NO_INTEGER, WEFT_NO_INTEGER, 0, NULL, NULL },
#define weft_ext_array(type, item, src, length, reverse, base, encoding, write)                                    \
    { #item, WEFT_KIND_ARRAY, WEFT_FLAGS_##write, encoding, WEFT_INTEGER_OF(type, reverse, base), WEFT_NO_INTEGER, \
      (uint32_t)(length), NULL, NULL },
#define weft_ext_sequence(type, item, src, length_type, length, reverse, base, encoding, write)      \
    { #item, WEFT_KIND_SEQUENCE, WEFT_FLAGS_##write, encoding, WEFT_INTEGER_OF(type, reverse, base), \
      WEFT_INTEGER_OF(length_type, 0, 10), 0, NULL, NULL },
#define weft_ext_enum(provider, name, type, item, src, write)                                               \
    { #item, WEFT_KIND_ENUM, WEFT_FLAGS_##write, 0, WEFT_INTEGER_OF(type, 0, 10), WEFT_NO_INTEGER, 0, NULL, \
      &weft_enum_##provider##___##name },
#define weft_ext_unused(src)
#define WEFT_ON_CLASS(provider, name, args, fields)                                           \
    static const struct weft_field weft_fields_##provider##___##name[] = {                    \
        WEFT_UNWRAP fields { NULL, 0, 0, 0, WEFT_NO_INTEGER, WEFT_NO_INTEGER, 0, NULL, NULL } \
    };
#define WEFT_FIELD_COUNT(provider, name) (sizeof(weft_fields_##provider##___##name) / sizeof(struct weft_field) - 1)
