/*
 * usage: check_trace DATA_FILE...
 * Reads Weft data files whose only event is weft_test:count (int thread, u64 number, WEFT_TEST_FILLER bytes; no contexts) and checks what every fault test
 * relies on: packets follow each other without a gap in number or time, timestamps never go back within a stream, no event
 * twice, each stream holds a thread's numbers in rising order. Prints one JSON line:
 * {"recorded":N,"lost":N,"duplicates":N,"disorder":N,"errors":[...],"threads":{"0":{"count":N,"last":N}, ...}}
 * `lost` is the last events_discarded of each stream, summed. Exit status 0 when nothing is wrong.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_MAX 512
#define STREAMS_MAX 4096
#define HEADER_BYTES (4 + 16 + 4 + 8)
#ifndef WEFT_TEST_FILLER
#define WEFT_TEST_FILLER 0
#endif
#define EVENT_BYTES (4 + 8 + WEFT_TEST_FILLER)
#define CONTEXT_BYTES (6 * 8 + 4) /* of a stream of one CPU, CHANNEL_CPU; those of a ring for all CPUs end without cpu_id */

struct thread {
    uint8_t *seen; /* bitmap of numbers */
    uint64_t capacity;
    uint64_t count;
    uint64_t last;
};

/* One stream may continue from file to file, chunk after chunk: the files come in that order. */
struct stream {
    uint8_t identity[16 + 4 + 8];
    uint64_t number, previous_end, discarded, discarded_before;
    uint64_t last_of[THREADS_MAX];
};

static struct thread threads[THREADS_MAX];
static struct stream *streams[STREAMS_MAX];
static unsigned stream_count;
static uint64_t recorded, lost, duplicates, disorder;
static char errors[8192];

static void complain(const char *file, const char *what, uint64_t at)
{
    const size_t used = strlen(errors);
    if (used < sizeof(errors) - 512)
        snprintf(errors + used, sizeof(errors) - used, "%s\"%.200s: %.100s at %llu\"", used ? "," : "", file, what,
                 (unsigned long long)at);
}

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static void note(const char *file, uint64_t *last_of, uint32_t thread, uint64_t number, uint64_t at)
{
    if (thread >= THREADS_MAX || number > (1ull << 36)) {
        complain(file, "no such thread or number", at);
        return;
    }
    struct thread *t = &threads[thread];
    if (number / 8 >= t->capacity) {
        const uint64_t capacity = (number / 8 + 1) * 2;
        t->seen = realloc(t->seen, capacity);
        memset(t->seen + t->capacity, 0, capacity - t->capacity);
        t->capacity = capacity;
    }
    duplicates += t->seen[number / 8] >> (number % 8) & 1;
    t->seen[number / 8] |= (uint8_t)(1u << (number % 8));
    disorder += last_of[thread] > number;
    last_of[thread] = number;
    t->count++;
    t->last = number > t->last ? number : t->last;
    recorded++;
}

/* One packet's events, [p, end). The clock starts at the packet's begin. */
static void events(const char *file, const uint8_t *base, const uint8_t *p, const uint8_t *end, uint64_t clock, uint64_t until,
                   uint64_t *last_of)
{
    while (p < end) {
        const uint32_t word = u32_at(p), id = word & 31;
        if (id == 31) {
            const uint64_t stamp = u64_at(p + 5);
            if (stamp < clock)
                complain(file, "time goes back", (uint64_t)(p - base));
            clock = stamp;
            p += 13;
        } else {
            const uint64_t mask = (1u << 27) - 1, low = word >> 5;
            clock = (clock & ~mask) + low + (low < (clock & mask) ? mask + 1 : 0);
            p += id == 30 ? 6 : 4;
        }
        if (p + EVENT_BYTES > end || clock > until) {
            complain(file, p + EVENT_BYTES > end ? "event crosses its packet's end" : "event is later than its packet's end", (uint64_t)(p - base));
            return;
        }
        note(file, last_of, u32_at(p), u64_at(p + 4), (uint64_t)(p - base));
        p += EVENT_BYTES;
    }
}

/* The stream that the packet belongs to. One that was cleared or rotated before goes on behind an empty packet. */
static struct stream *stream_of(const uint8_t *packet, int empty)
{
    for (unsigned i = 0; i < stream_count; i++)
        if (memcmp(streams[i]->identity, packet + 4, sizeof(streams[i]->identity)) == 0)
            return streams[i];
    if (stream_count == STREAMS_MAX)
        abort();
    struct stream *s = calloc(1, sizeof(*s));
    memcpy(s->identity, packet + 4, sizeof(s->identity));
    const uint8_t *c = packet + HEADER_BYTES;
    if (empty) {
        s->number = u64_at(c + 32);
        s->discarded = s->discarded_before = s->number ? u64_at(c + 40) : 0;
    }
    return streams[stream_count++] = s;
}

static uint64_t context_bytes(const char *file)
{
    const char *end = file + strlen(file), *at = end;
    while (at > file && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return at < end && at > file && at[-1] == '_' ? CONTEXT_BYTES : CONTEXT_BYTES - 4;
}

static void check_file(const char *file)
{
    const uint64_t head = HEADER_BYTES + context_bytes(file);
    const int fd = open(file, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        complain(file, "cannot be opened", 0);
        return;
    }
    const uint8_t *base = st.st_size ? mmap(NULL, (size_t)st.st_size + 4096, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    uint64_t at = 0;
    while (at + head <= (uint64_t)st.st_size) {
        const uint8_t *p = base + at, *c = p + HEADER_BYTES;
        const uint64_t begin = u64_at(c), end = u64_at(c + 8), content = u64_at(c + 16) / 8, size = u64_at(c + 24) / 8;
        if (u32_at(p) != 0xC1FC1FC1u || content < head || content > size || at + size > (uint64_t)st.st_size) {
            complain(file, "no packet", at);
            return;
        }
        struct stream *s = stream_of(p, content == head);
        if (begin < s->previous_end || end < begin || u64_at(c + 32) != s->number || u64_at(c + 40) < s->discarded)
            complain(file, "packet does not follow the one before it", at);
        events(file, base, p + head, p + content, begin, end, s->last_of);
        s->previous_end = end;
        s->discarded = u64_at(c + 40);
        s->number++;
        at += size;
    }
    if (at != (uint64_t)st.st_size)
        complain(file, "bytes after the last packet", at);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        check_file(argv[i]);
    for (unsigned i = 0; i < stream_count; i++)
        lost += streams[i]->discarded - streams[i]->discarded_before;
    printf("{\"recorded\":%llu,\"lost\":%llu,\"duplicates\":%llu,\"disorder\":%llu,\"errors\":[%s],\"threads\":{",
           (unsigned long long)recorded, (unsigned long long)lost, (unsigned long long)duplicates, (unsigned long long)disorder, errors);
    const char *separator = "";
    for (int i = 0; i < THREADS_MAX; i++) {
        if (threads[i].count) {
            printf("%s\"%d\":{\"count\":%llu,\"last\":%llu}", separator, i, (unsigned long long)threads[i].count,
                   (unsigned long long)threads[i].last);
            separator = ",";
        }
    }
    printf("}}\n");
    return duplicates || disorder || errors[0] ? 1 : 0;
}
