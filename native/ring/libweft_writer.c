#include "ring/libweft_writer.h"

#include <stdlib.h>
#include <string.h>

#include "ust/context.h"
#include "ust/record.h"
#include "ust/stage.h"

struct libweft_writer {
    struct weft_channel channel;
    struct weft_target target;
};

struct libweft_writer *libweft_writer_open(const struct weft_geometry *geometry, int ring_fd, int reader_fd,
                                           const struct weft_clock_page *clock, uint32_t application)
{
    struct libweft_writer *writer = calloc(1, sizeof(*writer));
    weft_context_init();
    if (!writer || weft_channel_map(&writer->channel, geometry, ring_fd, reader_fd)) {
        free(writer);
        return NULL;
    }
    writer->channel.clock = clock;
    writer->channel.application = application;
    writer->target.channel = &writer->channel;
    writer->target.public.on = 1;
    return writer;
}

static char *put_two(char *payload, int32_t thread, uint64_t number)
{
    memcpy(payload, &thread, 4);
    memcpy(payload + 4, &number, 8);
    return payload + 12;
}

__attribute__((noinline)) void libweft_writer_record(struct libweft_writer *writer, int32_t thread, uint64_t number)
{
    char stage[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL];
    char *payload = stage + WEFT_STAGE_HEADROOM;
    put_two(payload, thread, number);
    weft_record(&writer->target.public, payload, 12, __builtin_return_address(0));
}

void libweft_writer_record_long(struct libweft_writer *writer, int32_t thread, uint64_t number, uint32_t length)
{
    char *payload = weft_stage_take(16 + length);
    if (!payload)
        abort();
    char *rest = put_two(payload, thread, number);
    memcpy(rest, &length, 4);
    memset(rest + 4, 'x', length);
    weft_record(&writer->target.public, payload, 16 + length, __builtin_return_address(0));
    weft_stage_give(payload);
}
