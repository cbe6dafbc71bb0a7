/*
 * libweft-dl.so: traces what a program that knows nothing of it loads and unloads by dlopen(), dlmopen() and dlclose() (LD_PRELOAD), and
 * tells the library, which records what came and went with it (provider lttng_ust_lib).
 *
 * The loader sees these calls come from here: a library that only the RUNPATH of the calling object leads to is not found.
 */
#include "helpers/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/dl_provider.h"

static void *real(void **known, const char *name)
{
    void *found = __atomic_load_n(known, __ATOMIC_RELAXED);
    if (!found) {
        found = dlsym(RTLD_NEXT, name);
        if (!found)
            abort();
        __atomic_store_n(known, found, __ATOMIC_RELAXED);
    }
    return found;
}

static void tell_library(int changed)
{
    const struct weft_library *library = weft_module.library;
    if (library && library->size > offsetof(struct weft_library, objects_change) && library->objects_change)
        library->objects_change(changed);
}

static const struct link_map *map_of(void *handle)
{
    struct link_map *map = NULL;
    return dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? map : NULL;
}

/* An object of another namespace is in no list that can be had here: its name and place are all that is known of it. */
static struct weft_object *stranger(const struct link_map *map)
{
    struct weft_object *o = calloc(1, sizeof(*o) + strlen(map->l_name) + 1);
    if (o) {
        o->base = map->l_addr;
        strcpy(o->path, map->l_name);
    }
    return o;
}

static struct weft_object *take_out(struct weft_object *list, const struct link_map *map)
{
    const uint64_t inside = (uint64_t)(uintptr_t)map->l_ld;
    struct weft_object **link = &list;
    while (*link && (inside < (*link)->base || inside - (*link)->base >= (*link)->bytes))
        link = &(*link)->next;
    struct weft_object *found = *link;
    if (found) {
        *link = found->next;
        found->next = NULL;
    }
    weft_objects_free(list);
    return found;
}

/* What a handle stands for; NULL: it cannot be said. */
static struct weft_object *object_of(void *handle)
{
    const struct link_map *map = map_of(handle);
    if (!map)
        return NULL;
    struct weft_object *o = take_out(weft_objects_list(), map) ?: stranger(map);
    if (o)
        weft_object_read_file(o);
    return o;
}

static int opening_wanted(void)
{
    return weft_tracepoint_enabled(lttng_ust_dl, dlopen) || weft_tracepoint_enabled(lttng_ust_dl, dlmopen) ||
           weft_tracepoint_enabled(lttng_ust_dl, build_id) || weft_tracepoint_enabled(lttng_ust_dl, debug_link);
}

/* `namespace` NULL: dlopen(). Only after success: a failure's dlerror() is the program's. */
static void record_opening(void *handle, const Lmid_t *namespace, int flags, void *ip)
{
    struct weft_object *o = opening_wanted() ? object_of(handle) : NULL;
    if (!o)
        return;
    if (namespace)
        weft_tracepoint(lttng_ust_dl, dlmopen, o, *namespace, flags, ip);
    else
        weft_tracepoint(lttng_ust_dl, dlopen, o, flags, ip);
    if (o->build_id_bytes)
        weft_tracepoint(lttng_ust_dl, build_id, o, ip);
    if (o->has_debug_link)
        weft_tracepoint(lttng_ust_dl, debug_link, o, ip);
    weft_objects_free(o);
}

static void opened(void *handle, const Lmid_t *namespace, int flags, void *ip)
{
    if (!handle)
        return;
    const int saved = errno;
    record_opening(handle, namespace, flags, ip);
    tell_library(1);
    errno = saved;
}

EXPORT void *dlopen(const char *name, int flags)
{
    static void *known;
    void *(*open)(const char *, int) = (void *(*)(const char *, int))real(&known, "dlopen");
    tell_library(0);
    void *handle = open(name, flags);
    opened(handle, NULL, flags, __builtin_return_address(0));
    return handle;
}

EXPORT void *dlmopen(Lmid_t namespace, const char *name, int flags)
{
    static void *known;
    void *(*open)(Lmid_t, const char *, int) = (void *(*)(Lmid_t, const char *, int))real(&known, "dlmopen");
    tell_library(0);
    void *handle = open(namespace, name, flags);
    opened(handle, &namespace, flags, __builtin_return_address(0));
    return handle;
}

EXPORT int dlclose(void *handle)
{
    static void *known;
    int (*close)(void *) = (int (*)(void *))real(&known, "dlclose");
    if (weft_tracepoint_enabled(lttng_ust_dl, dlclose)) {
        const struct link_map *map = map_of(handle);
        if (map)
            weft_tracepoint(lttng_ust_dl, dlclose, (uint64_t)map->l_addr, __builtin_return_address(0));
    }
    tell_library(0);
    const int status = close(handle);
    if (status == 0)
        tell_library(1);
    return status;
}
