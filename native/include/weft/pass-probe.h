/*
 * Pass: the probes. A payload is staged on the stack, or in the library's memory when it is large, and handed over.
 * The record's `ip` is where the probe returns to, unless the provider says which argument holds it (WEFT_TP_IP_PARAM).
 */
#pragma GCC system_header
#include <weft/pass-reset.h>
#define WEFT_ON_EVENT(class_provider, class_name, provider, name, args)
#define WEFT_ON_ENUM(provider, name, values)
#define WEFT_ON_LEVEL(provider, name, level)
#define WEFT_ON_URI(provider, name, uri)
#undef WEFT_PROBE_IP
#ifdef WEFT_TP_IP_PARAM
#define WEFT_PROBE_IP ((void *)(WEFT_TP_IP_PARAM))
#else
#define WEFT_PROBE_IP __builtin_return_address(0)
#endif
/* What a filter rejects costs nothing but its values. A function of its own: the other events' path keeps no register for it. */
#define WEFT_ON_CLASS(provider, name, args, fields)                                                                           \
    static __inline__ __attribute__((always_inline)) void weft_record_##provider##___##name(                                  \
        struct weft_sink *weft_sink, void *weft_ip WEFT_PARAMETERS(args))                                                     \
    {                                                                                                                         \
        struct weft_measured weft_dynamic[WEFT_FIELD_COUNT(provider, name) + 1] WEFT_UNINITIALIZED;                           \
        char weft_stage[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL]                                             \
            __attribute__((aligned(16))) WEFT_UNINITIALIZED;                                                                  \
        char *weft_payload = weft_stage + WEFT_STAGE_HEADROOM;                                                                \
        const size_t weft_length = weft_measure_##provider##___##name(weft_dynamic WEFT_NAMES(args));                         \
        if (__builtin_expect(weft_length > WEFT_STAGE_STACK, 0))                                                              \
            weft_payload = weft_module.library->stage(weft_sink, weft_length);                                                \
        if (__builtin_expect(!weft_payload, 0))                                                                               \
            return;                                                                                                           \
        weft_write_##provider##___##name(weft_payload, weft_dynamic WEFT_NAMES(args));                                        \
        weft_module.library->record(weft_sink, weft_payload, weft_length, weft_ip);                                           \
        if (__builtin_expect(weft_length > WEFT_STAGE_STACK, 0))                                                              \
            weft_module.library->unstage(weft_payload);                                                                       \
    }                                                                                                                         \
    static __attribute__((noinline)) void weft_filtered_##provider##___##name(struct weft_sink *weft_sink,                    \
                                                                              void *weft_ip WEFT_PARAMETERS(args))            \
    {                                                                                                                         \
        struct weft_value weft_values[WEFT_FIELD_COUNT(provider, name) + 1] WEFT_UNINITIALIZED;                               \
        if (__atomic_load_n(&weft_sink->filtered, __ATOMIC_RELAXED) == WEFT_FILTERED_NO_VALUES) {                             \
            weft_module.library->evaluate(weft_sink, NULL, 0, weft_ip);                                                       \
            return;                                                                                                           \
        }                                                                                                                     \
        weft_values_##provider##___##name(weft_values WEFT_NAMES(args));                                                      \
        if (weft_module.library->evaluate(weft_sink, WEFT_FIELD_COUNT(provider, name) ? weft_values : NULL,                   \
                                          (uint32_t)WEFT_FIELD_COUNT(provider, name), weft_ip))                               \
            weft_record_##provider##___##name(weft_sink, weft_ip WEFT_NAMES(args));                                           \
    }                                                                                                                         \
    static __attribute__((noinline)) void weft_probe_##provider##___##name(struct weft_sink *weft_sink WEFT_PARAMETERS(args)) \
    {                                                                                                                         \
        if (__builtin_expect(__atomic_load_n(&weft_sink->filtered, __ATOMIC_RELAXED) != 0, 0))                                \
            weft_filtered_##provider##___##name(weft_sink, WEFT_PROBE_IP WEFT_NAMES(args));                                   \
        else                                                                                                                  \
            weft_record_##provider##___##name(weft_sink, WEFT_PROBE_IP WEFT_NAMES(args));                                     \
    }
