#define _GNU_SOURCE
#include "test/emitter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ust/clock.h"
#include "ust/context.h"
#include "ust/record.h"
#include "ust/stage.h"

struct emitter {
    struct weft_channel channel;
    struct weft_target targets[EMITTER_IDS];
};

static const uint32_t ids[EMITTER_IDS] = { 3, 300, 70000 };

uint32_t emitter_id(uint64_t number)
{
    return ids[number % EMITTER_IDS];
}

uint8_t emitter_byte(uint64_t number)
{
    return (uint8_t)(number * 31 + 7);
}

struct emitter *emitter_open(const struct weft_geometry *geometry, int ring_fd, int reader_fd, const struct weft_clock_page *clock,
                             uint32_t application)
{
    static const struct weft_context_wanted contexts[] = { { .type = 1 }, { .type = 2 }, { .type = 6 } };
    struct emitter *e = calloc(1, sizeof(*e));
    weft_context_init();
    if (!e || weft_channel_map(&e->channel, geometry, ring_fd, reader_fd) || weft_channel_contexts(&e->channel, contexts, 3) ||
        e->channel.context_bytes != EMITTER_CONTEXT_BYTES) {
        free(e);
        return NULL;
    }
    e->channel.clock = clock;
    e->channel.application = application;
    for (uint32_t i = 0; i < EMITTER_IDS; i++)
        e->targets[i] = (struct weft_target){ .public = { .on = 1 }, .event_id = ids[i], .channel = &e->channel };
    return e;
}

static void record(struct emitter *e, char *payload, uint32_t source, uint64_t number, uint32_t length)
{
    memcpy(payload, &source, 4);
    memcpy(payload + 4, &number, 8);
    memcpy(payload + 12, &length, 4);
    memset(payload + EMITTER_FIXED_BYTES, emitter_byte(number), length);
    weft_record(&e->targets[number % EMITTER_IDS].public, payload, EMITTER_FIXED_BYTES + length, __builtin_return_address(0));
}

void emitter_emit(struct emitter *e, uint32_t source, uint64_t number, uint32_t length)
{
    char stage[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL];
    if (EMITTER_FIXED_BYTES + length <= WEFT_STAGE_STACK) {
        record(e, stage + WEFT_STAGE_HEADROOM, source, number, length);
        return;
    }
    char *payload = weft_stage_take(EMITTER_FIXED_BYTES + length);
    if (!payload) {
        weft_record_lost(&e->targets[0].public, WEFT_LOST_NO_MEMORY);
        return;
    }
    record(e, payload, source, number, length);
    weft_stage_give(payload);
}

const struct weft_clock_page *emitter_clock(void)
{
    struct weft_clock_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    const uint64_t ticks = weft_counter(), ns = weft_clock_system();
    while (weft_clock_system() - ns < 5000000)
        ;
    const uint64_t mult = (uint64_t)(((unsigned __int128)(weft_clock_system() - ns) << 32) / (weft_counter() - ticks));
    page->parameters[0] = (struct weft_clock_parameters){ ticks, ns, mult, 0 };
    page->valid = 1;
    return page;
}
