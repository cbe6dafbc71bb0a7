/* Pass: the probes. A payload is staged on the stack, or in the library's memory when it is large, and handed over. */
#include <weft/pass-reset.h>
#define WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)                                                            \
    static __attribute__((noinline)) void weft_probe_##provider##___##name(struct weft_sink *weft_sink WEFT_PARAMETERS(args)) \
    {                                                                                                                        \
        struct weft_measured weft_dynamic[WEFT_FIELD_COUNT(provider, name) + 1];                                             \
        char weft_stage[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL] __attribute__((aligned(16)));              \
        char *weft_payload = weft_stage + WEFT_STAGE_HEADROOM;                                                               \
        const size_t weft_length = weft_measure_##provider##___##name(weft_dynamic WEFT_NAMES(args));                        \
        if (__builtin_expect(weft_length > WEFT_STAGE_STACK, 0))                                                             \
            weft_payload = weft_module_library->stage(weft_sink, weft_length);                                               \
        if (__builtin_expect(!weft_payload, 0))                                                                              \
            return;                                                                                                          \
        weft_write_##provider##___##name(weft_payload, weft_dynamic WEFT_NAMES(args));                                       \
        weft_module_library->record(weft_sink, weft_payload, weft_length, __builtin_return_address(0));                      \
        if (__builtin_expect(weft_length > WEFT_STAGE_STACK, 0))                                                             \
            weft_module_library->unstage(weft_payload);                                                                      \
    }
#define WEFT_TRACEPOINT_EVENT(provider, name, args, fields) WEFT_TRACEPOINT_EVENT_CLASS(provider, name, args, fields)
#define WEFT_TRACEPOINT_EVENT_INSTANCE(class_provider, class_name, provider, name, args)
