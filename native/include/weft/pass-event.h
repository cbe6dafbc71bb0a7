/* Pass: the events. */
#include <weft/pass-reset.h>
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args)                                    \
    static struct weft_event weft_event_##provider##___##name = {                                                           \
        sizeof(struct weft_event), #provider, #name, WEFT_SIGNATURE(args), weft_fields_##class_provider##___##class_name,   \
        (uint32_t)WEFT_FIELD_COUNT(class_provider, class_name), NULL, NULL,                                                 \
        (void (*)(void))weft_probe_##class_provider##___##class_name, NULL                                                  \
    };
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields) WEFT_TRACEPOINT_EVENT_INSTANCE(provider, name, provider, name, args)
