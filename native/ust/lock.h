/*
 * The ring's lock, for applications without restartable sequences. The word names application and thread, so the daemon can free
 * the lock of an application that died: whoever held it has either made its one commit store or changed nothing.
 */
#ifndef WEFT_UST_LOCK_H
#define WEFT_UST_LOCK_H

#include <sched.h>
#include <stdint.h>

#include "ring/layout.h"

#define WEFT_LOCK_SPINS 200u
#define WEFT_LOCK_YIELDS 64u

enum weft_lock_result { WEFT_LOCK_TAKEN, WEFT_LOCK_NESTED, WEFT_LOCK_CONTENDED };

static inline void weft_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* Bounded: some spins, then some turns of the scheduler, in which a preempted holder gets to run. */
static inline enum weft_lock_result weft_lock_take(struct weft_ring *ring, uint64_t me)
{
    for (uint32_t attempt = 0; attempt < WEFT_LOCK_SPINS + WEFT_LOCK_YIELDS; attempt++) {
        uint64_t holder = 0;
        if (__atomic_compare_exchange_n(&ring->lock, &holder, me, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return WEFT_LOCK_TAKEN;
        if (holder == me)
            return WEFT_LOCK_NESTED;
        if (attempt < WEFT_LOCK_SPINS)
            weft_cpu_relax();
        else
            sched_yield();
    }
    return WEFT_LOCK_CONTENDED;
}

/* Only the holder's own word is taken away: the daemon may have freed the lock of a process that it took for dead. */
static inline void weft_lock_release(struct weft_ring *ring, uint64_t me)
{
    __atomic_compare_exchange_n(&ring->lock, &me, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

#endif
