#define _GNU_SOURCE
#include "ust/statedump.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ust/object_events.h"

/* A daemon that is asked for a ring's memory gives it within a few of these. */
#define MEMORY_NAPS 100
static const struct timespec memory_nap = { 0, 1000000 };

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

static int has_memory(const struct weft_channel *c, uint32_t cpu)
{
    return __atomic_load_n(&weft_channel_ring(c, cpu)->ready, __ATOMIC_ACQUIRE) != 0;
}

/* Nothing is waited for on the way of an event, but all of the dump would be lost with the first one that finds no memory. */
static void await_memory(struct weft_connection *connection, struct weft_channel *c, uint32_t cpu)
{
    for (int naps = 0; naps < MEMORY_NAPS && cpu < c->cpu_count && !has_memory(c, cpu); naps++) {
        if (weft_channel_meet(c, cpu) && weft_connection_ask(connection) != 0)
            return;
        nanosleep(&memory_nap, NULL);
    }
}

/* The thread is our own: it stays on one CPU meanwhile, so the dump lies in one ring, whose memory is there. */
static int stay_here(int cpu, cpu_set_t *before)
{
    cpu_set_t here;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(*before), before) != 0)
        return 0;
    CPU_ZERO(&here);
    CPU_SET(cpu, &here);
    return sched_setaffinity(0, sizeof(here), &here) == 0;
}

static void dump(const struct weft_channel *c)
{
    weft_statedump_start(c);
    if (!is_set("LTTNG_UST_WITHOUT_PROCNAME_STATEDUMP"))
        dump_procname(c);
    if (!is_set("LTTNG_UST_WITHOUT_BADDR_STATEDUMP"))
        dump_objects(c);
    weft_statedump_end(c);
}

void weft_statedump(struct weft_connection *connection, struct weft_channel *c)
{
    cpu_set_t before;
    if (!weft_statedump_wanted(c) || is_set("WEFT_NO_STATEDUMP"))
        return;
    const int cpu = sched_getcpu();
    const int stays = stay_here(cpu, &before);
    await_memory(connection, c, c->per_channel || cpu < 0 ? 0 : (uint32_t)cpu);
    dump(c);
    if (stays)
        sched_setaffinity(0, sizeof(before), &before);
}
