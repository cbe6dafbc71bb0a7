/*
 * libweft-libc.so: traces the memory allocation of a program that knows nothing of it (LD_PRELOAD). Each function calls the real one
 * and then records what was asked, what was given, and who asked.
 *
 * The real functions are reached by glibc's own names for them, so nothing has to be looked up before the first call. A call that
 * comes from inside the recording itself (the library's own start, a formatter) is passed on without being recorded.
 */
#include "helpers/preload.h"

#include <errno.h>
#include <stdlib.h>

#include "helpers/libc_provider.h"

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *pointer);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static __thread int inside __attribute__((tls_model("initial-exec")));

#define RECORD(...)                          \
    do {                                     \
        if (!inside) {                       \
            const int saved = errno;         \
            inside = 1;                      \
            weft_tracepoint(__VA_ARGS__);    \
            inside = 0;                      \
            errno = saved;                   \
        }                                    \
    } while (0)

EXPORT void *malloc(size_t size)
{
    void *pointer = __libc_malloc(size);
    RECORD(lttng_ust_libc, malloc, size, pointer, __builtin_return_address(0));
    return pointer;
}

EXPORT void free(void *pointer)
{
    /* Before: afterwards another thread may own the address already. */
    RECORD(lttng_ust_libc, free, pointer, __builtin_return_address(0));
    __libc_free(pointer);
}

EXPORT void *calloc(size_t count, size_t size)
{
    void *pointer = __libc_calloc(count, size);
    RECORD(lttng_ust_libc, calloc, count, size, pointer, __builtin_return_address(0));
    return pointer;
}

EXPORT void *realloc(void *old, size_t size)
{
    void *pointer = __libc_realloc(old, size);
    RECORD(lttng_ust_libc, realloc, old, size, pointer, __builtin_return_address(0));
    return pointer;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    void *pointer = __libc_memalign(alignment, size);
    RECORD(lttng_ust_libc, memalign, alignment, size, pointer, __builtin_return_address(0));
    return pointer;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    void *pointer = __libc_memalign(alignment, size);
    RECORD(lttng_ust_libc, memalign, alignment, size, pointer, __builtin_return_address(0));
    return pointer;
}

static int allocate_aligned(void **out, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    const int saved = errno;
    void *pointer = __libc_memalign(alignment, size);
    errno = saved;
    if (!pointer)
        return ENOMEM;
    *out = pointer;
    return 0;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    const int result = allocate_aligned(out, alignment, size);
    RECORD(lttng_ust_libc, posix_memalign, result == 0 ? *out : NULL, alignment, size, result, __builtin_return_address(0));
    return result;
}
