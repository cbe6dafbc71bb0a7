/*
 * usage: paced PER_MS
 * Makes PER_MS events of two integers each millisecond until it is killed: a moderate load. Says "ready" before the first.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "provider.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
    const int per_ms = argc > 1 ? atoi(argv[1]) : 0;
    const struct timespec pause = {0, 1000000};
    if (per_ms < 1) {
        fprintf(stderr, "usage: paced PER_MS\n");
        return 2;
    }
    puts("ready");
    fflush(stdout);
    for (uint64_t number = 0;; nanosleep(&pause, NULL))
        for (int i = 0; i < per_ms; i++)
            lttng_ust_tracepoint(weft_bench, pair, 0, number++);
}
