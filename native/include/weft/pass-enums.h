/* Pass: enumerations. */
#include <weft/pass-reset.h>
#undef WEFT_TRACEPOINT_ENUM
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args)
#define weft_field_enum_value(string, value) \
    { (int64_t)(value), (int64_t)(value), WEFT_SIGN_OF(__typeof__(value)) * (WEFT_ENTRY_START_SIGNED | WEFT_ENTRY_END_SIGNED), string },
#define weft_field_enum_range(string, start, end)                                                                           \
    { (int64_t)(start), (int64_t)(end),                                                                                     \
      WEFT_SIGN_OF(__typeof__(start)) * WEFT_ENTRY_START_SIGNED | WEFT_SIGN_OF(__typeof__(end)) * WEFT_ENTRY_END_SIGNED, string },
#define weft_field_enum_auto(string) { 0, 0, WEFT_ENTRY_AUTO, string },
#define WEFT_TRACEPOINT_ENUM(provider, name, values)                                                                        \
    static const struct weft_enum_entry weft_enum_entries_##provider##___##name[] = { WEFT_UNWRAP values };                 \
    static const struct weft_enum weft_enum_##provider##___##name = {                                                       \
        #name, weft_enum_entries_##provider##___##name,                                                                     \
        (uint32_t)(sizeof(weft_enum_entries_##provider##___##name) / sizeof(struct weft_enum_entry))                        \
    };
