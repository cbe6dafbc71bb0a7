#include "ust/libraries.h"

#include <string.h>

#include "ust/object_events.h"

/* What was there when somebody last looked; NULL: nobody wanted to know. */
static struct weft_object *known;

static const struct weft_object *find(const struct weft_object *list, const struct weft_object *object)
{
    while (list && (list->base != object->base || strcmp(list->path, object->path) != 0))
        list = list->next;
    return list;
}

static void tell_changes(const struct weft_object *before, struct weft_object *now)
{
    for (const struct weft_object *o = before; o; o = o->next) {
        if (!find(now, o))
            weft_lib_unload(o->base);
    }
    for (struct weft_object *o = now; o; o = o->next) {
        if (find(before, o))
            continue;
        weft_object_read_file(o);
        weft_lib_load(o);
    }
}

void weft_libraries_change(int changed)
{
    if (weft_lib_wanted() && known && !changed)
        return; /* a dlopen() inside another one: the outer one's libraries are news too */
    struct weft_object *before = known;
    known = weft_lib_wanted() ? weft_objects_list() : NULL;
    if (before && known)
        tell_changes(before, known);
    weft_objects_free(before);
}
