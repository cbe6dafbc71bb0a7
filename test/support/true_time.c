/*
 * usage: true_time HOST EVENTS PERIOD_NS
 * Events weft_test:count whose `thread` is HOST and whose `number` is CLOCK_BOOTTIME, ns: what time it is for all namespaces whose
 * CLOCK_MONOTONIC alone is shifted. An event during which the processor was taken away says nothing about clocks: `number` 0 follows it.
 * Prints how far CLOCK_REALTIME is from it, ns, before the first event; begins when its standard input ends.
 */
#define _GNU_SOURCE
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "counter.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define QUICK_NS 100000

static uint64_t read_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Of many readings the largest: whatever comes in between makes it smaller. */
static int64_t real_offset(void)
{
    int64_t largest = INT64_MIN;
    for (int i = 0; i < 100; i++) {
        const int64_t real = (int64_t)read_ns(CLOCK_REALTIME);
        const int64_t offset = real - (int64_t)read_ns(CLOCK_BOOTTIME);
        if (offset > largest)
            largest = offset;
    }
    return largest;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: true_time HOST EVENTS PERIOD_NS\n");
        return 2;
    }
    const int host = atoi(argv[1]);
    const struct timespec period = { 0, atol(argv[3]) };
    printf("%lld\n", (long long)real_offset());
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (long left = atol(argv[2]); left > 0; left--) {
        const uint64_t now = read_ns(CLOCK_BOOTTIME);
        lttng_ust_tracepoint(weft_test, count, host, now);
        if (read_ns(CLOCK_BOOTTIME) - now > QUICK_NS)
            lttng_ust_tracepoint(weft_test, count, host, 0);
        nanosleep(&period, NULL);
    }
    return 0;
}
