/*
 * A libweft that keeps what probes stage instead of recording it: what the provider macros produce is seen byte for byte, without
 * rings and daemons. It is a shared library of libweft's own name, so programs load it as they load the real one.
 *
 * WEFT_FAKE_OFF=1: all points stay disabled. WEFT_FAKE_OUT=FILE: each record is also written there, one line of text.
 */
#ifndef WEFT_TEST_FAKE_WEFT_H
#define WEFT_TEST_FAKE_WEFT_H

#include <stddef.h>
#include <stdint.h>

#include "weft/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fake_record {
    const struct weft_event *event;
    const char *payload;
    size_t length;
    void *ip;
};

/* The symbol `fake_weft` of the fake library. */
struct fake_weft {
    uint32_t (*events)(void);                       /* registered and not unregistered */
    uint32_t (*points)(void);
    const struct weft_event *(*event)(const char *provider, const char *name);
    const struct weft_point *(*point)(const char *provider, const char *name);
    uint32_t (*records)(void);                      /* kept so far */
    const struct fake_record *(*record)(uint32_t index);
    uint32_t (*staged)(void);                       /* stage() minus unstage() */
    uint32_t (*stages)(void);                       /* stage() ever */
    void (*forget)(void);                           /* all records and what was judged */
    void (*enable)(int sinks);                      /* every point: this many sinks, 0..2, now and when registered */
    void (*refuse_stage)(int yes);                  /* stage() answers NULL */
    void (*filter)(int mode);                       /* every point, after enable(): 0 not filtered, 1 all is kept, 2 all is rejected, 3 the same
                                                       without values */
    const char *(*judged)(const char *name, uint32_t nth); /* values that an event's filter saw, as text; NULL: it was not asked so often */
};

#ifdef __cplusplus
}
#endif
#endif
