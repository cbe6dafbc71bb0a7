/* keeper.sock: who may speak, records in, records out. */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_ROOM 4 /* two are allowed; more shows that the message is wrong */

union control {
    char bytes[CMSG_SPACE(FDS_ROOM * sizeof(int))];
    struct cmsghdr align;
};

int listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    unlink(path); /* keeper.lock is ours: whoever listened here is gone */
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, KEEPER_CONNECTIONS_MAX)) {
        close(fd);
        return -1;
    }
    return fd;
}

void connection_accept(struct keeper *k)
{
    struct ucred peer = { .uid = (uid_t)-1 };
    socklen_t size = sizeof peer;
    const int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid != geteuid()) {
        say("refused process %d of uid %u", (int)peer.pid, (unsigned)peer.uid);
        close(fd);
    } else if (k->connection_count == KEEPER_CONNECTIONS_MAX) {
        say("refused process %d: %d connections are open", (int)peer.pid, KEEPER_CONNECTIONS_MAX);
        close(fd);
    } else {
        k->connections[k->connection_count++] = (struct connection){ .fd = fd };
    }
}

static void connection_close(struct keeper *k, struct connection *c)
{
    if (k->receiver == c->fd)
        k->receiver = -1;
    close(c->fd);
    c->fd = -1; /* connections_drop_closed() takes it out of the array when nobody walks it */
}

void connections_drop_closed(struct keeper *k)
{
    int kept = 0;
    for (int i = 0; i < k->connection_count; i++)
        if (k->connections[i].fd >= 0)
            k->connections[kept++] = k->connections[i];
    k->connection_count = kept;
}

static int take_fds(struct msghdr *message, int fds[FDS_ROOM])
{
    int count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), (size_t)count * sizeof(int));
    }
    return count;
}

static bool send_record(int fd, const record_t *record, const int fds[2])
{
    union control control = { 0 };
    struct iovec bytes = { (void *)record, sizeof *record };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
    const int count = fds[0] < 0 ? 0 : fds[1] < 0 ? 1 : 2;
    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)count * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *record;
}

/* Room for an answer is there before a request is read, so answers need no queue. */
static bool can_send(int fd)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };
    return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT);
}

static void answer(struct keeper *k, struct connection *c, const record_t *request, const int *fds, int fd_count, bool fds_lost)
{
    static const int no_fds[2] = { -1, -1 };
    record_t reply;
    int reply_fds[2];
    serve(k, request, fds, fds_lost ? 0 : fd_count, &reply, reply_fds);
    if (fds_lost) /* we had no number left for them */
        reply.status = EMFILE;
    if (request->op == WEFT_KEEPER_HELLO && reply.status == 0) {
        k->receiver = c->fd;
        tell_ready(k);
    }
    if (send_record(c->fd, &reply, reply_fds) || errno == EPIPE || errno == ECONNRESET)
        return; /* gone without reading: what it had sent before that still counts, and ends with an end of file */
    reply.status = errno; /* too many fds in flight, for one */
    if (!send_record(c->fd, &reply, no_fds))
        connection_close(k, c);
}

static void read_request(struct keeper *k, struct connection *c)
{
    record_t request;
    union control control;
    int fds[FDS_ROOM];
    struct iovec bytes = { &request, sizeof request };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control };
    const ssize_t size = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
        return; /* ECONNRESET comes once, before the rest of what a caller sent that did not read its answers */
    const int fd_count = size < 0 ? 0 : take_fds(&message, fds);
    const bool whole = size == (ssize_t)sizeof request && !(message.msg_flags & MSG_TRUNC);
    const bool fds_lost = (message.msg_flags & MSG_CTRUNC) && fd_count <= 2;
    if (!whole || fds_lost)
        for (int i = 0; i < fd_count; i++)
            close(fds[i]);
    if (whole) {
        answer(k, c, &request, fds, fd_count, fds_lost);
        return;
    }
    if (size > 0)
        say("closed a connection that sent no record (%zd bytes)", size);
    connection_close(k, c);
}

void connection_serve(struct keeper *k, struct connection *c, short events)
{
    if (!(events & (POLLIN | POLLOUT | POLLHUP | POLLERR)))
        return;
    c->choked = !(events & (POLLHUP | POLLERR)) && !can_send(c->fd);
    if (!c->choked)
        read_request(k, c);
}

void send_reports(struct keeper *k)
{
    static const int no_fds[2] = { -1, -1 };
    record_t report;
    for (int i = 0; i < k->process_count; i++) {
        struct process *p = k->processes[i];
        if (!process_fill_report(p, &report))
            continue;
        report.restart = p->spec.restart && k->phase == RUNNING;
        if (k->receiver >= 0 && !(can_send(k->receiver) && send_record(k->receiver, &report, no_fds)))
            return; /* it is asked again when it reads, or when it is gone */
        const int before = k->process_count;
        process_reported(k, p);
        i -= before - k->process_count;
    }
}
