/* Reading the clock page: nanoseconds of CLOCK_MONOTONIC from the processor's counter, clock_gettime where there is none. */
#ifndef WEFT_UST_CLOCK_H
#define WEFT_UST_CLOCK_H

#include <time.h>

#include "ring/layout.h"

static inline uint64_t weft_counter(void)
{
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((uint64_t)high << 32) | low;
#elif defined(__aarch64__)
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#else
#error "weft: no counter for this processor"
#endif
}

/* Where the counter must not be read before what came earlier in the program (lock mode: before the lock was taken). In the
 * restartable mode program order is enough: whoever could commit between the load of the position and this read would have had
 * to interrupt this thread, and interrupts are precise. */
static inline void weft_counter_fence(void)
{
#if defined(__x86_64__)
    __asm__ volatile("lfence" ::: "memory");
#else
    __asm__ volatile("isb" ::: "memory");
#endif
}

static inline uint64_t weft_clock_system(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* `page` may be NULL: no daemon gave one. */
static inline uint64_t weft_clock_read(const struct weft_clock_page *page)
{
    if (__builtin_expect(!page || !__atomic_load_n(&page->valid, __ATOMIC_RELAXED), 0))
        return weft_clock_system();
    for (;;) {
        const uint32_t version = __atomic_load_n(&page->version, __ATOMIC_ACQUIRE);
        const struct weft_clock_parameters *p = &page->parameters[version & 1];
        const uint64_t base_tsc = __atomic_load_n(&p->base_tsc, __ATOMIC_RELAXED);
        const uint64_t base_ns = __atomic_load_n(&p->base_ns, __ATOMIC_RELAXED);
        const uint64_t mult = __atomic_load_n(&p->mult, __ATOMIC_RELAXED);
        const uint64_t ticks = weft_counter();
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__builtin_expect(__atomic_load_n(&page->version, __ATOMIC_RELAXED) != version, 0))
            continue;
        if (__builtin_expect(ticks < base_tsc, 0))
            return base_ns;
        return base_ns + (uint64_t)(((unsigned __int128)(ticks - base_tsc) * mult) >> 32);
    }
}

#endif
