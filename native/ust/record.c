/*
 * The hot path. Order matters everywhere here; layout.h says what a commit is, commit.h what makes it exclusive.
 */
#define _GNU_SOURCE
#include "ust/record.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ust/clock.h"
#include "ust/commit.h"
#include "ust/context.h"
#include "ust/lock.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A single-stepping debugger restarts the sequence at every instruction: give up after so many. */
#define RESTARTS_MAX 300u
/* Under the lock a second try finds the sub-buffer that the first one opened, unless somebody writes into the ring who should not. */
#define LOCKED_TRIES_MAX 4u

/* One record on its way: what stays the same over restarts, and what an attempt found. */
struct attempt {
    const struct weft_target *target;
    struct weft_channel *channel;
    uint32_t generation;
    uint32_t cpu;
    struct weft_ring *ring;
    uint64_t word; /* position word as found */
};

enum outcome { DONE, AGAIN, GONE, LOST };

void (*weft_record_switched)(void);

static void count_lost(const struct attempt *a, enum weft_loss cause)
{
    /* The ring belongs to this generation if the sink still does: a thread that is late must not count on another session. */
    if (a->ring && __atomic_load_n(&a->target->public.on, __ATOMIC_ACQUIRE) == a->generation)
        __atomic_fetch_add(&a->ring->lost[cause], 1, __ATOMIC_RELAXED);
}

static char *ring_data(const struct attempt *a)
{
    const struct weft_channel *c = a->channel;
    return c->memory + c->data_offset + a->cpu * c->data_bytes;
}

/* The header before `payload - context bytes`; returns its first byte. `last` is the last committed event's timestamp. */
static inline char *put_header(char *end, uint32_t id, uint64_t timestamp, uint64_t last)
{
    const uint32_t low = (uint32_t)timestamp & WEFT_TIMESTAMP_MASK;
    if (likely(timestamp - last <= WEFT_TIMESTAMP_MASK)) {
        if (likely(id < WEFT_ID_MEDIUM)) {
            const uint32_t word = id | low << WEFT_ID_BITS;
            memcpy(end - 4, &word, 4);
            return end - 4;
        }
        if (id <= UINT16_MAX) {
            const uint32_t word = WEFT_ID_MEDIUM | low << WEFT_ID_BITS;
            const uint16_t short_id = (uint16_t)id;
            memcpy(end - 6, &word, 4);
            memcpy(end - 2, &short_id, 2);
            return end - 6;
        }
    }
    end[-13] = (char)WEFT_ID_EXTENDED;
    memcpy(end - 12, &id, 4);
    memcpy(end - 8, &timestamp, 8);
    return end - 13;
}

static void wake_reader(const struct weft_channel *c, uint32_t cpu)
{
    /* No fence before the flag is read: a wake that is missed costs at most the reader's timer. */
    if (!__atomic_load_n(&c->reader[cpu].sleeping, __ATOMIC_RELAXED))
        return;
    uint32_t *doorbell = &((struct weft_set_header *)c->memory)->doorbell;
    __atomic_fetch_add(doorbell, 1, __ATOMIC_RELEASE);
    const int saved = errno;
    syscall(SYS_futex, doorbell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}

/* Discard mode: is sub-buffer `next` free, i.e. has the reader consumed the one that lay there before? */
static int has_space(const struct attempt *a, uint64_t next)
{
    const struct weft_channel *c = a->channel;
    const uint64_t consumed = __atomic_load_n(&c->reader[a->cpu].consumed, __ATOMIC_ACQUIRE) >> c->subbuf_order;
    /* A reader page that claims more than was written costs records, nothing else. */
    return consumed >= next || next - consumed < c->subbuf_count;
}

struct switching {
    struct weft_entry *close;
    struct weft_entry *open;
    uint64_t sequence; /* of the next sub-buffer */
    uint32_t end_offset;
    struct weft_slot last;
    struct weft_slot *idle;
    uint64_t next; /* position word */
};

static void prepare_switch(const struct attempt *a, struct switching *s)
{
    const struct weft_channel *c = a->channel;
    const uint64_t position = a->word >> WEFT_POS_SHIFT;
    const uint64_t slot = a->word & WEFT_SLOT_MASK;
    const uint64_t entries = 2ull * c->subbuf_count - 1;
    s->sequence = (position >> c->subbuf_order) + 1;
    s->close = &a->ring->table[(s->sequence - 1) & entries];
    s->open = &a->ring->table[s->sequence & entries];
    s->end_offset = (uint32_t)(position & (c->subbuf_size - 1));
    s->last = a->ring->slot[slot];
    s->idle = &a->ring->slot[!slot];
    s->next = ((s->sequence << c->subbuf_order) << WEFT_POS_SHIFT) | !slot;
}

static enum outcome switch_rseq(const struct attempt *a, const struct switching *s)
{
    const struct weft_commit commit = {
        &a->target->public.on, a->generation, a->cpu, &a->ring->position, a->word, s->next, s->idle,
    };
    const enum weft_commit_result result =
        weft_commit_switch(&commit, s->close, s->end_offset, s->open, s->sequence, s->last.last_timestamp, s->last.event_count);
    return result == WEFT_COMMIT_DONE ? DONE : AGAIN;
}

/* Under the ring's lock. */
static enum outcome switch_locked(const struct attempt *a, const struct switching *s)
{
    s->close->end_timestamp = s->last.last_timestamp;
    s->close->end_offset = s->end_offset;
    s->open->sequence = s->sequence;
    s->open->begin_timestamp = s->last.last_timestamp;
    s->open->events_before = s->last.event_count;
    *s->idle = s->last;
    __atomic_store_n(&a->ring->position, s->next, __ATOMIC_RELEASE);
    return DONE;
}

/* Moves to the next sub-buffer: a commit of its own, before any byte goes there. */
static __attribute__((noinline)) enum outcome switch_subbuffer(const struct attempt *a)
{
    struct switching s;
    prepare_switch(a, &s);
    if (a->channel->mode == WEFT_MODE_DISCARD && !has_space(a, s.sequence)) {
        count_lost(a, WEFT_LOST_FULL);
        return LOST;
    }
    const enum outcome outcome = a->channel->sync == WEFT_SYNC_RSEQ ? switch_rseq(a, &s) : switch_locked(a, &s);
    if (outcome == DONE) {
        wake_reader(a->channel, a->cpu);
        if (weft_record_switched)
            weft_record_switched();
        return AGAIN;
    }
    return outcome;
}

/* Finds the ring of this CPU. GONE: switched off meanwhile. */
static inline enum outcome find_ring(struct attempt *a, uint32_t cpu)
{
    struct weft_channel *c = a->channel;
    a->cpu = cpu;
    a->ring = NULL;
    if (unlikely(cpu >= c->cpu_count)) {
        a->ring = weft_channel_ring(c, 0);
        a->cpu = 0;
        count_lost(a, WEFT_LOST_NO_MEMORY);
        return LOST;
    }
    a->ring = weft_channel_ring(c, cpu);
    if (unlikely(!__atomic_load_n(&a->ring->ready, __ATOMIC_ACQUIRE))) {
        count_lost(a, WEFT_LOST_NO_MEMORY);
        return LOST;
    }
    return DONE;
}

/* Stages header and contexts before the payload. Returns the record's first byte, and its timestamp. */
static inline char *stage_head(const struct attempt *a, char *payload, void *ip, uint64_t last, uint64_t *timestamp)
{
    const struct weft_channel *c = a->channel;
    uint64_t now = weft_clock_read(c->clock);
    /* The clock's parameters may have changed between two readings that took long: a CPU's time still never goes back. */
    if (unlikely((int64_t)(now - last) < 0))
        now = last;
    *timestamp = now;
    if (c->context_count) {
        payload -= c->context_bytes;
        weft_context_write(c, payload, a->cpu, ip);
    }
    return put_header(payload, a->target->event_id, now, last);
}

static inline enum outcome try_rseq(struct attempt *a, char *payload, size_t length, void *ip)
{
    const struct weft_channel *c = a->channel;
    const enum outcome found = find_ring(a, __atomic_load_n(&weft_rseq_area()->cpu_id, __ATOMIC_RELAXED));
    if (unlikely(found != DONE))
        return found;
    a->word = __atomic_load_n(&a->ring->position, __ATOMIC_ACQUIRE);
    const struct weft_slot *slot = &a->ring->slot[a->word & WEFT_SLOT_MASK];
    uint64_t timestamp;
    const char *record = stage_head(a, payload, ip, slot->last_timestamp, &timestamp);
    const size_t bytes = (size_t)(payload + length - record);
    const uint64_t position = a->word >> WEFT_POS_SHIFT;
    const uint64_t offset = position & (c->subbuf_size - 1);
    if (unlikely(offset + bytes + WEFT_TAIL_SLACK > c->subbuf_size)) {
        if (bytes + WEFT_TAIL_SLACK <= c->subbuf_size)
            return switch_subbuffer(a);
        count_lost(a, WEFT_LOST_TOO_BIG);
        return LOST;
    }
    const struct weft_commit commit = {
        &a->target->public.on, a->generation, a->cpu, &a->ring->position, a->word,
        ((position + bytes) << WEFT_POS_SHIFT) | (~a->word & WEFT_SLOT_MASK), &a->ring->slot[~a->word & WEFT_SLOT_MASK],
    };
    char *tail = ring_data(a) + (position & (c->data_bytes - 1));
    return weft_commit_record(&commit, tail, record, bytes, timestamp, slot->event_count + 1) == WEFT_COMMIT_DONE ? DONE : AGAIN;
}

/* The same under the ring's lock, which the caller holds. */
static enum outcome try_locked(struct attempt *a, char *payload, size_t length, void *ip)
{
    const struct weft_channel *c = a->channel;
    if (__atomic_load_n(&a->target->public.on, __ATOMIC_ACQUIRE) != a->generation)
        return GONE;
    a->word = __atomic_load_n(&a->ring->position, __ATOMIC_RELAXED);
    const struct weft_slot *slot = &a->ring->slot[a->word & WEFT_SLOT_MASK];
    struct weft_slot *idle = &a->ring->slot[~a->word & WEFT_SLOT_MASK];
    uint64_t timestamp;
    weft_counter_fence();
    const char *record = stage_head(a, payload, ip, slot->last_timestamp, &timestamp);
    const size_t bytes = (size_t)(payload + length - record);
    const uint64_t position = a->word >> WEFT_POS_SHIFT;
    if ((position & (c->subbuf_size - 1)) + bytes + WEFT_TAIL_SLACK > c->subbuf_size) {
        if (bytes + WEFT_TAIL_SLACK <= c->subbuf_size)
            return switch_subbuffer(a);
        count_lost(a, WEFT_LOST_TOO_BIG);
        return LOST;
    }
    memcpy(ring_data(a) + (position & (c->data_bytes - 1)), record, bytes);
    idle->last_timestamp = timestamp;
    idle->event_count = slot->event_count + 1;
    const uint64_t next = ((position + bytes) << WEFT_POS_SHIFT) | (~a->word & WEFT_SLOT_MASK);
    __atomic_store_n(&a->ring->position, next, __ATOMIC_RELEASE);
    return DONE;
}

static __attribute__((noinline)) void record_locked(struct attempt *a, char *payload, size_t length, void *ip)
{
    const int cpu = sched_getcpu();
    if (find_ring(a, cpu < 0 ? 0 : (uint32_t)cpu) != DONE)
        return;
    const uint64_t me = (uint64_t)a->channel->application << 32 | (uint32_t)weft_context_tid();
    const enum weft_lock_result taken = weft_lock_take(a->ring, me);
    if (taken != WEFT_LOCK_TAKEN) {
        count_lost(a, taken == WEFT_LOCK_NESTED ? WEFT_LOST_NESTED : WEFT_LOST_CONTENDED);
        return;
    }
    enum outcome outcome = AGAIN;
    for (uint32_t tries = 0; tries < LOCKED_TRIES_MAX && outcome == AGAIN; tries++)
        outcome = try_locked(a, payload, length, ip);
    if (outcome == AGAIN)
        count_lost(a, WEFT_LOST_RESTARTS);
    weft_lock_release(a->ring, me);
}

void weft_record(struct weft_sink *sink, char *payload, size_t length, void *ip)
{
    struct attempt a = { .target = (const struct weft_target *)sink };
    a.generation = __atomic_load_n(&sink->on, __ATOMIC_ACQUIRE);
    if (unlikely(!a.generation))
        return;
    a.channel = __atomic_load_n(&a.target->channel, __ATOMIC_ACQUIRE);
    if (unlikely(a.channel->sync != WEFT_SYNC_RSEQ)) {
        const int saved = errno;
        record_locked(&a, payload, length, ip);
        errno = saved;
        return;
    }
    for (uint32_t restarts = 0; restarts < RESTARTS_MAX; restarts++) {
        const enum outcome outcome = try_rseq(&a, payload, length, ip);
        if (likely(outcome != AGAIN))
            return;
        if (__atomic_load_n(&sink->on, __ATOMIC_ACQUIRE) != a.generation)
            return;
    }
    count_lost(&a, WEFT_LOST_RESTARTS);
}

void weft_record_lost(struct weft_sink *sink, enum weft_loss cause)
{
    struct attempt a = { .target = (const struct weft_target *)sink };
    a.generation = __atomic_load_n(&sink->on, __ATOMIC_ACQUIRE);
    if (!a.generation)
        return;
    a.channel = __atomic_load_n(&a.target->channel, __ATOMIC_ACQUIRE);
    const int cpu = sched_getcpu();
    if (find_ring(&a, cpu < 0 ? 0 : (uint32_t)cpu) == DONE)
        count_lost(&a, cause);
}
