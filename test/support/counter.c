/*
 * usage: counter CONFIRM_FILE THREADS EVENTS [PERIOD_NS] [PROCESSES] [FIRST]
 * Emits EVENTS events per thread (0: until SIGTERM), numbered from 0, and stores after each call how many it has made in
 * CONFIRM_FILE: one u64 per thread, mapped shared, so it outlives a kill -9. Thread ids run over all processes, from FIRST on, so
 * that several programs may share a file.
 * PERIOD_NS paces each thread (0: full speed). Who was held up for a while goes on at that pace, for a burst would lose events that no
 * test means to lose; with CATCH_UP in the environment it makes all at once that it is late with. Prints "ready" before the first event and "done" after the last one.
 */
#define _GNU_SOURCE
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "counter.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 512

static volatile sig_atomic_t stopping;
static volatile uint64_t *confirmed;
static uint64_t events;
static uint64_t period_ns;
static int catch_up;

#define LATE_NS 10000000u

static void stop(int signal)
{
    (void)signal;
    stopping = 1;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pace(uint64_t deadline)
{
    while (now_ns() < deadline) {
        const struct timespec nap = { 0, 50000 };
        if (deadline - now_ns() > 60000)
            nanosleep(&nap, NULL);
    }
}

static void *run(void *argument)
{
    const int thread = (int)(intptr_t)argument;
    uint64_t deadline = now_ns();
    for (uint64_t i = 0; !stopping && (!events || i < events); i++) {
        lttng_ust_tracepoint(weft_test, count, thread, i);
        confirmed[thread] = i + 1;
        if (period_ns) {
            deadline += period_ns;
            pace(deadline);
            const uint64_t now = now_ns();
            if (!catch_up && now > deadline + LATE_NS)
                deadline = now;
        }
    }
    return NULL;
}

static void run_threads(int first, int count)
{
    pthread_t ids[THREADS_MAX];
    for (int i = 0; i < count; i++)
        pthread_create(&ids[i], NULL, run, (void *)(intptr_t)(first + i));
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: counter CONFIRM_FILE THREADS EVENTS [PERIOD_NS] [PROCESSES] [FIRST]\n");
        return 2;
    }
    const int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
    const int threads = atoi(argv[2]);
    events = strtoull(argv[3], NULL, 0);
    period_ns = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
    catch_up = getenv("CATCH_UP") != NULL;
    const int processes = argc > 5 ? atoi(argv[5]) : 1;
    const int first = argc > 6 ? atoi(argv[6]) : 0;
    if (fd < 0 || ftruncate(fd, THREADS_MAX * 8) != 0 || threads < 1 || first < 0 || first + threads * processes > THREADS_MAX)
        return 2;
    confirmed = mmap(NULL, THREADS_MAX * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    signal(SIGTERM, stop);
    printf("ready\n");
    fflush(stdout);
    for (int i = 1; i < processes; i++) {
        if (fork() == 0) {
            run_threads(first + i * threads, threads);
            _exit(0);
        }
    }
    run_threads(first, threads);
    while (wait(NULL) > 0)
        ;
    printf("done\n");
    return 0;
}
