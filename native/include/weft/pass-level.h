/* Pass: log levels and model URIs, noted in the event before its provider is registered. */
#include <weft/pass-reset.h>
#undef WEFT_TRACEPOINT_LOGLEVEL
#undef WEFT_TRACEPOINT_MODEL_EMF_URI
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args)
#define WEFT_TRACEPOINT_LOGLEVEL(provider, name, level)                                                     \
    static __attribute__((constructor(150))) void weft_level_##provider##___##name(void)                    \
    {                                                                                                       \
        static const int weft_level = level;                                                                \
        weft_event_##provider##___##name.loglevel = &weft_level;                                            \
    }
#define WEFT_TRACEPOINT_MODEL_EMF_URI(provider, name, uri)                                                  \
    static __attribute__((constructor(150))) void weft_uri_##provider##___##name(void)                      \
    {                                                                                                       \
        static const char *const weft_uri = uri;                                                            \
        weft_event_##provider##___##name.model_emf_uri = &weft_uri;                                         \
    }
