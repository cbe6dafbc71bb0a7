/*
 * What libweft remembers of a thread beside the few bytes of thread-local storage that a library loaded late may use: one page,
 * taken at the thread's first need. No destructor gives it back (registering one may allocate): the page of a thread that is gone
 * is taken over by the next thread that needs one.
 */
#ifndef WEFT_UST_THREAD_PAGE_H
#define WEFT_UST_THREAD_PAGE_H

#include <stdint.h>

#define WEFT_NAMESPACES 8u
#define WEFT_PERF_COUNTERS 32u

struct perf_event_mmap_page;

/* One counter of one thread (perf_counter.h). */
struct weft_thread_counter {
    uint8_t state; /* enum weft_counter_state */
    int fd;
    uint64_t id; /* by which the kernel knows it: the descriptor's number may have become somebody else's */
    struct perf_event_mmap_page *page; /* NULL: only read(2) */
};
enum weft_counter_state { WEFT_COUNTER_UNOPENED = 0, WEFT_COUNTER_OPEN = 1, WEFT_COUNTER_ABSENT = 2 };

struct weft_thread_page {
    uint64_t owner; /* turn << 32 | thread id; thread id 0: nobody */
    struct weft_thread_page *next;
    int64_t namespaces_at; /* ns of CLOCK_MONOTONIC_COARSE; 0: not read */
    uint32_t namespaces[WEFT_NAMESPACES];
    struct weft_thread_counter counters[WEFT_PERF_COUNTERS];
};

/* This thread's page; NULL without memory. Async-signal-safe; may change errno. */
struct weft_thread_page *weft_thread_page(void);

/* In the child of a fork: nobody owns a page. */
void weft_thread_pages_forked(void);

#endif
