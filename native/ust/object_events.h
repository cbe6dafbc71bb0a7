/*
 * The providers that tell where objects lie in memory: lttng_ust_statedump (what is there when recording starts) and lttng_ust_lib
 * (what comes and goes afterwards), under the names that readers know. With the registry's lock held.
 */
#ifndef WEFT_UST_OBJECT_EVENTS_H
#define WEFT_UST_OBJECT_EVENTS_H

#include "ust/channel.h"
#include "ust/context.h"
#include "ust/objects.h"

/* Registers both providers and their points. */
void weft_object_events_register(void);

/* Does anything of the state dump go to the channel? */
int weft_statedump_wanted(const struct weft_channel *c);
void weft_statedump_start(const struct weft_channel *c);
void weft_statedump_procname(const struct weft_channel *c, const char name[WEFT_PROCNAME_BYTES]);
/* bin_info, build_id, debug_link: what there is of them. */
void weft_statedump_object(const struct weft_channel *c, const struct weft_object *object);
void weft_statedump_end(const struct weft_channel *c);

/* Does anybody record what is loaded and unloaded? */
int weft_lib_wanted(void);
void weft_lib_load(const struct weft_object *object);
void weft_lib_unload(uint64_t base);

#endif
