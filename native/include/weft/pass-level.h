/* Pass: log levels and model URIs, noted in the event before its provider is registered. */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_CLASS(provider, name, args, fields)
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)                                             \
    static __attribute__((constructor(150))) void weft_level_##provider##___##name(void) \
    {                                                                                    \
        static const int weft_level = level;                                             \
        weft_event_##provider##___##name.loglevel = &weft_level;                         \
    }
#define WEFT_ON_URI(provider, name, uri)                                               \
    static __attribute__((constructor(150))) void weft_uri_##provider##___##name(void) \
    {                                                                                  \
        static const char *const weft_uri = uri;                                       \
        weft_event_##provider##___##name.model_emf_uri = &weft_uri;                    \
    }
