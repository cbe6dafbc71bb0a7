#define _GNU_SOURCE
#include "ust/perf_counter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FD_FLOOR 200 /* as held_fd.c: out of the program's way */
#define PAGE_BYTES 4096u

static struct {
    uint32_t type;
    uint64_t config;
} known[WEFT_PERF_COUNTERS];
static uint32_t known_count;

int weft_perf_counter(uint32_t type, uint64_t config)
{
    for (uint32_t i = 0; i < known_count; i++) {
        if (known[i].type == type && known[i].config == config)
            return (int)i;
    }
    if (known_count == WEFT_PERF_COUNTERS)
        return -1;
    known[known_count].type = type;
    known[known_count].config = config;
    return (int)known_count++;
}

static int open_event(uint32_t number, uint64_t user_only)
{
    struct perf_event_attr attributes = {
        .type = known[number].type,
        .size = sizeof(attributes),
        .config = known[number].config,
        .exclude_kernel = user_only,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* With the kernel's part where the kernel lets us (perf_event_paranoid). */
static int open_fd(uint32_t number)
{
    int fd = open_event(number, 0);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        fd = open_event(number, 1);
    if (fd < 0)
        return -1;
    const int raised = fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);
    if (raised < 0)
        return fd;
    close(fd);
    return raised;
}

/* With signals blocked: a handler that records must not open the same counter in between. */
static __attribute__((noinline)) void open_counter(struct weft_thread_counter *c, uint32_t number)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    if (c->state == WEFT_COUNTER_UNOPENED) {
        c->fd = open_fd(number);
        c->state = c->fd >= 0 && ioctl(c->fd, PERF_EVENT_IOC_ID, &c->id) == 0 ? WEFT_COUNTER_OPEN : WEFT_COUNTER_ABSENT;
        void *page = c->state == WEFT_COUNTER_OPEN ? mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, c->fd, 0) : MAP_FAILED;
        c->page = page == MAP_FAILED ? NULL : page;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static int is_ours(const struct weft_thread_counter *c)
{
    uint64_t id;
    return ioctl(c->fd, PERF_EVENT_IOC_ID, &id) == 0 && id == c->id;
}

void weft_perf_counter_close(struct weft_thread_counter *c)
{
    if (c->state == WEFT_COUNTER_OPEN) {
        if (c->page)
            munmap(c->page, PAGE_BYTES);
        if (is_ours(c))
            close(c->fd);
    }
    *c = (struct weft_thread_counter){ .state = WEFT_COUNTER_UNOPENED, .fd = -1 };
}

/* From the processor, when the counter is on it and the kernel lets users ask: no system call. */
static int read_processor(const struct perf_event_mmap_page *page, uint64_t *count)
{
#ifdef __x86_64__
    uint32_t sequence;
    do {
        sequence = __atomic_load_n(&page->lock, __ATOMIC_ACQUIRE);
        const uint32_t index = page->index;
        if (!page->cap_user_rdpmc || !index)
            return 0;
        const uint32_t unused = 64 - page->pmc_width;
        const int64_t raw = (int64_t)((uint64_t)__builtin_ia32_rdpmc((int)index - 1) << unused);
        *count = (uint64_t)(page->offset + (raw >> unused));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&page->lock, __ATOMIC_RELAXED) != sequence);
    return 1;
#else
    (void)page;
    (void)count;
    return 0;
#endif
}

/* A program that closes all descriptors took the counter's too: it is opened once more, and counts from 0. */
uint64_t weft_perf_counter_read(uint32_t number)
{
    struct weft_thread_page *thread = weft_thread_page();
    if (!thread)
        return 0;
    struct weft_thread_counter *c = &thread->counters[number];
    uint64_t count;
    if (c->state == WEFT_COUNTER_OPEN && c->page && read_processor(c->page, &count))
        return count;
    if (c->state == WEFT_COUNTER_OPEN && !is_ours(c))
        weft_perf_counter_close(c);
    if (c->state == WEFT_COUNTER_UNOPENED)
        open_counter(c, number);
    return c->state == WEFT_COUNTER_OPEN && read(c->fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}
