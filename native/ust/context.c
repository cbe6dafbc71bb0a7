#define _GNU_SOURCE
#include "ust/context.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ust/wire.h"

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
        return 8;
    default:
        return 0;
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
        return WEFT_CONTEXT_UNKNOWN;
    }
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
    default:
        return (int64_t)(intptr_t)ip;
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

void weft_context_write(const struct weft_channel *c, char *target, uint32_t cpu, void *ip)
{
    for (uint32_t i = 0; i < c->context_count; i++) {
        switch (c->contexts[i]) {
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
        }
    }
}
