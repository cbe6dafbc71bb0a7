/* libweft.so.0: the table that instrumented programs take, and what happens at load and at exit. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "ust/app_context.h"
#include "ust/builtin.h"
#include "ust/commit.h"
#include "ust/context.h"
#include "ust/libraries.h"
#include "ust/listener.h"
#include "ust/object_events.h"
#include "ust/record.h"
#include "ust/registry.h"
#include "ust/stage.h"

/* Set when the process ends: objects' destructors then run although their code stays, and what they would withdraw is still to
 * be recorded by whoever comes after them. */
static int exiting;

static void note_exit(void)
{
    exiting = 1;
}

static int forced_lock_mode(void)
{
    const char *value = secure_getenv("WEFT_UST_FORCE_LOCK");
    return value && value[0] && value[0] != '0';
}

static __attribute__((constructor)) void load(void)
{
    weft_context_init();
    const int membarrier = weft_registry_init();
    weft_listener_init(membarrier == 0 && weft_rseq_available() && !forced_lock_mode());
    weft_record_switched = weft_listener_switched;
    weft_record_starved = weft_listener_starved;
    weft_registry_lock();
    weft_builtin_register();
    weft_object_events_register();
    weft_registry_unlock();
    atexit(note_exit);
}

static int provider_register(struct weft_provider *provider)
{
    weft_registry_lock();
    const int status = weft_registry_add_provider(provider);
    if (status == 0)
        weft_listener_notify();
    weft_registry_unlock();
    return status;
}

static void provider_unregister(struct weft_provider *provider)
{
    if (exiting)
        return;
    weft_registry_lock();
    weft_registry_remove_provider(provider);
    weft_listener_notify();
    weft_registry_unlock();
}

static int points_register(struct weft_point *const *points, uint32_t count)
{
    weft_registry_lock();
    const int status = weft_registry_add_points(points, count);
    weft_listener_notify();
    weft_registry_unlock();
    weft_listener_wait();
    return status;
}

static void points_unregister(struct weft_point *const *points, uint32_t count)
{
    if (exiting)
        return;
    weft_registry_lock();
    weft_registry_remove_points(points, count);
    weft_registry_unlock();
}

static int app_context_register(struct weft_app_context *context)
{
    weft_registry_lock();
    const int status = weft_app_context_add(context);
    weft_registry_unlock();
    return status;
}

static void app_context_unregister(struct weft_app_context *context)
{
    if (exiting)
        return;
    weft_registry_lock();
    const int removed = weft_app_context_remove(context);
    weft_registry_unlock();
    if (removed)
        weft_registry_grace();
}

static void objects_change(int changed)
{
    const int saved = errno;
    weft_registry_lock();
    weft_libraries_change(changed);
    weft_registry_unlock();
    errno = saved;
}

static char *stage(struct weft_sink *sink, size_t length)
{
    const int saved = errno;
    char *payload = weft_stage_take(length);
    if (!payload)
        weft_record_lost(sink, WEFT_LOST_NO_MEMORY);
    errno = saved;
    return payload;
}

__attribute__((visibility("default"))) const struct weft_library weft_library = {
    .abi = WEFT_LIBRARY_ABI,
    .size = sizeof(struct weft_library),
    .provider_register = provider_register,
    .provider_unregister = provider_unregister,
    .points_register = points_register,
    .points_unregister = points_unregister,
    .record = weft_record,
    .stage = stage,
    .unstage = weft_stage_give,
    .tracef_point = &weft_tracef_point,
    .tracelog_points = weft_tracelog_points,
    .vtracef = weft_vtracef,
    .vtracelog = weft_vtracelog,
    .evaluate = weft_evaluate,
    .app_context_register = app_context_register,
    .app_context_unregister = app_context_unregister,
    .objects_change = objects_change,
};
