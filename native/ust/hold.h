/*
 * Which of its rings' locks a thread holds, so that one which a thread left behind by jumping out of a signal handler (siglongjmp, an
 * exception) does not stay taken until its process ends. All of this is the thread's own memory (thread_page.h); only a lock that is
 * certainly abandoned is touched.
 *
 * Whoever takes a lock has a word of its own on its stack, the mark, and notes ring, mark and what is written there. The frame that
 * has the mark alone writes that word, and as long as it lives it does not write it again. So what is noted is over once something
 * else stands there, or no memory is there any more: whatever stack it was (an alternate one of a handler, that of a coroutine), and
 * wherever we are. It is over as well where our own frames lie now, from the probe's to the innermost one, and in what we sweep below:
 * of these none holds a lock. While the mark is still there, elsewhere, nobody can tell an abandoned frame from one that waits for us
 * to return: then the lock stays taken, and our events count as nested, until something overwrites the mark.
 *
 * What a handler between any two instructions finds:
 *  - A note has its ring written last and taken away first, so one with a ring is whole.
 *  - A note for a ring is only made when the ring's lock is not this thread's. So while a frame holds a lock, no note of a frame inside
 *    of it is for the same ring: one that says that its frame is gone never means a lock that is held.
 *  - There is one place for a note, by the ring's address. Who needs a place that is taken keeps what is there and puts it back. A note
 *    that is lost on the way (its keeper jumped out as well) leaves its lock taken, which is what happens without any note.
 */
#ifndef WEFT_UST_HOLD_H
#define WEFT_UST_HOLD_H

#include <stdint.h>

#include "ring/layout.h"
#include "ust/channel.h"
#include "ust/thread_page.h"

#define WEFT_HOLD_NEAR_BYTES 1024

/* In the frame of who holds the lock. */
struct weft_holding {
    volatile uint32_t mark;
    struct weft_thread_page *page; /* NULL: there is no memory, and nothing is noted */
    struct weft_hold *place;
    struct weft_hold before;
};

/* `local` lies in the frame of a caller, and so does the payload, in the probe's: if it is no memory from elsewhere. What is so near
 * is not: between them there is no room for a frame that holds a lock, what interrupted it, and another probe. */
static inline const char *weft_hold_outermost(const char *local, const char *payload)
{
    return payload > local && payload - local <= WEFT_HOLD_NEAR_BYTES ? payload : local;
}

/* First of all in that frame: if it lies where an abandoned one lay, the mark of that one is gone. */
static inline void weft_hold_begin(struct weft_holding *h)
{
    h->mark = 0;
    h->page = weft_thread_page();
}

/* Gives back those of this channel's locks that this thread has certainly left behind. `outermost`: the end of our own frames. */
void weft_hold_recover(struct weft_thread_page *page, const struct weft_channel *c, uint64_t me, const char *outermost);

static inline void weft_hold_put(struct weft_hold *place, struct weft_ring *ring, volatile uint32_t *mark, uint32_t value)
{
    __atomic_store_n(&place->ring, NULL, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&place->mark, mark, __ATOMIC_RELAXED);
    __atomic_store_n(&place->value, value, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&place->ring, ring, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Before the lock is tried. 0: a frame further out has it, or may have. `outermost`: the end of our own frames. */
static inline int weft_hold_note(struct weft_holding *h, const struct weft_channel *c, struct weft_ring *ring, uint64_t me,
                                 const char *outermost)
{
    struct weft_thread_page *page = h->page;
    const int mine = __atomic_load_n(&ring->lock, __ATOMIC_RELAXED) == me;
    if (page && (mine || __builtin_expect(__atomic_load_n(&page->noted, __ATOMIC_RELAXED) != 0, 0)))
        weft_hold_recover(page, c, me, outermost);
    if (mine && __atomic_load_n(&ring->lock, __ATOMIC_RELAXED) == me)
        return 0;
    if (!page)
        return 1;
    const uintptr_t at = (uintptr_t)ring;
    h->place = &page->holds[(at >> 10 ^ at >> 12 ^ at >> 16) % WEFT_HOLDS];
    h->before.ring = __atomic_load_n(&h->place->ring, __ATOMIC_RELAXED);
    h->before.mark = __atomic_load_n(&h->place->mark, __ATOMIC_RELAXED);
    h->before.value = __atomic_load_n(&h->place->value, __ATOMIC_RELAXED);
    const uint32_t value = (page->marks += 2) | 1; /* never that of a frame without a hold */
    h->mark = value;
    __atomic_store_n(&page->noted, page->noted + 1, __ATOMIC_RELAXED);
    weft_hold_put(h->place, ring, &h->mark, value);
    return 1;
}

/* When the lock was given back, or not got. */
static inline void weft_hold_end(const struct weft_holding *h)
{
    if (!h->page)
        return;
    weft_hold_put(h->place, h->before.ring, h->before.mark, h->before.value);
    __atomic_store_n(&h->page->noted, h->page->noted - 1, __ATOMIC_RELAXED);
}

#endif
