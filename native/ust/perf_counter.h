/*
 * Performance counters of threads (perf_event_open). A counter has a number in the process as soon as a channel names it; each
 * thread opens it at its first record, and counts from there.
 */
#ifndef WEFT_UST_PERF_COUNTER_H
#define WEFT_UST_PERF_COUNTER_H

#include <stdint.h>

#include "ust/thread_page.h"

/* The number of a counter (struct perf_event_attr: type, config); -1: there are WEFT_PERF_COUNTERS others. With the registry's lock held. */
int weft_perf_counter(uint32_t type, uint64_t config);

/* This thread's count now; 0 where the kernel gives none. Async-signal-safe; may change errno. */
uint64_t weft_perf_counter_read(uint32_t number);

/* Gives back what a thread had opened. Async-signal-safe; may change errno. */
void weft_perf_counter_close(struct weft_thread_counter *counter);

#endif
