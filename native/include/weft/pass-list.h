/* Pass: the list of a provider's events, inside an initializer. */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_CLASS(provider, name, args, fields)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args) &weft_event_##provider##___##name,
