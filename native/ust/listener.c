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
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "ust/connection.h"
#include "ust/context.h"
#include "ust/debug.h"
#include "ust/directories.h"
#include "ust/doorbell.h"
#include "ust/registry.h"
#include "ust/wait_page.h"

#define REGISTER_TIMEOUT_MS 3000
/* How often a daemon that is missing beside one that is there is looked for; where none is there, the wait page wakes us. */
#define LOOK_AGAIN_MS 5000
/* How often we look round for what wakes nobody: the process became another user's, a socket was closed by the program. */
#define LOOK_ROUND_MS 30000
/* A connection that ended is tried again after so long, twice as long each time until one gets as far as SYNCED: the daemon may be
 * alive, and we or the program ended it. One that is dead does not answer, and the next one bumps the wait page. */
#define RETRY_MIN_MS 5
#define RETRY_MAX_MS 5000
/* Messages served before others get the lock. */
#define SERVE_MAX 64

/* All under the registry's lock, but for ringing the doorbell. */
static struct {
    struct weft_connection connections[WEFT_CONNECTIONS];
    uint32_t thread; /* number of the present listener thread; 0: none. An older one ends when it wakes. */
    uint32_t batch;  /* counts registrations */
    int lost;        /* a connection ended in this turn */
    int retry_ms;
    uid_t uid;
    pthread_cond_t changed;
    uint32_t *word;
    struct weft_doorbell doorbell;
} listener;
static int use_rseq;

/* Whose events these are: the real user's, for some programs take on another uid for a moment; but what a setuid program does is not for
 * the eyes of who called it. */
static uid_t own_uid(void)
{
    return getauxval(AT_SECURE) ? geteuid() : getuid();
}

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

void weft_listener_switched(void)
{
    if (own_uid() != __atomic_load_n(&listener.uid, __ATOMIC_RELAXED))
        weft_doorbell_ring(&listener.doorbell);
}

void weft_listener_starved(void)
{
    weft_doorbell_ring(&listener.doorbell);
}

static void close_all(void)
{
    for (int i = 0; i < WEFT_CONNECTIONS; i++) {
        weft_connection_close(&listener.connections[i]);
        listener.connections[i].state = WEFT_CONNECTION_PENDING;
    }
}

/* A process that changed its user records into that user's rings from now on. */
static void follow_uid(void)
{
    const uid_t uid = own_uid();
    if (uid == listener.uid)
        return;
    close_all();
    for (int i = 0; i < WEFT_CONNECTIONS; i++) {
        weft_registry_detach_all(i);
        weft_registry_unannounce(i);
    }
    __atomic_store_n(&listener.uid, uid, __ATOMIC_RELAXED);
    weft_wait_page_close(listener.word);
    listener.word = weft_wait_page_open(uid);
}

static void connect_missing(void)
{
    const struct weft_directories d = weft_directories_find(listener.uid);
    for (int i = 0; i < WEFT_CONNECTIONS; i++) {
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
    int status = 0;
    for (int i = 0; i < SERVE_MAX && status == 0; i++)
        status = weft_connection_serve(c);
    return status;
}

static void converse(struct weft_connection *c)
{
    if (c->state != WEFT_CONNECTION_UP)
        return;
    int status = serve(c);
    if (status == -EAGAIN && c->application && c->batch_sent != listener.batch)
        status = weft_connection_announce(c, listener.batch);
    if (status == -EAGAIN && c->application)
        status = weft_connection_ask(c) ?: -EAGAIN;
    if (c->application && c->batch_synced == listener.batch)
        listener.retry_ms = RETRY_MIN_MS;
    if (status && status != -EAGAIN) {
        weft_debug("connection over: %s", strerror(-status));
        weft_connection_close(c);
        listener.lost = 1;
    }
}

/* How to sleep after a turn: on sockets, or, when no daemon is connected, on the wait page. Taken while the registry is locked, for
 * another thread may have taken this one's place when it wakes. */
struct sleep {
    struct pollfd fds[WEFT_CONNECTIONS + 1];
    nfds_t count; /* 0: on the wait page */
    uint32_t *word, seen;
    int limit_ms;
};

/* Until a daemon says something, something new is registered, or a daemon appears. */
static void sleep_until_news(struct sleep *s)
{
    if (s->count)
        poll(s->fds, s->count, s->limit_ms);
    else
        weft_wait_page_sleep(s->word, s->seen, s->limit_ms);
}

static int sleep_limit(int up, int down)
{
    if (listener.lost) {
        const int limit = listener.retry_ms;
        listener.retry_ms = 2 * limit < RETRY_MAX_MS ? 2 * limit : RETRY_MAX_MS;
        return limit;
    }
    return down && (up || !listener.word) ? LOOK_AGAIN_MS : LOOK_ROUND_MS;
}

static void check_doorbell(void)
{
    if (!weft_doorbell_intact(&listener.doorbell)) {
        weft_doorbell_close(&listener.doorbell);
        weft_doorbell_open(&listener.doorbell);
    }
    weft_doorbell_silence(&listener.doorbell);
}

/* Serves and announces on each connection. Returns how many are up. */
static int converse_with_all(int possible, struct sleep *s)
{
    int up = 0;
    s->fds[0] = (struct pollfd){ listener.doorbell.ear.fd, POLLIN, 0 };
    for (int i = 0; i < possible; i++) {
        struct weft_connection *c = &listener.connections[i];
        converse(c);
        if (c->state == WEFT_CONNECTION_UP)
            s->fds[++up] = (struct pollfd){ c->socket.fd, POLLIN, 0 };
    }
    return up;
}

/* One turn with the registry locked: connects, serves, announces. */
static void take_turn(struct sleep *s)
{
    follow_uid();
    check_doorbell();
    /* Read before trying to connect: a daemon that appears in between bumps it, and the sleep ends at once. */
    s->word = listener.word;
    s->seen = s->word ? __atomic_load_n(s->word, __ATOMIC_ACQUIRE) : 0;
    listener.lost = 0;
    connect_missing();
    const int possible = weft_directories_find(listener.uid).count;
    const int up = converse_with_all(possible, s);
    s->count = up || !s->word ? (nfds_t)up + 1 : 0;
    s->limit_ms = sleep_limit(up, possible - up);
    pthread_cond_broadcast(&listener.changed);
}

static void *listen_for_daemons(void *number)
{
    pthread_setname_np(pthread_self(), "weft-listener");
    for (;;) {
        weft_registry_lock();
        if (listener.thread != (uint32_t)(uintptr_t)number) {
            weft_registry_unlock();
            return NULL;
        }
        struct sleep s;
        take_turn(&s);
        weft_registry_unlock();
        sleep_until_news(&s);
    }
}

static void start_thread(void)
{
    static uint32_t last_thread;
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    const uint32_t number = ++last_thread;
    listener.thread = pthread_create(&thread, &attributes, listen_for_daemons, (void *)(uintptr_t)number) == 0 ? number : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void weft_listener_notify(void)
{
    listener.batch++;
    /* The program closed our descriptors under the sleeping thread, so nothing reaches it there: another one takes over. */
    if (!listener.thread || !weft_doorbell_intact(&listener.doorbell))
        start_thread();
    weft_doorbell_ring(&listener.doorbell);
}

static int settled(uint32_t batch, int wholly)
{
    for (int i = 0; i < WEFT_CONNECTIONS; i++) {
        const struct weft_connection *c = &listener.connections[i];
        const uint32_t reached = wholly ? c->batch_complete : c->batch_synced;
        if (c->state == WEFT_CONNECTION_PENDING || (c->state == WEFT_CONNECTION_UP && (int32_t)(reached - batch) < 0))
            return 0;
    }
    return 1;
}

static const char *chosen_timeout(void)
{
    const char *value = secure_getenv("WEFT_REGISTER_TIMEOUT");
    return value && value[0] ? value : NULL;
}

void weft_listener_wait(void)
{
    const char *chosen = chosen_timeout();
    const long timeout = chosen ? atol(chosen) : REGISTER_TIMEOUT_MS;
    const int wholly = chosen && timeout > 0; /* for ever nobody waits for a session that may never attach it */
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
    while (listener.thread && status == 0 && !settled(batch, wholly))
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
    for (int i = 0; i < WEFT_CONNECTIONS; i++)
        listener.connections[i] = (struct weft_connection){ .index = i, .socket = { .fd = -1 }, .state = WEFT_CONNECTION_PENDING };
    listener.thread = 0;
    listener.retry_ms = RETRY_MIN_MS;
    listener.uid = own_uid();
    weft_wait_page_close(listener.word);
    listener.word = weft_wait_page_open(listener.uid);
    weft_doorbell_open(&listener.doorbell);
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
    const int registered = listener.thread != 0;
    weft_context_forked();
    weft_registry_forked();
    close_all();
    weft_doorbell_close(&listener.doorbell);
    reset();
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
