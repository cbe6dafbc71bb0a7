/* What helpers_test runs under the helpers: known sizes, mutexes, libraries, threads, a child. Prints the address of each function that calls. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 50

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noinline)) int allocate(void)
{
    void *aligned = NULL;
    void *volatile p = malloc(1001);
    p = realloc(p, 2002);
    free(p);
    p = calloc(3, 1003);
    free(p);
    p = memalign(64, 1004);
    free(p);
    const int good = posix_memalign(&aligned, 128, 1005), bad = posix_memalign((void **)&p, 3, 1006);
    free(aligned);
    return good == 0 && bad == 22 && ((uintptr_t)aligned & 127) == 0;
}

static __attribute__((noinline)) int lock(void)
{
    const int first = pthread_mutex_lock(&mutex), second = pthread_mutex_trylock(&mutex);
    return first == 0 && second == 16 && pthread_mutex_unlock(&mutex) == 0;
}

static void *work(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        free(malloc(3003));
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static int run_threads(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 1;
}

static int run_child(void)
{
    int status = 1;
    const pid_t child = fork();
    if (child == 0) {
        free(malloc(4004));
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        _exit(0);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

/* What fails says why, as it did. */
static __attribute__((noinline)) int load(void)
{
    void *library = dlopen("libm.so.6", RTLD_NOW), *apart = dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_LAZY);
    void *none = dlopen("/nonexistent.so", RTLD_NOW);
    const char *error = dlerror();
    return library && apart && !none && error && strstr(error, "/nonexistent.so") && dlclose(apart) == 0 && dlclose(library) == 0;
}

int main(void)
{
    printf("%p %p %p\n", (void *)(uintptr_t)&allocate, (void *)(uintptr_t)&lock, (void *)(uintptr_t)&load);
    return allocate() && lock() && load() && run_threads() && run_child() ? 0 : 1;
}
