/* Pass: enumerations. */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_CLASS(provider, name, args, fields)
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#define weft_field_enum_value(string, value) \
    { (int64_t)(value), (int64_t)(value),    \
      WEFT_SIGN_OF(__typeof__(value)) * (WEFT_ENTRY_START_SIGNED | WEFT_ENTRY_END_SIGNED), string },
#define weft_field_enum_range(string, start, end) \
    { (int64_t)(start), (int64_t)(end),           \
      WEFT_SIGN_OF(__typeof__(start)) * WEFT_ENTRY_START_SIGNED | WEFT_SIGN_OF(__typeof__(end)) * WEFT_ENTRY_END_SIGNED, string },
#define weft_field_enum_auto(string) { 0, 0, WEFT_ENTRY_AUTO, string },
#define WEFT_ON_ENUM(provider, name, values)                                                                \
    static const struct weft_enum_entry weft_enum_entries_##provider##___##name[] = { WEFT_UNWRAP values }; \
    static const struct weft_enum weft_enum_##provider##___##name __attribute__((unused)) = {               \
        #name, weft_enum_entries_##provider##___##name,                                                     \
        (uint32_t)(sizeof(weft_enum_entries_##provider##___##name) / sizeof(struct weft_enum_entry))        \
    };
