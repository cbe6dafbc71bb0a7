/*
 * usage: disabled ROUNDS
 * What an instrumentation point costs that nobody records: a loop over eight of them, minus the same loop without. Eight, for beside
 * the loop's own counter one alone would run for nothing. The smallest of several times, for whatever else runs on the machine only
 * adds. Prints one JSON line.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "provider.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRIES 7
#define POINTS 8
#define EIGHT_TIMES(what) what what what what what what what what

/* The compiler may assume nothing about memory after this: neither loop can be folded, the point's state is loaded each time. */
#define OPAQUE(i) __asm__ volatile("" : "+r"(i) : : "memory")

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static __attribute__((noinline)) double empty(uint64_t rounds)
{
    const double begin = now_ns();
    for (uint64_t i = 0; i < rounds; i++) {
        EIGHT_TIMES(OPAQUE(i);)
    }
    return (now_ns() - begin) / (double)rounds;
}

static __attribute__((noinline)) double instrumented(uint64_t rounds)
{
    const double begin = now_ns();
    for (uint64_t i = 0; i < rounds; i++) {
        EIGHT_TIMES(OPAQUE(i); lttng_ust_tracepoint(weft_bench, pair, 0, i);)
    }
    return (now_ns() - begin) / (double)rounds;
}

int main(int argc, char **argv)
{
    const uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
    if (rounds == 0) {
        fprintf(stderr, "usage: disabled ROUNDS\n");
        return 2;
    }
    double bare = empty(rounds);
    double full = instrumented(rounds);
    for (int i = 1; i < TRIES; i++) {
        const double b = empty(rounds), f = instrumented(rounds);
        bare = b < bare ? b : bare;
        full = f < full ? f : full;
    }
    printf("{\"nsPerPoint\":%.3f}\n", full > bare ? (full - bare) / POINTS : 0);
    return 0;
}
