/*
 * libweft-pthread.so: traces how a program that knows nothing of it locks its mutexes (LD_PRELOAD): request, acquisition, attempt and
 * release, each with the mutex, the result and the caller.
 *
 * The library that records uses a mutex of its own: what happens inside a recording is passed on without being recorded. Until the real
 * functions are known (the first instants of a process, one thread) a call is passed to them as it looks them up.
 */
#include "helpers/preload.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "helpers/pthread_provider.h"

typedef int (*mutex_function)(pthread_mutex_t *);

static __thread int inside __attribute__((tls_model("initial-exec")));
static mutex_function real_lock, real_trylock, real_unlock;

static mutex_function real(mutex_function *known, const char *name)
{
    if (!*known) {
        /* dlsym may lock: it must find the real functions itself, not this one again. */
        inside++;
        mutex_function found;
        *(void **)&found = dlsym(RTLD_NEXT, name);
        if (!found)
            abort();
        *known = found;
        inside--;
    }
    return *known;
}

#define RECORD(...)                          \
    do {                                     \
        if (!inside) {                       \
            inside = 1;                      \
            weft_tracepoint(__VA_ARGS__);    \
            inside = 0;                      \
        }                                    \
    } while (0)

EXPORT int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    RECORD(lttng_ust_pthread, pthread_mutex_lock_req, mutex, __builtin_return_address(0));
    const int status = real(&real_lock, "pthread_mutex_lock")(mutex);
    RECORD(lttng_ust_pthread, pthread_mutex_lock_acq, mutex, status, __builtin_return_address(0));
    return status;
}

EXPORT int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    const int status = real(&real_trylock, "pthread_mutex_trylock")(mutex);
    RECORD(lttng_ust_pthread, pthread_mutex_trylock, mutex, status, __builtin_return_address(0));
    return status;
}

EXPORT int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    const int status = real(&real_unlock, "pthread_mutex_unlock")(mutex);
    RECORD(lttng_ust_pthread, pthread_mutex_unlock, mutex, status, __builtin_return_address(0));
    return status;
}
