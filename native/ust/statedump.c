#define _GNU_SOURCE
#include "ust/statedump.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ust/object_events.h"

void weft_read_procname(char *name, size_t size)
{
    const int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd < 0 ? 0 : read(fd, name, size - 1);
    name[length > 0 && name[length - 1] == '\n' ? length - 1 : length > 0 ? length : 0] = 0;
    if (fd >= 0)
        close(fd);
}

static int is_set(const char *variable)
{
    const char *value = secure_getenv(variable);
    return value && value[0] && value[0] != '0';
}

static void dump_procname(const struct weft_channel *c)
{
    char name[WEFT_PROCNAME_BYTES] = "";
    weft_read_procname(name, sizeof(name));
    weft_statedump_procname(c, name);
}

static void dump_objects(const struct weft_channel *c)
{
    struct weft_object *all = weft_objects_list();
    for (struct weft_object *o = all; o; o = o->next) {
        weft_object_read_file(o);
        weft_statedump_object(c, o);
    }
    weft_objects_free(all);
}

void weft_statedump(const struct weft_channel *c)
{
    if (!weft_statedump_wanted(c) || is_set("WEFT_NO_STATEDUMP"))
        return;
    weft_statedump_start(c);
    if (!is_set("LTTNG_UST_WITHOUT_PROCNAME_STATEDUMP"))
        dump_procname(c);
    if (!is_set("LTTNG_UST_WITHOUT_BADDR_STATEDUMP"))
        dump_objects(c);
    weft_statedump_end(c);
}
