/* The pass that every includer of a provider header sees: instrumentation points are declared, and defined where asked for. */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_CLASS(provider, name, args, fields)
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args) \
    WEFT_DECLARE_POINT(provider, name, args) WEFT_DEFINE_POINT(provider, name, args)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
