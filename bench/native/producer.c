/*
 * usage: producer EVENTS THREADS
 * Each thread makes EVENTS events of two integers as fast as it can. Prints one JSON line: what an event cost a thread, on average
 * over the threads.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "provider.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 64

static uint64_t events;

struct worker {
    pthread_t id;
    int number;
    double ns_per_event;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *produce(void *argument)
{
    struct worker *me = argument;
    const double begin = now_ns();
    for (uint64_t i = 0; i < events; i++)
        lttng_ust_tracepoint(weft_bench, pair, me->number, i);
    me->ns_per_event = (now_ns() - begin) / (double)events;
    return NULL;
}

int main(int argc, char **argv)
{
    struct worker workers[THREADS_MAX];
    events = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
    const int threads = argc > 2 ? atoi(argv[2]) : 0;
    if (events == 0 || threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: producer EVENTS THREADS\n");
        return 2;
    }
    for (int i = 0; i < threads; i++) {
        workers[i].number = i;
        if (pthread_create(&workers[i].id, NULL, produce, &workers[i]) != 0)
            return 1;
    }
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].id, NULL);
        sum += workers[i].ns_per_event;
    }
    printf("{\"nsPerEvent\":%.3f}\n", sum / threads);
    return 0;
}
