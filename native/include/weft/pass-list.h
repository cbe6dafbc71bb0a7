/* Pass: the list of a provider's events, inside an initializer. */
#include <weft/pass-reset.h>
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields) &weft_event_##provider##___##name,
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args) &weft_event_##provider##___##name,
