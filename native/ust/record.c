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

#include "ust/app_values.h"
#include "ust/clock.h"
#include "ust/commit.h"
#include "ust/context.h"
#include "ust/event_header.h"
#include "ust/lock.h"
#include "ust/stage.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A single-stepping debugger restarts the sequence at every instruction: give up after so many. */
#define RESTARTS_MAX 300u
/* How long a writer that waits for space sleeps at most before it looks round: whether the target is still on, what the clock says.
 * Also what a wake-up that goes astray costs. */
#define WAIT_NAP_NS 5000000ull
#define LOCK_NAP_NS 50000 /* the same for the ring's lock */
/* Under the lock a second try finds the sub-buffer that the first one opened, unless somebody writes into the ring who should not. */
#define LOCKED_TRIES_MAX 4u

/* What the rare paths need to know of a record on its way. The frequent path keeps it in registers. */
struct attempt {
    const struct weft_target *target;
    const struct weft_channel *channel;
    struct weft_ring *ring;
    uint64_t word; /* position word as found */
    uint32_t generation;
    uint32_t cpu; /* whose ring it is; 0 when there is one for all */
};

enum outcome { DONE, GONE, LOST, AGAIN /* from here on: not the end */, FULL };

void (*weft_record_switched)(void);
void (*weft_record_starved)(void);

/* The ring belongs to this generation if the target still does: a thread that is late must not count on another session. */
static __attribute__((noinline)) enum outcome count_lost(const struct attempt *a, enum weft_loss cause)
{
    if (__atomic_load_n(&a->target->public.on, __ATOMIC_ACQUIRE) == a->generation)
        __atomic_fetch_add(&a->ring->lost[cause], 1, __ATOMIC_RELAXED);
    return LOST;
}

static inline char *ring_data(const struct weft_channel *c, uint32_t cpu, uint64_t position)
{
    return c->memory + c->data_offset + cpu * c->data_bytes + (position & (c->data_bytes - 1));
}

static __attribute__((noinline)) void ring_doorbell(const struct weft_channel *c)
{
    uint32_t *doorbell = &((struct weft_set_header *)c->memory)->doorbell;
    __atomic_fetch_add(doorbell, 1, __ATOMIC_RELEASE);
    const int saved = errno;
    syscall(SYS_futex, doorbell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}

/* No fence before the flags are read: a wake that is missed costs at most the reader's timer. */
static void wake_reader(const struct weft_channel *c, uint32_t cpu)
{
    if (__atomic_load_n(&c->reader[cpu].sleeping, __ATOMIC_RELAXED))
        ring_doorbell(c);
}

/* A record was committed. The flag lies beside frozen_until, which was looked at before: no other line is touched for it. */
static inline void wake_attentive(const struct weft_channel *c, uint32_t cpu)
{
    if (unlikely(__atomic_load_n(&c->reader[cpu].attentive, __ATOMIC_RELAXED)))
        ring_doorbell(c);
}

/* Discard mode: is sub-buffer `next` free, i.e. has the reader consumed the one that lay there before? */
static int has_space(const struct attempt *a, uint64_t next)
{
    const struct weft_channel *c = a->channel;
    const uint64_t consumed = __atomic_load_n(&c->reader[a->cpu].consumed, __ATOMIC_ACQUIRE) >> c->subbuf_order;
    /* A reader page that claims more than was written costs records, nothing else. */
    return consumed >= next || next - consumed < c->subbuf_count;
}

/* Names the sub-buffer that is waited for, before the last look: the reader wakes us when it gives that one back. The newest one
 * stays, for a thread that comes late must not hide those who wait now. */
static void announce_wait(struct weft_ring *ring, uint32_t sequence)
{
    uint32_t newest = __atomic_load_n(&ring->waiters, __ATOMIC_RELAXED);
    while ((int32_t)(sequence - newest) > 0 &&
           !__atomic_compare_exchange_n(&ring->waiters, &newest, sequence, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void begin_waiting(uint64_t *give_up, uint64_t now, uint64_t wait)
{
    if (!*give_up)
        *give_up = wait < UINT64_MAX - now ? now + wait : UINT64_MAX;
}

/*
 * Blocking channels: waits, outside of sequence and lock, until what `a` found full may have space. AGAIN: try again; GONE: the target
 * is off; LOST: the time is over, and the event counted. `give_up` is 0 at an event's first wait.
 */
static __attribute__((noinline)) enum outcome wait_for_space(const struct attempt *a, uint64_t *give_up)
{
    const struct weft_channel *c = a->channel;
    const uint64_t sequence = (a->word >> WEFT_POS_SHIFT >> c->subbuf_order) + 1;
    const uint32_t *consumed = (const uint32_t *)&c->reader[a->cpu].consumed; /* the low half: little-endian */
    for (;;) {
        const uint32_t seen = __atomic_load_n(consumed, __ATOMIC_ACQUIRE);
        announce_wait(a->ring, (uint32_t)sequence);
        if (__atomic_load_n(&a->target->public.on, __ATOMIC_ACQUIRE) != a->generation)
            return GONE;
        const uint64_t position = __atomic_load_n(&a->ring->position, __ATOMIC_ACQUIRE) >> WEFT_POS_SHIFT;
        if (has_space(a, sequence) || (position >> c->subbuf_order) + 1 != sequence)
            return AGAIN;
        const uint64_t now = weft_clock_system();
        begin_waiting(give_up, now, c->blocking_ns);
        if (now >= *give_up)
            return count_lost(a, WEFT_LOST_FULL);
        wake_reader(c, a->cpu);
        const uint64_t nap = *give_up - now < WAIT_NAP_NS ? *give_up - now : WAIT_NAP_NS;
        const struct timespec limit = { 0, (long)nap };
        const int saved = errno;
        syscall(SYS_futex, consumed, FUTEX_WAIT, seen, &limit, NULL, 0);
        errno = saved;
    }
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

/* A record of `bytes` does not fit into the rest of the current sub-buffer: moves to the next one, which is a commit of its own,
 * before any byte goes there. */
static __attribute__((noinline)) enum outcome switch_subbuffer(const struct attempt *a, size_t bytes)
{
    struct switching s;
    if (bytes + WEFT_TAIL_SLACK > a->channel->subbuf_size)
        return count_lost(a, WEFT_LOST_TOO_BIG);
    prepare_switch(a, &s);
    if (a->channel->mode == WEFT_MODE_DISCARD && !has_space(a, s.sequence))
        return a->channel->blocking_ns ? FULL : count_lost(a, WEFT_LOST_FULL);
    const enum outcome outcome = a->channel->sync == WEFT_SYNC_RSEQ ? switch_rseq(a, &s) : switch_locked(a, &s);
    if (outcome != DONE)
        return outcome;
    wake_reader(a->channel, a->cpu);
    if (weft_record_switched)
        weft_record_switched();
    return AGAIN;
}

/* This CPU's ring is missing or has no memory: counted on it, or on the first one. */
static __attribute__((noinline)) enum outcome no_memory(const struct weft_target *target, const struct weft_channel *c,
                                                        uint32_t generation, uint32_t cpu)
{
    const struct attempt a = { target, c, weft_channel_ring(c, cpu < c->cpu_count ? cpu : 0), 0, generation, cpu };
    if (cpu < c->cpu_count && weft_channel_meet(c, cpu) && weft_record_starved)
        weft_record_starved();
    return count_lost(&a, WEFT_LOST_NO_MEMORY);
}

static inline int has_ring(const struct weft_channel *c, uint32_t cpu)
{
    return cpu < c->cpu_count && __atomic_load_n(&weft_channel_ring(c, cpu)->ready, __ATOMIC_ACQUIRE);
}

__asm__(WEFT_RSEQ_MARKER);

/* Stages header and contexts before the payload. Returns the record's first byte, and its timestamp. */
static inline __attribute__((always_inline)) char *stage_head(const struct weft_target *target, const struct weft_channel *c,
                                                              uint32_t cpu, char *payload, void *ip, uint64_t last,
                                                              uint64_t *timestamp)
{
    uint64_t now = weft_clock_read(__atomic_load_n(&c->clock, __ATOMIC_ACQUIRE));
    /* The clock's parameters may have changed between two readings that took long: a CPU's time still never goes back. */
    if (unlikely((int64_t)(now - last) < 0))
        now = last;
    *timestamp = now;
    if (unlikely(c->context_count)) {
        payload -= c->context_bytes;
        weft_context_write(c, payload, cpu, ip);
    }
    return weft_put_header(payload, __atomic_load_n(&target->event_id, __ATOMIC_RELAXED), now, last);
}

/* The reader copies the ring and wants it to stand still: the event counts as lost. 0: the page asks for more than it may. */
static __attribute__((noinline)) int lost_frozen(const struct weft_target *target, const struct weft_channel *c, uint32_t generation,
                                                 uint32_t cpu, uint64_t left)
{
    const struct attempt a = { target, c, weft_channel_ring(c, cpu), 0, generation, cpu };
    return left <= WEFT_FREEZE_MAX_NS && count_lost(&a, WEFT_LOST_FROZEN) == LOST;
}

static inline uint64_t frozen_until(const struct weft_channel *c, uint32_t cpu)
{
    return __atomic_load_n(&c->reader[cpu].frozen_until, __ATOMIC_RELAXED);
}

static inline uint64_t next_word(uint64_t word, uint64_t bytes)
{
    return (((word >> WEFT_POS_SHIFT) + bytes) << WEFT_POS_SHIFT) | (~word & WEFT_SLOT_MASK);
}

static inline __attribute__((always_inline)) enum outcome try_rseq(const struct weft_target *target, const struct weft_channel *c,
                                                                   uint32_t generation, char *payload, size_t length, void *ip,
                                                                   struct attempt *rare)
{
    const uint32_t cpu = __atomic_load_n(&weft_rseq_area()->cpu_id, __ATOMIC_RELAXED);
    struct weft_ring *ring = weft_channel_ring(c, cpu); /* once: behind the load below it would be computed anew */
    if (unlikely(cpu >= c->cpu_count || !__atomic_load_n(&ring->ready, __ATOMIC_ACQUIRE)))
        return no_memory(target, c, generation, cpu);
    const uint64_t word = __atomic_load_n(&ring->position, __ATOMIC_ACQUIRE);
    const struct weft_slot *slot = &ring->slot[word & WEFT_SLOT_MASK];
    uint64_t timestamp;
    weft_commit_mark();
    const char *record = stage_head(target, c, cpu, payload, ip, slot->last_timestamp, &timestamp);
    const uint64_t frozen = frozen_until(c, cpu);
    if (unlikely(timestamp < frozen) && lost_frozen(target, c, generation, cpu, frozen - timestamp))
        return LOST;
    const size_t bytes = (size_t)(payload + length - record);
    const uint64_t position = word >> WEFT_POS_SHIFT;
    if (unlikely((position & (c->subbuf_size - 1)) + bytes + WEFT_TAIL_SLACK > c->subbuf_size)) {
        *rare = (struct attempt){ target, c, ring, word, generation, cpu };
        return switch_subbuffer(rare, bytes);
    }
    const struct weft_commit commit = {
        &target->public.on, generation, cpu, &ring->position, word, next_word(word, bytes), &ring->slot[~word & WEFT_SLOT_MASK],
    };
    if (likely(weft_commit_record(&commit, ring_data(c, cpu, position), record, bytes, timestamp, slot->event_count + 1) ==
               WEFT_COMMIT_DONE)) {
        wake_attentive(c, cpu);
        return DONE;
    }
    *rare = (struct attempt){ target, c, ring, word, generation, cpu };
    return AGAIN;
}

/* Without rseq the kernel's answer may be old by the time it is used; the lock is what makes the commit exclusive. */
static uint32_t any_cpu(void)
{
    const int cpu = sched_getcpu();
    return cpu < 0 ? 0 : (uint32_t)cpu;
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
    const uint32_t cpu = c->per_channel ? any_cpu() : a->cpu;
    const char *record = stage_head(a->target, c, cpu, payload, ip, slot->last_timestamp, &timestamp);
    const uint64_t frozen = frozen_until(c, a->cpu);
    if (timestamp < frozen && lost_frozen(a->target, c, a->generation, a->cpu, frozen - timestamp))
        return LOST;
    const size_t bytes = (size_t)(payload + length - record);
    const uint64_t position = a->word >> WEFT_POS_SHIFT;
    if ((position & (c->subbuf_size - 1)) + bytes + WEFT_TAIL_SLACK > c->subbuf_size)
        return switch_subbuffer(a, bytes);
    memcpy(ring_data(c, a->cpu, position), record, bytes);
    idle->last_timestamp = timestamp;
    idle->event_count = slot->event_count + 1;
    __atomic_store_n(&a->ring->position, next_word(a->word, bytes), __ATOMIC_RELEASE);
    return DONE;
}

/* Who may wait for space may wait for the lock as well: its holder may be off its CPU for a while, or be dead and the daemon about to
 * free it. */
static enum weft_lock_result take_lock(const struct attempt *a, uint64_t me, uint64_t *give_up)
{
    const struct timespec nap = { 0, LOCK_NAP_NS };
    enum weft_lock_result taken = weft_lock_take(a->ring, me);
    while (taken == WEFT_LOCK_CONTENDED && a->channel->blocking_ns &&
           __atomic_load_n(&a->target->public.on, __ATOMIC_ACQUIRE) == a->generation) {
        const uint64_t now = weft_clock_system();
        begin_waiting(give_up, now, a->channel->blocking_ns);
        if (now >= *give_up)
            break;
        nanosleep(&nap, NULL);
        taken = weft_lock_take(a->ring, me);
    }
    return taken;
}

/* One record with the lock held, and given back. */
static enum outcome record_under_lock(struct attempt *a, uint64_t me, uint64_t *give_up, char *payload, size_t length, void *ip)
{
    const enum weft_lock_result taken = take_lock(a, me, give_up);
    if (taken != WEFT_LOCK_TAKEN)
        return count_lost(a, taken == WEFT_LOCK_NESTED ? WEFT_LOST_NESTED : WEFT_LOST_CONTENDED);
    enum outcome outcome = AGAIN;
    for (uint32_t tries = 0; tries < LOCKED_TRIES_MAX && outcome == AGAIN; tries++)
        outcome = try_locked(a, payload, length, ip);
    if (outcome == AGAIN)
        outcome = count_lost(a, WEFT_LOST_RESTARTS);
    weft_lock_release(a->ring, me);
    if (outcome == DONE)
        wake_attentive(a->channel, a->cpu);
    return outcome;
}

static __attribute__((noinline)) void record_locked(const struct weft_target *target, const struct weft_channel *c,
                                                    uint32_t generation, char *payload, size_t length, void *ip)
{
    const uint32_t cpu = c->per_channel ? 0 : any_cpu();
    if (!has_ring(c, cpu)) {
        no_memory(target, c, generation, cpu);
        return;
    }
    struct attempt a = { target, c, weft_channel_ring(c, cpu), 0, generation, cpu };
    const uint64_t me = (uint64_t)__atomic_load_n(&c->application, __ATOMIC_RELAXED) << 32 | (uint32_t)weft_context_tid();
    uint64_t give_up = 0;
    while (record_under_lock(&a, me, &give_up, payload, length, ip) == FULL && wait_for_space(&a, &give_up) == AGAIN)
        ;
}

/* A record that found its ring full goes on here: waits and tries, in turns. */
static __attribute__((noinline)) void record_waiting(struct attempt *a, char *payload, size_t length, void *ip)
{
    const struct attempt first = *a;
    uint64_t give_up = 0;
    enum outcome outcome = wait_for_space(a, &give_up);
    for (uint32_t restarts = 0; outcome >= AGAIN && restarts < RESTARTS_MAX; restarts++) {
        if (__atomic_load_n(&first.target->public.on, __ATOMIC_ACQUIRE) != first.generation)
            return;
        outcome = try_rseq(first.target, first.channel, first.generation, payload, length, ip, a);
        if (outcome == FULL) {
            outcome = wait_for_space(a, &give_up);
            restarts = 0;
        }
    }
    if (outcome >= AGAIN)
        count_lost(a, WEFT_LOST_RESTARTS);
}

/* What the first try did not settle. Apart from it, which keeps nothing for a second one. */
static __attribute__((noinline)) void record_again(struct attempt *rare, enum outcome outcome, char *payload, size_t length, void *ip)
{
    const struct attempt first = *rare;
    for (uint32_t restarts = 1; outcome == AGAIN && restarts < RESTARTS_MAX; restarts++) {
        if (__atomic_load_n(&first.target->public.on, __ATOMIC_ACQUIRE) != first.generation)
            return;
        outcome = try_rseq(first.target, first.channel, first.generation, payload, length, ip, rare);
    }
    if (outcome == FULL)
        record_waiting(rare, payload, length, ip);
    else if (outcome == AGAIN)
        count_lost(rare, WEFT_LOST_RESTARTS);
}

static inline __attribute__((always_inline)) void record_rseq(struct weft_sink *sink, const struct weft_channel *c,
                                                              uint32_t generation, char *payload, size_t length, void *ip)
{
    struct attempt rare; /* filled on the rare paths */
    const enum outcome outcome = try_rseq((const struct weft_target *)sink, c, generation, payload, length, ip, &rare);
    if (unlikely(outcome >= AGAIN))
        record_again(&rare, outcome, payload, length, ip);
}

static __attribute__((noinline)) void record(struct weft_sink *sink, const struct weft_channel *c, uint32_t generation, char *payload,
                                             size_t length, void *ip)
{
    if (c->sync == WEFT_SYNC_RSEQ) {
        record_rseq(sink, c, generation, payload, length, ip);
        return;
    }
    const int saved = errno;
    record_locked((const struct weft_target *)sink, c, generation, payload, length, ip);
    errno = saved;
}

/* The probe left too little room before its payload, or the values of the application vary in size: both go elsewhere, once. */
static __attribute__((noinline)) void record_copy(struct weft_sink *sink, const struct weft_channel *c, uint32_t generation,
                                                  const char *payload, size_t length, void *ip)
{
    const int saved = errno;
    char *stage = weft_stage_take(c->context_bytes + c->app_count * WEFT_APP_VALUE_MAX + length);
    errno = saved;
    if (!stage) {
        weft_record_lost(sink, WEFT_LOST_NO_MEMORY);
        return;
    }
    char *values = stage + c->context_bytes;
    char *copy = weft_app_values_write(c, values);
    memcpy(copy, payload, length);
    record(sink, c, generation, values, (size_t)(copy - values) + length, ip);
    weft_stage_give(stage);
    errno = saved;
}

void weft_record(struct weft_sink *sink, char *payload, size_t length, void *ip)
{
    const struct weft_target *target = (const struct weft_target *)sink;
    const uint32_t generation = __atomic_load_n(&sink->on, __ATOMIC_ACQUIRE);
    if (unlikely(!generation))
        return;
    /* Once, and after the generation: if the target has another channel by now, the generation is another one too. */
    const struct weft_channel *c = __atomic_load_n(&target->channel, __ATOMIC_ACQUIRE);
    if (likely(!(c->copied | (c->sync ^ WEFT_SYNC_RSEQ))))
        record_rseq(sink, c, generation, payload, length, ip);
    else if (c->copied)
        record_copy(sink, c, generation, payload, length, ip);
    else
        record(sink, c, generation, payload, length, ip);
}

void weft_record_at_once(struct weft_sink *sink, char *payload, size_t length, void *ip)
{
    const struct weft_target *target = (const struct weft_target *)sink;
    const uint32_t generation = __atomic_load_n(&sink->on, __ATOMIC_ACQUIRE);
    if (!generation || !target->channel)
        return;
    struct weft_channel impatient = *target->channel;
    impatient.blocking_ns = 0;
    if (impatient.copied)
        record_copy(sink, &impatient, generation, payload, length, ip);
    else
        record(sink, &impatient, generation, payload, length, ip);
}

void weft_record_lost(struct weft_sink *sink, enum weft_loss cause)
{
    const struct weft_target *target = (const struct weft_target *)sink;
    const uint32_t generation = __atomic_load_n(&sink->on, __ATOMIC_ACQUIRE);
    if (!generation)
        return;
    const struct weft_channel *c = __atomic_load_n(&target->channel, __ATOMIC_ACQUIRE);
    const uint32_t cpu = any_cpu();
    const struct attempt a = { target, c, weft_channel_ring(c, cpu < c->cpu_count ? cpu : 0), 0, generation, cpu };
    count_lost(&a, cause);
}
