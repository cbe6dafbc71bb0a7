/*
 * The last line of a provider header. In the file that defines WEFT_TRACEPOINT_CREATE_PROBES it reads the provider header again and
 * again, each time with another meaning of its macros: enumerations, field descriptions, measuring, writing, values, probes, events,
 * log levels. No include guard: a file may have several providers.
 */
#pragma GCC system_header
#if defined(WEFT_TRACEPOINT_CREATE_PROBES) && !defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define WEFT_TRACEPOINT_HEADER_MULTI_READ

#include <weft/fields.h>
#include <weft/serialize.h>

#include <weft/pass-enums.h>
#include WEFT_TRACEPOINT_INCLUDE
#include <weft/pass-fields.h>
#include WEFT_TRACEPOINT_INCLUDE
#include <weft/pass-measure.h>
#include WEFT_TRACEPOINT_INCLUDE
#include <weft/pass-write.h>
#include WEFT_TRACEPOINT_INCLUDE
#include <weft/pass-values.h>
#include WEFT_TRACEPOINT_INCLUDE
#include <weft/pass-probe.h>
#include WEFT_TRACEPOINT_INCLUDE
#include <weft/pass-event.h>
#include WEFT_TRACEPOINT_INCLUDE
#include <weft/pass-level.h>
#include WEFT_TRACEPOINT_INCLUDE

/* The provider's events: the section that the pass over its events filled. */
WEFT_EXTERN_C struct weft_event *WEFT_CAT(__start_weft_events_, WEFT_TRACEPOINT_PROVIDER)[]
    __attribute__((weak, visibility("hidden")));
WEFT_EXTERN_C struct weft_event *WEFT_CAT(__stop_weft_events_, WEFT_TRACEPOINT_PROVIDER)[]
    __attribute__((weak, visibility("hidden")));
static struct weft_provider WEFT_CAT(weft_provider_, WEFT_TRACEPOINT_PROVIDER) = {
    sizeof(struct weft_provider), WEFT_TEXT(WEFT_TRACEPOINT_PROVIDER), WEFT_CAT(__start_weft_events_, WEFT_TRACEPOINT_PROVIDER), 0,
    NULL
};
/* What objects with this provider's points refer to (weft/points.h). */
WEFT_EXTERN_C int WEFT_CAT(weft_probes_of_, WEFT_TRACEPOINT_PROVIDER) WEFT_PROBES_VISIBILITY;
int WEFT_CAT(weft_probes_of_, WEFT_TRACEPOINT_PROVIDER) = 1;

static __attribute__((constructor(151))) void WEFT_CAT(weft_provider_load_, WEFT_TRACEPOINT_PROVIDER)(void)
{
    struct weft_provider *provider = &WEFT_CAT(weft_provider_, WEFT_TRACEPOINT_PROVIDER);
    const uintptr_t end = (uintptr_t)WEFT_CAT(__stop_weft_events_, WEFT_TRACEPOINT_PROVIDER);
    provider->event_count = (uint32_t)((end - (uintptr_t)provider->events) / sizeof(struct weft_event *));
    if (weft_module_open())
        weft_module.library->provider_register(provider);
}

static __attribute__((destructor(151))) void WEFT_CAT(weft_provider_unload_, WEFT_TRACEPOINT_PROVIDER)(void)
{
    if (weft_module.library)
        weft_module.library->provider_unregister(&WEFT_CAT(weft_provider_, WEFT_TRACEPOINT_PROVIDER));
}

#undef WEFT_TRACEPOINT_HEADER_MULTI_READ
/* Back to the meaning that the next provider header expects. */
#include <weft/pass-declare.h>
#endif
