/*
 * Pass: the events. Their full names fit in 255 bytes, as in every tool that reads them. The list of a provider's events is a section
 * of pointers, not an initializer with the header read once more in it: whatever a provider header includes would stand there too.
 */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_CLASS(provider, name, args, fields)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)                                                   \
    typedef char weft_name_is_too_long_##provider##___##name[sizeof(#provider ":" #name) <= 256 ? 1 : -1]                 \
        __attribute__((unused));                                                                                          \
    static struct weft_event weft_event_##provider##___##name = {                                                         \
        sizeof(struct weft_event), #provider, #name, WEFT_SIGNATURE(args), weft_fields_##class_provider##___##class_name, \
        (uint32_t)WEFT_FIELD_COUNT(class_provider, class_name), NULL, NULL,                                               \
        (void (*)(void))weft_probe_##class_provider##___##class_name, NULL, WEFT_EVENT_EVALUATES                          \
    };                                                                                                                    \
    static struct weft_event *weft_event_pointer_##provider##___##name                                                    \
        __attribute__((used, section(WEFT_TEXT(WEFT_CAT(weft_events_, WEFT_TRACEPOINT_PROVIDER))))) WEFT_RETAIN =         \
            &weft_event_##provider##___##name;
