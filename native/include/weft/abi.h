/*
 * The binary interface between an instrumented program and libweft.so.0. A program never links the library: its first
 * constructor dlopen()s it and takes the table `weft_library`; without the library a tracepoint stays one load and one branch.
 *
 * Structures only grow at the end; `size` members say how much of them a side knows.
 */
#ifndef WEFT_ABI_H
#define WEFT_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_LIBRARY_SONAME "libweft.so.0"
#define WEFT_LIBRARY_ABI 1u
/* A probe stages its payload with this many writable bytes before it (event header and contexts go there) ... */
#define WEFT_STAGE_HEADROOM 128u
/* ... and this many readable bytes after it (copies go in whole words). */
#define WEFT_STAGE_TAIL 16u
/* Payloads up to this size are staged on the stack, larger ones in memory from weft_library.stage. */
#define WEFT_STAGE_STACK 512u

enum weft_kind { WEFT_KIND_INTEGER = 0, WEFT_KIND_STRING = 1, WEFT_KIND_FLOAT = 2, WEFT_KIND_ENUM = 4, WEFT_KIND_ARRAY = 5, WEFT_KIND_SEQUENCE = 6 };

#define WEFT_INT_SIGNED 1u
#define WEFT_INT_REVERSE 2u /* stored in the other byte order (network order on little-endian machines) */
#define WEFT_FIELD_NOWRITE 1u
#define WEFT_ENTRY_START_SIGNED 1u
#define WEFT_ENTRY_END_SIGNED 2u
#define WEFT_ENTRY_AUTO 4u
#define WEFT_EVENT_EVALUATES 1u /* the probe looks at weft_sink.filtered: a program that was built before it was there cannot be filtered */

struct weft_integer_type {
    uint8_t bits; /* 8, 16, 32, 64; for floats 32, 64 */
    uint8_t flags; /* WEFT_INT_* */
    uint8_t base;  /* 2, 8, 10, 16: display */
};

struct weft_enum_entry {
    int64_t start;
    int64_t end;
    uint32_t flags; /* WEFT_ENTRY_* */
    const char *label;
};

struct weft_enum {
    const char *name;
    const struct weft_enum_entry *entries;
    uint32_t entry_count;
};

struct weft_field {
    const char *name;
    uint8_t kind;     /* enum weft_kind */
    uint8_t flags;    /* WEFT_FIELD_* */
    uint8_t encoding; /* 0 none, 1 UTF-8: strings, text arrays and text sequences */
    struct weft_integer_type integer; /* the integer, float, enum container or element */
    struct weft_integer_type length_type; /* SEQUENCE */
    uint32_t length;  /* ARRAY: elements */
    const char *length_name; /* SEQUENCE: NULL unless the provider names it */
    const struct weft_enum *enumeration; /* ENUM */
};

struct weft_sink;

/* With NO_VALUES evaluate is called with `values` NULL and `count` 0, and rejects the event; a probe that builds the values all the
 * same, as with any other nonzero number, only takes longer. */
enum weft_filtered { WEFT_FILTERED_NOT = 0, WEFT_FILTERED_BY_VALUES = 1, WEFT_FILTERED_NO_VALUES = 2 };

/* One probe: how an event of a provider is described and serialised. */
struct weft_event {
    uint32_t size; /* of this structure */
    const char *provider;
    const char *name;
    const char *signature; /* argument types as text; a point and a probe match on provider, name and signature */
    const struct weft_field *fields;
    uint32_t field_count;
    const int *loglevel;         /* NULL: not declared */
    const char *const *model_emf_uri; /* NULL: none */
    void (*probe)(void);         /* really void (*)(struct weft_sink *, arguments of the tracepoint...) */
    void *library;               /* libweft's own */
    uint32_t flags;              /* WEFT_EVENT_* */
};

struct weft_provider {
    uint32_t size;
    const char *name;
    struct weft_event *const *events;
    uint32_t event_count;
    void *library;
};

/* Where a point's event goes: one (point, channel). Sinks of a point form a list that only grows; a sink that is switched off
 * has on == 0 and is passed over. Its memory stays valid until the point itself is unregistered. */
struct weft_sink {
    uint32_t on;
    uint32_t filtered; /* enum weft_filtered. Nonzero: the probe asks weft_library.evaluate before it does anything else */
    void (*probe)(void);
    struct weft_sink *next;
    /* libweft's own fields follow */
};

enum weft_value_kind { WEFT_VALUE_NONE = 0, WEFT_VALUE_INT = 1, WEFT_VALUE_DOUBLE = 2, WEFT_VALUE_STRING = 3, WEFT_VALUE_ARRAY = 4 };
#define WEFT_VALUE_UNMEASURED ((size_t)-1)

/* What a field of an event is worth, for a filter. Nothing is copied and no text is measured. */
struct weft_value {
    uint8_t kind;                     /* enum weft_value_kind */
    struct weft_integer_type element; /* ARRAY: as it lies in memory */
    union {
        int64_t integer; /* in this machine's byte order; an unsigned 64-bit value as its two's complement */
        double number;
        const void *bytes;
    } as;
    size_t length; /* ARRAY: elements. STRING: it ends at its first NUL, or after so many bytes (UNMEASURED: only at its NUL) */
};

enum weft_context_kind {
    WEFT_CONTEXT_VALUE_NONE = 0, /* there is no value now */
    WEFT_CONTEXT_VALUE_INT8 = 1,
    WEFT_CONTEXT_VALUE_INT16 = 2,
    WEFT_CONTEXT_VALUE_INT32 = 3,
    WEFT_CONTEXT_VALUE_INT64 = 4,
    WEFT_CONTEXT_VALUE_UINT8 = 5,
    WEFT_CONTEXT_VALUE_UINT16 = 6,
    WEFT_CONTEXT_VALUE_UINT32 = 7,
    WEFT_CONTEXT_VALUE_UINT64 = 8,
    WEFT_CONTEXT_VALUE_FLOAT = 9,
    WEFT_CONTEXT_VALUE_DOUBLE = 10,
    WEFT_CONTEXT_VALUE_STRING = 11
};

struct weft_context_value {
    uint8_t kind; /* enum weft_context_kind */
    union {
        int64_t integer; /* INT8 .. INT64 */
        uint64_t natural; /* UINT8 .. UINT64 */
        double number;    /* FLOAT, DOUBLE */
        const char *text; /* STRING: ends with NUL, and stays until this thread has recorded the event */
    } as;
};

/* A value that the application adds to events, $app.PROVIDER:NAME; weft/context.h has the functions. */
struct weft_app_context {
    uint32_t size;    /* of this structure */
    const char *name; /* "PROVIDER:NAME", at most 255 bytes */
    /* Called by whatever thread records, also in signal handlers: takes no lock, allocates nothing and meets no tracepoint. */
    void (*get)(void *data, struct weft_context_value *value);
    void *data;
    void *library; /* libweft's own */
};

/* One instrumentation point (call site name) of one loaded object. */
struct weft_point {
    struct weft_sink *sinks; /* NULL: disabled. The one word that a disabled tracepoint loads. */
    uint32_t size;
    const char *provider;
    const char *name;
    const char *signature;
    void *library;
};

/* The symbol `weft_library` of libweft.so.0. */
struct weft_library {
    uint32_t abi;  /* WEFT_LIBRARY_ABI; another value: do not use */
    uint32_t size;
    /* 0, or a negative errno value (the reason is printed with WEFT_UST_DEBUG=1). */
    int (*provider_register)(struct weft_provider *provider);
    void (*provider_unregister)(struct weft_provider *provider);
    int (*points_register)(struct weft_point *const *points, uint32_t count);
    void (*points_unregister)(struct weft_point *const *points, uint32_t count);
    /* Record an event whose payload lies at payload[0..length), staged as said above. Async-signal-safe. */
    void (*record)(struct weft_sink *sink, char *payload, size_t length, void *ip);
    /* Staging memory for `length` payload bytes, with headroom and tail; NULL: counted as lost on `sink`. Async-signal-safe. */
    char *(*stage)(struct weft_sink *sink, size_t length);
    void (*unstage)(char *payload);
    /* tracef, tracelog: `point` is the library's own instrumentation point. */
    struct weft_point *tracef_point;
    struct weft_point *const *tracelog_points; /* by log level 0..14 */
    void (*vtracef)(void *ip, const char *format, __builtin_va_list arguments);
    void (*vtracelog)(int level, void *ip, const char *file, int line, const char *function, const char *format,
                      __builtin_va_list arguments);
    /* Libraries whose `size` ends here have none of the following, and never set weft_sink.filtered. */
    /* Does the sink's filter let this event through? `values`: one for each field. Async-signal-safe. */
    int (*evaluate)(struct weft_sink *sink, const struct weft_value *values, uint32_t count, void *ip);
    /* 0, or a negative errno value: -EINVAL (the name), -EEXIST (another one has it), -ENOMEM. */
    int (*app_context_register)(struct weft_app_context *context);
    void (*app_context_unregister)(struct weft_app_context *context);
    /* Before (0) and after (1) a dlopen() or dlclose(), by whoever stands between program and loader. */
    void (*objects_change)(int changed);
};
#define WEFT_LIBRARY_SIZE_MIN offsetof(struct weft_library, evaluate)

#ifdef __cplusplus
}
#endif
#endif
