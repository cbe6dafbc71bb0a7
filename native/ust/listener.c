#define _GNU_SOURCE
#include "ust/listener.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "ust/connection.h"
#include "ust/context.h"
#include "ust/debug.h"
#include "ust/directories.h"
#include "ust/registry.h"
#include "ust/wait_page.h"

#define DAEMONS 2
#define REGISTER_TIMEOUT_MS 3000
/* How often a daemon that is missing beside one that is there is looked for; where none is there, the wait page wakes us. */
#define LOOK_AGAIN_MS 5000

/* All under the registry's lock, but for the doorbell, which is an eventfd. */
static struct {
    struct weft_connection connections[DAEMONS];
    int running;
    uint32_t batch; /* counts registrations */
    uid_t uid;
    pthread_cond_t changed;
    uint32_t *word;
} listener;
static int doorbell = -1;
static int use_rseq;

void weft_debug(const char *format, ...)
{
    static int enabled = -1;
    if (enabled < 0) {
        const char *value = secure_getenv("WEFT_UST_DEBUG");
        enabled = value && value[0] && value[0] != '0';
    }
    if (!enabled)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "weft[%d]: ", (int)getpid());
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

int weft_listener_uses_rseq(void)
{
    return use_rseq;
}

static void ring_doorbell(void)
{
    const uint64_t one = 1;
    const int saved = errno;
    if (doorbell >= 0 && write(doorbell, &one, sizeof(one)) < 0)
        errno = saved; /* full: it rings already */
}

void weft_listener_switched(void)
{
    if (getuid() != listener.uid)
        ring_doorbell();
}

static void close_all(void)
{
    for (int i = 0; i < DAEMONS; i++) {
        weft_connection_close(&listener.connections[i]);
        weft_registry_detach_all(i);
        weft_registry_unannounce(i);
        listener.connections[i].state = WEFT_CONNECTION_PENDING;
    }
}

/* A process that changed its user records into that user's rings from now on. */
static void follow_uid(void)
{
    const uid_t uid = getuid();
    if (uid == listener.uid)
        return;
    close_all();
    listener.uid = uid;
    listener.word = weft_wait_page_open(uid);
}

static void connect_missing(void)
{
    const struct weft_directories d = weft_directories_find(listener.uid);
    for (int i = 0; i < DAEMONS; i++) {
        struct weft_connection *c = &listener.connections[i];
        if (c->state == WEFT_CONNECTION_UP)
            continue;
        c->state = WEFT_CONNECTION_DOWN;
        if (i >= d.count)
            continue;
        const int status = weft_connection_open(c, d.path[i], listener.uid);
        weft_debug("%s: %s", d.path[i], status ? strerror(-status) : "connected");
        if (status == 0) {
            weft_registry_unannounce(i);
            weft_registry_mark_unattached(i);
        }
    }
}

static int serve(struct weft_connection *c)
{
    int status;
    do {
        status = weft_connection_serve(c);
    } while (status == 0);
    return status;
}

static void converse(struct weft_connection *c)
{
    if (c->state != WEFT_CONNECTION_UP)
        return;
    int status = serve(c);
    if (status == -EAGAIN && c->application && c->batch_sent != listener.batch)
        status = weft_connection_announce(c, listener.batch) ?: -EAGAIN;
    if (status != -EAGAIN) {
        weft_debug("connection over: %s", strerror(-status));
        weft_connection_close(c);
    }
}

/* Sleeps until a daemon says something, something new is registered, or a daemon appears. */
static void sleep_until_news(int up, int down, uint32_t seen)
{
    if (!up && listener.word) {
        weft_wait_page_sleep(listener.word, seen);
        return;
    }
    struct pollfd fds[DAEMONS + 1] = { { doorbell, POLLIN, 0 } };
    int count = 1;
    for (int i = 0; i < DAEMONS; i++) {
        if (listener.connections[i].state == WEFT_CONNECTION_UP)
            fds[count++] = (struct pollfd){ listener.connections[i].fd, POLLIN, 0 };
    }
    uint64_t rung;
    if (poll(fds, (nfds_t)count, down ? LOOK_AGAIN_MS : -1) > 0 && (fds[0].revents & POLLIN) &&
        read(doorbell, &rung, sizeof(rung)) < 0)
        weft_debug("doorbell: %s", strerror(errno));
}

static void *listen_for_daemons(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "weft-listener");
    for (;;) {
        weft_registry_lock();
        follow_uid();
        /* Read before trying to connect: a daemon that appears in between bumps it, and the sleep below ends at once. */
        const uint32_t seen = listener.word ? __atomic_load_n(listener.word, __ATOMIC_ACQUIRE) : 0;
        connect_missing();
        int up = 0, down = 0;
        const int possible = weft_directories_find(listener.uid).count;
        for (int i = 0; i < possible; i++) {
            converse(&listener.connections[i]);
            up += listener.connections[i].state == WEFT_CONNECTION_UP;
            down += listener.connections[i].state != WEFT_CONNECTION_UP;
        }
        pthread_cond_broadcast(&listener.changed);
        weft_registry_unlock();
        sleep_until_news(up, down, seen);
    }
    return NULL;
}

static void start_thread(void)
{
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    if (pthread_create(&thread, &attributes, listen_for_daemons, NULL) == 0)
        listener.running = 1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void weft_listener_notify(void)
{
    listener.batch++;
    if (!listener.running)
        start_thread();
    ring_doorbell();
}

static int settled(uint32_t batch)
{
    for (int i = 0; i < DAEMONS; i++) {
        const struct weft_connection *c = &listener.connections[i];
        if (c->state == WEFT_CONNECTION_PENDING || (c->state == WEFT_CONNECTION_UP && (int32_t)(c->batch_synced - batch) < 0))
            return 0;
    }
    return 1;
}

static long register_timeout_ms(void)
{
    const char *value = secure_getenv("WEFT_REGISTER_TIMEOUT");
    return value && value[0] ? atol(value) : REGISTER_TIMEOUT_MS;
}

void weft_listener_wait(void)
{
    const long timeout = register_timeout_ms();
    if (timeout == 0)
        return;
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout < 0 ? 1000000000 : timeout / 1000;
    deadline.tv_nsec += timeout < 0 ? 0 : timeout % 1000 * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    weft_registry_lock();
    const uint32_t batch = listener.batch;
    int status = 0;
    while (listener.running && status == 0 && !settled(batch))
        status = weft_registry_wait(&listener.changed, &deadline);
    weft_registry_unlock();
}

/* The state of a process that has not talked to anybody. */
static void reset(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&listener.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    for (int i = 0; i < DAEMONS; i++) {
        listener.connections[i].index = i;
        listener.connections[i].fd = -1;
        listener.connections[i].state = WEFT_CONNECTION_PENDING;
    }
    listener.running = 0;
    listener.uid = getuid();
    listener.word = weft_wait_page_open(listener.uid);
    doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void before_fork(void)
{
    weft_registry_lock();
}

static void after_fork_in_parent(void)
{
    weft_registry_unlock();
}

/* The child is an application of its own: no thread, no connection, no channel; it registers like a program that starts. */
static void after_fork_in_child(void)
{
    const int registered = listener.running;
    close_all();
    if (doorbell >= 0)
        close(doorbell);
    reset();
    weft_context_forked();
    weft_registry_forked();
    if (registered)
        weft_listener_notify();
    weft_registry_unlock();
    if (registered)
        weft_listener_wait();
}

void weft_listener_init(int rseq)
{
    use_rseq = rseq;
    reset();
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
