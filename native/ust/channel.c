#define _GNU_SOURCE
#include "ust/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ring/format.h"
#include "ust/app_context.h"
#include "ust/context.h"
#include "ust/perf_counter.h"
#include "ust/wire.h"
#include "weft/abi.h"

/* 2 s: a thread that left by longjmp() out of a signal handler, or was cancelled there, never gives its lock back. */
#define QUIESCE_NAPS_MAX 20000u

/* Memory that another user could cut short would be SIGBUS in that user's hands. */
static int check_memory(int fd, uint64_t bytes)
{
    return weft_memory_check(fd, bytes) == 0 ? 0 : -EBADF;
}

int weft_channel_map(struct weft_channel *c, const struct weft_geometry *g, int ring_fd, int reader_fd)
{
    int status = weft_geometry_check(g);
    if (status == 0)
        status = check_memory(ring_fd, weft_ring_memory_bytes(g));
    if (status == 0)
        status = check_memory(reader_fd, weft_reader_memory_bytes(g));
    if (status)
        return status;
    c->need = calloc(1, sizeof(*c->need));
    if (!c->need)
        return -ENOMEM;
    c->need->words = (g->cpu_count + 63) / 64;
    char *memory = mmap(NULL, weft_ring_memory_bytes(g), PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
    if (memory == MAP_FAILED) {
        status = -errno;
        free(c->need);
        return status;
    }
    void *reader = mmap(NULL, weft_reader_memory_bytes(g), PROT_READ, MAP_SHARED, reader_fd, 0);
    if (reader == MAP_FAILED) {
        status = -errno;
        munmap(memory, weft_ring_memory_bytes(g));
        free(c->need);
        return status;
    }
    c->memory = memory;
    c->reader = reader;
    c->control_stride = weft_control_stride(g);
    c->data_offset = weft_data_offset(g, 0);
    c->data_bytes = weft_data_bytes(g);
    c->subbuf_size = g->subbuf_size;
    c->subbuf_count = g->subbuf_count;
    c->subbuf_order = (uint32_t)__builtin_ctz(g->subbuf_size);
    c->cpu_count = g->cpu_count;
    c->mode = g->mode;
    c->sync = g->sync;
    c->per_channel = g->allocation == WEFT_ALLOCATION_PER_CHANNEL;
    return 0;
}

int weft_channel_meet(const struct weft_channel *c, uint32_t cpu)
{
    const uint64_t bit = 1ull << cpu % 64;
    if (__atomic_fetch_or(&c->need->met[cpu / 64], bit, __ATOMIC_RELAXED) & bit)
        return 0;
    __atomic_store_n(&c->need->asking, 1, __ATOMIC_RELEASE);
    return 1;
}

int weft_channel_ask(struct weft_channel *c, uint32_t *cpu)
{
    struct weft_need *n = c->need;
    __atomic_exchange_n(&n->asking, 0, __ATOMIC_ACQ_REL);
    for (uint32_t i = 0; i < n->words; i++) {
        uint64_t open = __atomic_load_n(&n->met[i], __ATOMIC_RELAXED) & ~n->asked[i];
        for (; open; open &= open - 1) {
            *cpu = i * 64 + (uint32_t)__builtin_ctzll(open);
            n->asked[i] |= open & -open;
            if (!__atomic_load_n(&weft_channel_ring(c, *cpu)->ready, __ATOMIC_ACQUIRE))
                return 1;
        }
    }
    return 0;
}

void weft_channel_ask_again(struct weft_channel *c)
{
    memset(c->need->asked, 0, sizeof(c->need->asked));
    __atomic_store_n(&c->need->asking, 1, __ATOMIC_RELEASE);
}

static int find_counter(struct weft_channel_context *context, const struct weft_context_wanted *wanted)
{
    uint32_t type;
    uint64_t config;
    if (wanted->length != sizeof(type) + sizeof(config))
        return -EINVAL;
    memcpy(&type, wanted->bytes, sizeof(type));
    memcpy(&config, wanted->bytes + sizeof(type), sizeof(config));
    const int number = weft_perf_counter(type, config);
    context->counter = (uint16_t)number;
    return number < 0 ? -ENOSPC : 0;
}

static int find_place(struct weft_channel_context *context, const struct weft_context_wanted *wanted)
{
    context->place = weft_app_context_place((const char *)wanted->bytes, wanted->length);
    return context->place ? 0 : -errno;
}

static int fill_context(struct weft_channel_context *context, const struct weft_context_wanted *wanted)
{
    context->type = wanted->type;
    if (wanted->type == WEFT_CONTEXT_PERF_THREAD)
        return find_counter(context, wanted);
    if (wanted->type == WEFT_CONTEXT_APP)
        return find_place(context, wanted);
    return wanted->length || !weft_context_size(wanted->type) ? -EINVAL : 0;
}

static int fill_contexts(struct weft_channel *c, struct weft_channel_context *contexts, const struct weft_context_wanted *wanted,
                         uint32_t count)
{
    uint32_t at = 0, bytes = 0;
    int status = 0;
    for (int app = 0; app < 2; app++) {
        for (uint32_t i = 0; i < count && status == 0; i++) {
            if ((wanted[i].type == WEFT_CONTEXT_APP) != app)
                continue;
            status = fill_context(&contexts[at++], &wanted[i]);
            bytes += weft_context_size(wanted[i].type);
        }
        if (!app)
            c->context_count = (uint8_t)at;
    }
    c->app_count = (uint8_t)(at - c->context_count);
    c->context_bytes = (uint16_t)bytes;
    c->copied = c->app_count || bytes > WEFT_STAGE_HEADROOM - WEFT_HEADER_MAX;
    return status;
}

int weft_channel_contexts(struct weft_channel *c, const struct weft_context_wanted *wanted, uint32_t count)
{
    if (count > WEFT_CONTEXTS_MAX)
        return -EINVAL;
    struct weft_channel_context *contexts = calloc(count + 1, sizeof(*contexts));
    if (!contexts)
        return -ENOMEM;
    const int status = fill_contexts(c, contexts, wanted, count);
    if (status == 0) {
        c->contexts = contexts;
        return 0;
    }
    free(contexts);
    c->context_count = 0;
    c->app_count = 0;
    return status;
}

static void cover(void *address, uint64_t bytes)
{
    mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void weft_channel_unmap(struct weft_channel *c)
{
    cover(c->memory, c->data_offset + c->data_bytes * c->cpu_count);
    cover((void *)(uintptr_t)c->reader, (uint64_t)c->cpu_count * sizeof(struct weft_reader_page));
}

/*
 * Looking is an atomic write that changes nothing: who takes the lock after it sees what we stored before it (the target is off),
 * who took it before is seen and waited for. Only this application's threads matter, and only the hold that was seen.
 */
static int outlast_holder(struct weft_ring *ring, uint32_t application, uint32_t *naps)
{
    const struct timespec nap = { 0, 100000 };
    const uint64_t holder = __atomic_fetch_add(&ring->lock, 0, __ATOMIC_ACQ_REL);
    while (holder && (holder >> 32) == application && __atomic_load_n(&ring->lock, __ATOMIC_ACQUIRE) == holder) {
        if ((*naps)++ == QUIESCE_NAPS_MAX)
            return ETIMEDOUT;
        nanosleep(&nap, NULL);
    }
    return 0;
}

int weft_channel_quiesce(struct weft_channel *c)
{
    uint32_t naps = 0;
    int status = 0;
    for (uint32_t cpu = 0; cpu < c->cpu_count && status == 0; cpu++)
        status = outlast_holder(weft_channel_ring(c, cpu), c->application, &naps);
    return status;
}
