/* What a program asks for by LTTng-UST's names, current and old, under Weft's. Read again with each inclusion of the headers. */
#pragma GCC system_header

#ifndef LTTNG_UST_COMPAT_API_VERSION
#define LTTNG_UST_COMPAT_API_VERSION 0
#endif
/* True when the names of that API are wanted. */
#undef LTTNG_UST_COMPAT_API
#define LTTNG_UST_COMPAT_API(major) (LTTNG_UST_COMPAT_API_VERSION <= (major))

#if !defined(WEFT_TRACEPOINT_DEFINE) && \
    (defined(LTTNG_UST_TRACEPOINT_DEFINE) || (LTTNG_UST_COMPAT_API(0) && defined(TRACEPOINT_DEFINE)))
#define WEFT_TRACEPOINT_DEFINE
#endif
#if !defined(WEFT_TRACEPOINT_PROBE_DYNAMIC_LINKAGE) &&       \
    (defined(LTTNG_UST_TRACEPOINT_PROBE_DYNAMIC_LINKAGE) || \
     (LTTNG_UST_COMPAT_API(0) && defined(TRACEPOINT_PROBE_DYNAMIC_LINKAGE)))
#define WEFT_TRACEPOINT_PROBE_DYNAMIC_LINKAGE
#endif
#if !defined(WEFT_TRACEPOINT_HIDDEN_DEFINITION) && defined(LTTNG_UST_TRACEPOINT_HIDDEN_DEFINITION)
#define WEFT_TRACEPOINT_HIDDEN_DEFINITION
#endif
#if !defined(WEFT_TRACEPOINT_PROVIDER_HIDDEN_DEFINITION) && defined(LTTNG_UST_TRACEPOINT_PROVIDER_HIDDEN_DEFINITION)
#define WEFT_TRACEPOINT_PROVIDER_HIDDEN_DEFINITION
#endif

#if defined(LTTNG_UST_TP_SESSION_CHECK) || (LTTNG_UST_COMPAT_API(0) && defined(TP_SESSION_CHECK))
#error "events for one session only (LTTNG_UST_TP_SESSION_CHECK) are LTTng's own business; Weft does not have them"
#endif
