#define _GNU_SOURCE
#include "ust/test_daemon.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "ust/wait_page.h"


static void must(int holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    printf("not ok - %s\n", what);
    exit(1);
}

void daemon_home(struct test_daemon *d)
{
    char run[96];
    memset(d, 0, sizeof(*d));
    d->listener = d->fd = -1;
    strcpy(d->home, "/tmp/weft-ust-test-XXXXXX");
    must(mkdtemp(d->home) != NULL, "a home directory");
    must(chmod(d->home, 0755) == 0, "home for other users");
    snprintf(run, sizeof(run), "%s/run", d->home);
    must(mkdir(run, 0755) == 0, "a runtime directory");
}

static void socket_path(const struct test_daemon *d, struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/run/apps.sock", d->home);
}

static void wake_waiting_applications(void)
{
    uint32_t *word = weft_wait_page_open(getuid());
    must(word != NULL, "the wait page");
    __atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    weft_wait_page_close(word);
}

void daemon_start(struct test_daemon *d)
{
    struct sockaddr_un address;
    socket_path(d, &address);
    unlink(address.sun_path);
    d->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    must(bind(d->listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind apps.sock");
    must(chmod(address.sun_path, 0666) == 0, "apps.sock for everybody");
    must(listen(d->listener, 8) == 0, "listen");
    wake_waiting_applications();
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void daemon_die(struct test_daemon *d)
{
    close_fd(&d->fd);
    close_fd(&d->listener);
}

void daemon_clean_up(struct test_daemon *d)
{
    struct sockaddr_un address;
    daemon_die(d);
    socket_path(d, &address);
    unlink(address.sun_path);
    rmdir(dirname(address.sun_path));
    rmdir(d->home);
}

static int readable(int fd, int ms)
{
    struct pollfd p = { fd, POLLIN, 0 };
    return poll(&p, 1, ms) > 0;
}

struct weft_cursor daemon_cursor(const struct test_daemon *d)
{
    return (struct weft_cursor){ d->received, d->length, sizeof(struct weft_wire_header), 0 };
}

int daemon_receive(struct test_daemon *d, int ms)
{
    struct weft_wire_header header;
    if (!readable(d->fd, ms))
        return DAEMON_NOTHING;
    const ssize_t length = recv(d->fd, d->received, sizeof(d->received), 0);
    if (length <= 0)
        return -1;
    must((size_t)length >= sizeof(header), "a message has a header");
    memcpy(&header, d->received, sizeof(header));
    must(header.length == (uint32_t)length, "a message's length is its own");
    d->length = (size_t)length;
    if (header.type == WEFT_WIRE_READY) {
        struct weft_cursor c = daemon_cursor(d);
        d->batch = weft_get_u32(&c);
    }
    return header.type;
}

int daemon_accept(struct test_daemon *d, int ms)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (!readable(d->listener, ms))
        return 0;
    close_fd(&d->fd);
    d->fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC);
    must(getsockopt(d->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0, "peer credentials");
    d->uid = peer.uid;
    if (daemon_receive(d, ms) != WEFT_WIRE_HELLO)
        return 0;
    struct weft_cursor c = daemon_cursor(d);
    const uint32_t abi = weft_get_u32(&c);
    d->pid = weft_get_u32(&c);
    const uint8_t *bits = weft_get(&c, 2);
    d->rseq = bits ? bits[1] : 0;
    return abi == WEFT_WIRE_ABI && bits && bits[0] == 64;
}

void daemon_send_raw(struct test_daemon *d, const void *bytes, size_t length, const int *fds, int count)
{
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec io = { (void *)(uintptr_t)bytes, length };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *h = CMSG_FIRSTHDR(&message);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(h), fds, (size_t)count * sizeof(int));
    }
    sendmsg(d->fd, &message, MSG_NOSIGNAL);
}

void daemon_welcome(struct test_daemon *d)
{
    const struct weft_clock_page page = { .magic = WEFT_CLOCK_MAGIC };
    const int fd = memfd_create("clock", MFD_CLOEXEC);
    must(write(fd, &page, sizeof(page)) == sizeof(page), "a clock page");
    struct weft_writer w = weft_message_begin(d->buffer, WEFT_WIRE_WELCOME);
    weft_put_u32(&w, WEFT_WIRE_ABI);
    weft_put_u32(&w, 7);
    daemon_send_raw(d, d->buffer, weft_message_end(&w), &fd, 1);
    close(fd);
}

static void note_point(struct test_daemon *d)
{
    struct weft_cursor c = daemon_cursor(d);
    must(d->point_count < DAEMON_POINTS_MAX, "not so many points");
    const uint32_t n = d->point_count++;
    d->points[n].id = weft_get_u32(&c);
    d->points[n].level = (int32_t)weft_get_u32(&c);
    const uint16_t length = weft_get_u16(&c);
    const uint8_t *name = weft_get(&c, length);
    snprintf(d->points[n].name, sizeof(d->points[n].name), "%.*s", name ? length : 0, name ? (const char *)name : "");
    weft_get(&c, weft_get_u16(&c)); /* model_emf_uri */
    d->points[n].fields = weft_get_u16(&c);
}

int daemon_ready(struct test_daemon *d, int ms)
{
    for (;;) {
        const int type = daemon_receive(d, ms);
        if (type == WEFT_WIRE_POINT)
            note_point(d);
        if (type == WEFT_WIRE_READY)
            return 1;
        if (type != WEFT_WIRE_POINT && type != WEFT_WIRE_POINT_GONE)
            return 0;
    }
}

int daemon_until_ready(struct test_daemon *d)
{
    return daemon_ready(d, PATIENCE_MS);
}

static void send_synced(struct test_daemon *d, uint8_t complete)
{
    struct weft_writer w = weft_message_begin(d->buffer, WEFT_WIRE_SYNCED);
    weft_put_u32(&w, d->batch);
    weft_put_u8(&w, complete);
    daemon_send_raw(d, d->buffer, weft_message_end(&w), NULL, 0);
}

void daemon_synced(struct test_daemon *d)
{
    send_synced(d, 1);
}

void daemon_late(struct test_daemon *d)
{
    send_synced(d, 0);
}

int daemon_register(struct test_daemon *d)
{
    d->point_count = 0;
    if (!daemon_accept(d, PATIENCE_MS))
        return 0;
    daemon_welcome(d);
    return daemon_until_ready(d);
}

uint32_t daemon_point(const struct test_daemon *d, const char *name)
{
    for (uint32_t i = 0; i < d->point_count; i++) {
        if (strcmp(d->points[i].name, name) == 0)
            return d->points[i].id;
    }
    return 0;
}

static struct weft_writer begin_command(struct test_daemon *d, enum weft_wire_type type, uint32_t channel)
{
    struct weft_writer w = weft_message_begin(d->buffer, type);
    weft_put_u32(&w, ++d->command);
    weft_put_u32(&w, channel);
    return w;
}

static int end_command(struct test_daemon *d, struct weft_writer *w, const int *fds, int count)
{
    daemon_send_raw(d, d->buffer, weft_message_end(w), fds, count);
    for (;;) {
        const int type = daemon_receive(d, PATIENCE_MS);
        struct weft_cursor c = daemon_cursor(d);
        if (type == WEFT_WIRE_ACK && weft_get_u32(&c) == d->command)
            return (int)weft_get_u32(&c);
        if (type <= 0)
            return -1;
    }
}

int daemon_attach(struct test_daemon *d, uint32_t channel, const uint8_t ring_id[16], const struct weft_geometry *g, int ring_fd,
                  int reader_fd, const struct weft_context_wanted *contexts, uint16_t count)
{
    const int fds[2] = { ring_fd, reader_fd };
    struct weft_writer w = begin_command(d, WEFT_WIRE_ATTACH, channel);
    weft_put(&w, ring_id, 16);
    weft_put(&w, g, sizeof(*g));
    weft_put_u16(&w, count);
    for (uint16_t i = 0; i < count; i++) {
        weft_put_u16(&w, contexts[i].type);
        weft_put_u16(&w, contexts[i].length);
        weft_put(&w, contexts[i].bytes, contexts[i].length);
    }
    const uint64_t blocking_ns = 0;
    weft_put(&w, &blocking_ns, 8);
    return end_command(d, &w, fds, (ring_fd >= 0) + (reader_fd >= 0));
}

int daemon_enable(struct test_daemon *d, uint32_t channel, uint32_t point, uint32_t event_id)
{
    return daemon_filter(d, channel, point, event_id, NULL, 0);
}

int daemon_filter(struct test_daemon *d, uint32_t channel, uint32_t point, uint32_t event_id, const uint8_t *filter, uint32_t length)
{
    struct weft_writer w = begin_command(d, WEFT_WIRE_ENABLE, channel);
    weft_put_u32(&w, point);
    weft_put_u32(&w, event_id);
    weft_put_u32(&w, length);
    if (length)
        weft_put(&w, filter, length);
    return end_command(d, &w, NULL, 0);
}

int daemon_disable(struct test_daemon *d, uint32_t channel, uint32_t point)
{
    struct weft_writer w = begin_command(d, WEFT_WIRE_DISABLE, channel);
    weft_put_u32(&w, point);
    return end_command(d, &w, NULL, 0);
}

int daemon_simple(struct test_daemon *d, enum weft_wire_type type, uint32_t channel)
{
    struct weft_writer w = begin_command(d, type, channel);
    return end_command(d, &w, NULL, 0);
}

int daemon_watch(struct test_daemon *d, uint32_t watch, uint32_t point, const uint8_t *filter, uint32_t length, const uint8_t *captures,
                 uint16_t count, size_t bytes)
{
    struct weft_writer w = begin_command(d, WEFT_WIRE_WATCH, watch);
    weft_put_u32(&w, point);
    weft_put_u32(&w, length);
    weft_put(&w, length ? filter : (const uint8_t *)"", length);
    weft_put_u16(&w, count);
    weft_put(&w, bytes ? captures : (const uint8_t *)"", bytes);
    return end_command(d, &w, NULL, 0);
}

int daemon_unwatch(struct test_daemon *d, uint32_t watch, uint32_t point)
{
    struct weft_writer w = begin_command(d, WEFT_WIRE_UNWATCH, watch);
    weft_put_u32(&w, point);
    return end_command(d, &w, NULL, 0);
}

int daemon_map(struct test_daemon *d, uint32_t map, uint8_t name, const struct weft_map_geometry *g, int fd)
{
    const uint8_t id[16] = { name };
    struct weft_writer w = begin_command(d, WEFT_WIRE_MAP, map);
    weft_put(&w, id, sizeof(id));
    weft_put_u32(&w, g->cpu_count);
    weft_put_u32(&w, g->slot_count);
    weft_put_u32(&w, g->bits);
    return end_command(d, &w, &fd, fd >= 0);
}

int daemon_count(struct test_daemon *d, uint32_t watch, uint32_t point, uint32_t map, uint32_t slot, uint8_t flags, const uint8_t *filter,
                 uint32_t length)
{
    struct weft_writer w = begin_command(d, WEFT_WIRE_COUNT, watch);
    weft_put_u32(&w, point);
    weft_put_u32(&w, map);
    weft_put_u32(&w, slot);
    weft_put_u8(&w, flags);
    weft_put_u32(&w, length);
    weft_put(&w, length ? filter : (const uint8_t *)"", length);
    return end_command(d, &w, NULL, 0);
}

int daemon_command(struct test_daemon *d, enum weft_wire_type type, const void *bytes, size_t length)
{
    struct weft_writer w = weft_message_begin(d->buffer, type);
    weft_put_u32(&w, ++d->command);
    weft_put(&w, bytes, length);
    return end_command(d, &w, NULL, 0);
}

static void become_app(const struct test_daemon *d, const char *variable, int orders, int answers)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 16];
    dup2(orders, 0);
    dup2(answers, 1);
    close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    setenv("WEFT_HOME", d->home, 1);
    setenv("WEFT_REGISTER_TIMEOUT", "60000", 1); /* who plays the daemon may lose the processor */
    /* A forked child has a listener thread of its own; and an end that waits a second for other threads is most of the time of a test. */
    setenv("TSAN_OPTIONS", "die_after_fork=0:atexit_sleep_ms=50", 0);
    if (variable)
        putenv((char *)(uintptr_t)variable);
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0) {
        snprintf(path, sizeof(path), "%s/test_app", dirname(self));
        execl(path, "test_app", (char *)NULL);
    }
    _exit(127);
}

void app_start(struct test_app *a, const struct test_daemon *d, const char *variable)
{
    int orders[2], answers[2];
    must(pipe2(orders, O_CLOEXEC) == 0 && pipe2(answers, O_CLOEXEC) == 0, "pipes");
    a->pid = fork();
    if (a->pid == 0)
        become_app(d, variable, orders[0], answers[1]);
    close(orders[0]);
    close(answers[1]);
    a->orders = orders[1];
    a->answers = answers[0];
}

void app_order(struct test_app *a, enum app_verb verb, uint32_t argument)
{
    const struct app_order order = { verb, argument };
    must(write(a->orders, &order, sizeof(order)) == sizeof(order), "the application takes an order");
}

int app_answered(struct test_app *a, int ms, uint64_t *value)
{
    struct app_answer answer;
    if (!readable(a->answers, ms) || read(a->answers, &answer, sizeof(answer)) != sizeof(answer))
        return 0;
    *value = answer.value;
    return 1;
}

uint64_t app_do(struct test_app *a, enum app_verb verb, uint32_t argument)
{
    uint64_t value = 0;
    app_order(a, verb, argument);
    must(app_answered(a, PATIENCE_MS, &value), "the application answers");
    return value;
}

int app_end(struct test_app *a)
{
    int status = -1;
    close(a->orders);
    waitpid(a->pid, &status, 0);
    close(a->answers);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
