/*
 * Records two events with contexts, the second after it took another effective group, and prints before each what it knows of itself
 * by other ways, as one line of JSON.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/context.h>

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "counter.h"

static void give_number(void *data, struct weft_context_value *value)
{
    (void)data;
    value->kind = WEFT_CONTEXT_VALUE_INT32;
    value->as.integer = -7;
}

static void give_text(void *data, struct weft_context_value *value)
{
    value->kind = WEFT_CONTEXT_VALUE_STRING;
    value->as.text = data;
}

static struct weft_app_context number = WEFT_APP_CONTEXT("shop:number", give_number, NULL);
static struct weft_app_context user = WEFT_APP_CONTEXT("shop:user", give_text, "alice");

static void print_facts(void)
{
    static const char *const names[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
    uid_t u[3];
    gid_t g[3];
    getresuid(&u[0], &u[1], &u[2]);
    getresgid(&g[0], &g[1], &g[2]);
    printf("{\"vpid\":%d,\"vtid\":%d,\"pthread_id\":\"%lu\",\"vuid\":%u,\"veuid\":%u,\"vsuid\":%u,\"vgid\":%u,\"vegid\":%u,\"vsgid\":%u",
           getpid(), gettid(), (unsigned long)pthread_self(), u[0], u[1], u[2], g[0], g[1], g[2]);
    for (int i = 0; i < 8; i++) {
        char path[64];
        struct stat st = { 0 };
        snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", names[i]);
        stat(path, &st);
        printf(",\"%s_ns\":%lu", names[i], (unsigned long)st.st_ino);
    }
    printf("}\n");
}

int main(void)
{
    weft_app_context_register(&number);
    weft_app_context_register(&user);
    print_facts();
    lttng_ust_tracepoint(weft_test, count, 0, 1);
    weft_app_context_unregister(&user);
    if (setegid(1235) != 0)
        fprintf(stderr, "not root: the group stays\n");
    print_facts();
    lttng_ust_tracepoint(weft_test, count, 0, 2);
    weft_app_context_unregister(&number);
    return 0;
}
