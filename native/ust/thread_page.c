#define _GNU_SOURCE
#include "ust/thread_page.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ust/context.h"
#include "ust/perf_counter.h"

static __thread struct weft_thread_page *own __attribute__((tls_model("initial-exec")));
static struct weft_thread_page *pages; /* only grows */

static int is_gone(int32_t tid)
{
    return tid == 0 || (syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH);
}

/* A page that has our number and is not ours was that of a thread before us. */
static struct weft_thread_page *take_over(int32_t tid)
{
    for (struct weft_thread_page *p = __atomic_load_n(&pages, __ATOMIC_ACQUIRE); p; p = p->next) {
        uint64_t owner = __atomic_load_n(&p->owner, __ATOMIC_ACQUIRE);
        if ((int32_t)owner != tid && !is_gone((int32_t)owner))
            continue;
        const uint64_t mine = ((owner >> 32) + 1) << 32 | (uint32_t)tid;
        if (!__atomic_compare_exchange_n(&p->owner, &owner, mine, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        p->namespaces_at = 0;
        for (uint32_t i = 0; i < WEFT_PERF_COUNTERS; i++)
            weft_perf_counter_close(&p->counters[i]);
        return p;
    }
    return NULL;
}

static struct weft_thread_page *make(int32_t tid)
{
    _Static_assert(sizeof(struct weft_thread_page) <= 4096, "one page");
    struct weft_thread_page *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    p->owner = (uint32_t)tid;
    p->next = __atomic_load_n(&pages, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&pages, &p->next, p, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return p;
}

/* With signals blocked: a handler that records must not take a page for the same thread in between. */
static __attribute__((noinline)) struct weft_thread_page *first_need(void)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    if (!own) {
        const int32_t tid = weft_context_tid();
        own = take_over(tid);
        if (!own)
            own = make(tid);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return own;
}

struct weft_thread_page *weft_thread_page(void)
{
    return __builtin_expect(own != NULL, 1) ? own : first_need();
}

/* Threads of the parent have no life here, but their numbers may come again. */
void weft_thread_pages_forked(void)
{
    own = NULL;
    for (struct weft_thread_page *p = pages; p; p = p->next)
        p->owner &= ~(uint64_t)UINT32_MAX;
}
