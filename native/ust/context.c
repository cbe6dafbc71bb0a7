#define _GNU_SOURCE
#include "ust/context.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ust/perf_counter.h"
#include "ust/thread_page.h"
#include "ust/wire.h"

/* How old a namespace may be. Nothing tells a library that its thread changed one (unshare, setns), and asking costs some
 * microseconds: so they are read again at the first record after this time, and at the first one of a thread or a child. */
#define NAMESPACES_AGE_NS 10000000

/* Initial-exec: no call and no allocation on the record path. A library that is loaded late may use only the few spare bytes of
 * static TLS, so this stays small. */
static __thread struct {
    int32_t tid;
    char procname[WEFT_PROCNAME_BYTES];
} cached __attribute__((tls_model("initial-exec")));

static int32_t process_id;

void weft_context_init(void)
{
    process_id = getpid();
}

void weft_context_forked(void)
{
    process_id = getpid();
    cached.tid = 0;
    weft_thread_pages_forked();
}

int32_t weft_context_tid(void)
{
    if (__builtin_expect(!cached.tid, 0))
        cached.tid = (int32_t)syscall(SYS_gettid);
    return cached.tid;
}

static const char *procname(void)
{
    if (__builtin_expect(!cached.procname[0], 0))
        prctl(PR_GET_NAME, cached.procname);
    return cached.procname;
}

static int64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Inode numbers under /proc; 0 for what is not there (no /proc, an older kernel). */
static void read_namespaces(struct weft_thread_page *page, int64_t now)
{
    static const char *const paths[WEFT_NAMESPACES] = {
        "/proc/thread-self/ns/cgroup", "/proc/thread-self/ns/ipc",  "/proc/thread-self/ns/mnt",  "/proc/thread-self/ns/net",
        "/proc/thread-self/ns/pid",    "/proc/thread-self/ns/time", "/proc/thread-self/ns/user", "/proc/thread-self/ns/uts",
    };
    struct stat st;
    for (uint32_t i = 0; i < WEFT_NAMESPACES; i++)
        page->namespaces[i] = fstatat(AT_FDCWD, paths[i], &st, 0) == 0 ? (uint32_t)st.st_ino : 0;
    page->namespaces_at = now;
}

static uint64_t namespace_inode(uint16_t type)
{
    struct weft_thread_page *page = weft_thread_page();
    if (!page)
        return 0;
    const int64_t now = coarse_now();
    if (!page->namespaces_at || now - page->namespaces_at > NAMESPACES_AGE_NS)
        read_namespaces(page, now);
    return page->namespaces[type - WEFT_CONTEXT_CGROUP_NS];
}

/* Asked each time: a system call that only copies, and always right, whatever set*id() call a program or its libc chose. */
static uint32_t credential(uint16_t type)
{
    uid_t ids[3] = { 0, 0, 0 };
    if (type <= WEFT_CONTEXT_VSUID) {
        getresuid(&ids[0], &ids[1], &ids[2]);
        return ids[type - WEFT_CONTEXT_VUID];
    }
    getresgid(&ids[0], &ids[1], &ids[2]);
    return ids[type - WEFT_CONTEXT_VGID];
}

static int is_namespace(uint16_t type)
{
    return type >= WEFT_CONTEXT_CGROUP_NS && type <= WEFT_CONTEXT_UTS_NS;
}

static int is_credential(uint16_t type)
{
    return type >= WEFT_CONTEXT_VUID && type <= WEFT_CONTEXT_VSGID;
}

uint32_t weft_context_size(uint16_t type)
{
    switch (type) {
    case WEFT_CONTEXT_VPID:
    case WEFT_CONTEXT_VTID:
    case WEFT_CONTEXT_CPU_ID:
        return 4;
    case WEFT_CONTEXT_PROCNAME:
        return WEFT_PROCNAME_BYTES;
    case WEFT_CONTEXT_PTHREAD_ID:
    case WEFT_CONTEXT_IP:
    case WEFT_CONTEXT_PERF_THREAD:
        return 8;
    default:
        return is_namespace(type) ? 8 : is_credential(type) ? 4 : 0;
    }
}

enum weft_context_form weft_context_form(uint16_t type)
{
    switch (type) {
    case WEFT_CONTEXT_PROCNAME:
        return WEFT_CONTEXT_TEXT;
    case WEFT_CONTEXT_VPID:
    case WEFT_CONTEXT_VTID:
    case WEFT_CONTEXT_CPU_ID:
    case WEFT_CONTEXT_PTHREAD_ID:
    case WEFT_CONTEXT_IP:
        return WEFT_CONTEXT_INTEGER;
    default:
        return is_namespace(type) || is_credential(type) ? WEFT_CONTEXT_INTEGER : WEFT_CONTEXT_UNKNOWN;
    }
}

/* Those that ask the kernel. Keeps errno. */
static __attribute__((noinline)) uint64_t asked(uint16_t type, uint32_t counter)
{
    const int saved = errno;
    uint64_t value = 0;
    if (is_namespace(type))
        value = namespace_inode(type);
    else if (is_credential(type))
        value = credential(type);
    else if (type == WEFT_CONTEXT_PERF_THREAD)
        value = weft_perf_counter_read(counter);
    errno = saved;
    return value;
}

int64_t weft_context_integer(uint16_t type, void *ip)
{
    switch (type) {
    case WEFT_CONTEXT_VPID:
        return process_id;
    case WEFT_CONTEXT_VTID:
        return weft_context_tid();
    case WEFT_CONTEXT_CPU_ID:
        return sched_getcpu();
    case WEFT_CONTEXT_PTHREAD_ID:
        return (int64_t)pthread_self();
    case WEFT_CONTEXT_IP:
        return (int64_t)(intptr_t)ip;
    default:
        return (int64_t)asked(type, 0);
    }
}

const char *weft_context_text(void)
{
    return procname();
}

static char *put32(char *target, int32_t value)
{
    memcpy(target, &value, 4);
    return target + 4;
}

static char *put64(char *target, uint64_t value)
{
    memcpy(target, &value, 8);
    return target + 8;
}

static char *put_asked(char *target, const struct weft_channel_context *context)
{
    const uint64_t value = asked(context->type, context->counter);
    return is_credential(context->type) ? put32(target, (int32_t)value) : put64(target, value);
}

void weft_context_write(const struct weft_channel *c, char *target, uint32_t cpu, void *ip)
{
    for (uint32_t i = 0; i < c->context_count; i++) {
        switch (c->contexts[i].type) {
        case WEFT_CONTEXT_VPID:
            target = put32(target, process_id);
            break;
        case WEFT_CONTEXT_VTID:
            target = put32(target, weft_context_tid());
            break;
        case WEFT_CONTEXT_CPU_ID:
            target = put32(target, (int32_t)cpu);
            break;
        case WEFT_CONTEXT_PROCNAME:
            memcpy(target, procname(), WEFT_PROCNAME_BYTES);
            target += WEFT_PROCNAME_BYTES;
            break;
        case WEFT_CONTEXT_PTHREAD_ID:
            target = put64(target, (uint64_t)pthread_self());
            break;
        case WEFT_CONTEXT_IP:
            target = put64(target, (uint64_t)(uintptr_t)ip);
            break;
        default:
            target = put_asked(target, &c->contexts[i]);
        }
    }
}
