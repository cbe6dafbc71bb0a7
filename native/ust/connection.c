#define _GNU_SOURCE
#include "ust/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ust/channel_table.h"
#include "ust/count.h"
#include "ust/debug.h"
#include "ust/listener.h"
#include "ust/map.h"
#include "ust/message.h"
#include "ust/registry.h"
#include "ust/statedump.h"
#include "ust/watch.h"

#define FDS_MAX 2
/* A daemon that takes nothing for so long is given up: the registry is locked while something is sent. */
#define SEND_LIMIT_S 2

/* Used under the registry's lock only. */
static uint8_t buffer[WEFT_WIRE_MAX];

static int owned_by(const struct stat *st, uid_t uid)
{
    return st->st_uid == uid || st->st_uid == 0;
}

/* Whoever could replace the socket could read what this program records: the directory must be the daemon's own. */
static int trusted_directory(const char *directory, uid_t uid)
{
    struct stat st;
    if (lstat(directory, &st) != 0)
        return -errno;
    return S_ISDIR(st.st_mode) && owned_by(&st, uid) && !(st.st_mode & S_IWOTH) ? 0 : -EPERM;
}

static int connect_socket(const char *directory)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/apps.sock", directory) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const struct timeval limit = { SEND_LIMIT_S, 0 };
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    const int status = -errno;
    close(fd);
    return status;
}

static int trusted_peer(int fd, uid_t uid)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return -errno;
    return peer.uid == 0 || peer.uid == uid ? 0 : -EPERM;
}

static int send_message(struct weft_connection *c, size_t length)
{
    if (!weft_held_fd_intact(&c->socket))
        return -EBADF;
    const ssize_t sent = send(c->socket.fd, buffer, length, MSG_NOSIGNAL);
    return sent < 0 ? -errno : 0;
}

static int send_hello(struct weft_connection *c)
{
    char procname[17] = "", path[PATH_MAX] = "";
    weft_read_procname(procname, sizeof(procname));
    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
        path[0] = 0;
    struct weft_writer w = weft_message_begin(buffer, WEFT_WIRE_HELLO);
    weft_put_u32(&w, WEFT_WIRE_ABI);
    weft_put_u32(&w, (uint32_t)getpid());
    weft_put_u8(&w, 64);
    weft_put_u8(&w, (uint8_t)weft_listener_uses_rseq());
    weft_put_u16(&w, 0);
    weft_put_string(&w, procname);
    weft_put_string(&w, path);
    return send_message(c, weft_message_end(&w));
}

int weft_connection_open(struct weft_connection *c, const char *directory, uid_t uid)
{
    int status = trusted_directory(directory, uid);
    if (status)
        return status;
    const int fd = connect_socket(directory);
    if (fd < 0)
        return fd;
    status = trusted_peer(fd, uid);
    if (status) {
        close(fd);
        return status;
    }
    c->socket = weft_held_fd_take(fd);
    c->application = 0;
    c->batch_sent = 0;
    c->batch_synced = 0;
    c->batch_complete = 0;
    status = send_hello(c);
    if (status)
        weft_connection_close(c);
    else
        c->state = WEFT_CONNECTION_UP;
    return status;
}

void weft_connection_close(struct weft_connection *c)
{
    /* A thread that does not get on may use the number once more: then it stays taken for ever, and leads to nobody. */
    if (weft_watches_forget(c) == 0)
        weft_held_fd_close(&c->socket);
    else if (weft_held_fd_intact(&c->socket))
        shutdown(c->socket.fd, SHUT_RDWR);
    c->socket.fd = -1;
    c->state = WEFT_CONNECTION_DOWN;
}

static int announce_entry(struct weft_connection *c, struct weft_catalog_entry *e)
{
    uint8_t *told = &e->announced[c->index];
    if (!e->events) {
        const int known = *told == WEFT_ANNOUNCED;
        *told = 0;
        if (!known)
            return 0;
        struct weft_writer w = weft_message_begin(buffer, WEFT_WIRE_POINT_GONE);
        weft_put_u32(&w, e->id);
        return send_message(c, weft_message_end(&w));
    }
    if (*told)
        return 0;
    const size_t length = weft_message_point(buffer, e->id, e->event);
    *told = length ? WEFT_ANNOUNCED : WEFT_NOT_ANNOUNCEABLE;
    if (!length) {
        weft_debug("%s:%s: the description is larger than %u bytes; this event cannot be recorded", e->event->provider,
                   e->event->name, WEFT_WIRE_MAX);
        return 0;
    }
    return send_message(c, length);
}

int weft_connection_announce(struct weft_connection *c, uint32_t batch)
{
    int status = 0;
    for (struct weft_catalog_entry *e = weft_registry_catalog(); e && status == 0; e = e->next)
        status = announce_entry(c, e);
    weft_registry_prune();
    if (status)
        return status;
    c->batch_sent = batch;
    struct weft_writer w = weft_message_begin(buffer, WEFT_WIRE_READY);
    weft_put_u32(&w, batch);
    return send_message(c, weft_message_end(&w));
}

int weft_connection_ask(struct weft_connection *c)
{
    int status = 0;
    uint32_t cpu;
    for (struct weft_channel *channel; status == 0 && (channel = weft_channels_asking(c->index));) {
        while (status == 0 && weft_channel_ask(channel, &cpu)) {
            struct weft_writer w = weft_message_begin(buffer, WEFT_WIRE_NEED_MEMORY);
            weft_put_u32(&w, channel->handle);
            weft_put_u32(&w, cpu);
            status = send_message(c, weft_message_end(&w));
        }
    }
    return status;
}

static int acknowledge(struct weft_connection *c, uint32_t command, int status)
{
    struct weft_writer w = weft_message_begin(buffer, WEFT_WIRE_ACK);
    weft_put_u32(&w, command);
    weft_put_u32(&w, (uint32_t)status);
    return send_message(c, weft_message_end(&w));
}

/* The daemon that comes back gives the same file as a rule: the page that records are using stays, and is not mapped twice. */
static int open_clock(struct weft_connection *c, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof(struct weft_clock_page))
        return -EPROTO;
    if (c->clock && st.st_dev == c->clock_device && st.st_ino == c->clock_inode)
        return 0;
    const struct weft_clock_page *page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    if (page->magic != WEFT_CLOCK_MAGIC) {
        munmap((void *)(uintptr_t)page, sizeof(*page));
        return -EPROTO;
    }
    c->clock = page;
    c->clock_device = st.st_dev;
    c->clock_inode = st.st_ino;
    return 0;
}

static int welcome(struct weft_connection *c, struct weft_cursor *m, const int *fds, uint32_t count)
{
    const uint32_t abi = weft_get_u32(m), application = weft_get_u32(m);
    if (m->short_message || abi != WEFT_WIRE_ABI || !application || count != 1)
        return -EPROTO;
    c->application = application;
    return open_clock(c, fds[0]);
}

static int fill_channel(struct weft_connection *c, struct weft_channel *channel, struct weft_cursor *m,
                        const struct weft_geometry *g, const int *fds)
{
    struct weft_context_wanted contexts[WEFT_CONTEXTS_MAX];
    const uint16_t count = weft_get_u16(m);
    if (count > WEFT_CONTEXTS_MAX)
        return EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        contexts[i].type = weft_get_u16(m);
        contexts[i].length = weft_get_u16(m);
        contexts[i].bytes = weft_get(m, contexts[i].length);
    }
    channel->blocking_ns = weft_get_u64(m);
    const int status = m->short_message ? -EINVAL : weft_channel_contexts(channel, contexts, count);
    if (status)
        return -status;
    if (g->sync == WEFT_SYNC_RSEQ && !weft_listener_uses_rseq())
        return EOPNOTSUPP;
    channel->owner = (uint8_t)c->index;
    return -weft_channel_map(channel, g, fds[0], fds[1]);
}

static int attach(struct weft_connection *c, struct weft_cursor *m, const int *fds, uint32_t count)
{
    const uint32_t handle = weft_get_u32(m);
    const uint8_t *ring_id = weft_get(m, 16);
    const uint8_t *geometry = weft_get(m, sizeof(struct weft_geometry));
    if (m->short_message || count != 2 || weft_channels_find(c->index, handle))
        return EINVAL;
    struct weft_channel *channel = weft_channels_by_ring(c->index, ring_id);
    if (!channel) {
        channel = weft_channels_new();
        if (!channel)
            return ENOMEM;
        struct weft_geometry g;
        memcpy(&g, geometry, sizeof(g));
        const int status = fill_channel(c, channel, m, &g, fds);
        if (status) {
            free((void *)(uintptr_t)channel->contexts);
            free(channel);
            return status;
        }
        memcpy(channel->ring_id, ring_id, 16);
        weft_channels_add(channel);
    }
    /* A daemon that comes back gives a new id, and perhaps another clock page; a channel that records meanwhile reads either. */
    __atomic_store_n(&channel->application, c->application, __ATOMIC_RELAXED);
    __atomic_store_n(&channel->clock, c->clock, __ATOMIC_RELEASE);
    channel->handle = handle;
    channel->attached = 1;
    weft_channel_ask_again(channel);
    return 0;
}

static int enable(struct weft_channel *channel, struct weft_cursor *m)
{
    const uint32_t entry = weft_get_u32(m), event_id = weft_get_u32(m), length = weft_get_u32(m);
    const uint8_t *filter = weft_get(m, length);
    if (m->short_message || !channel)
        return EINVAL;
    return weft_registry_enable(channel, entry, event_id, filter, length);
}

/* A channel that went on recording while there was no daemon is told to start as well: that is no start. */
static int start(struct weft_connection *c, struct weft_channel *channel)
{
    const int was_active = channel->active;
    weft_channel_ask_again(channel);
    const int status = weft_registry_start(channel);
    if (!was_active)
        weft_statedump(c, channel);
    return status;
}

static int counting(struct weft_connection *c, uint16_t type, struct weft_cursor *m, const int *fds, uint32_t count)
{
    switch (type) {
    case WEFT_WIRE_MAP:
        return count == 1 ? weft_map_attach(c->index, m, fds[0]) : EINVAL;
    case WEFT_WIRE_COUNT:
        return weft_count(c->index, m);
    case WEFT_WIRE_UNCOUNT:
        return weft_uncount(c->index, m);
    default:
        return weft_unmap(c->index, m);
    }
}

static int command(struct weft_connection *c, uint16_t type, struct weft_cursor *m, const int *fds, uint32_t count)
{
    if (type == WEFT_WIRE_ATTACH)
        return attach(c, m, fds, count);
    if (type == WEFT_WIRE_WATCH)
        return weft_watch(c, m);
    if (type == WEFT_WIRE_UNWATCH)
        return weft_unwatch(c, m);
    if (type >= WEFT_WIRE_MAP && type <= WEFT_WIRE_UNMAP)
        return counting(c, type, m, fds, count);
    struct weft_channel *channel = weft_channels_find(c->index, weft_get_u32(m));
    if (!channel)
        return ENOENT;
    switch (type) {
    case WEFT_WIRE_ENABLE:
        return enable(channel, m);
    case WEFT_WIRE_DISABLE:
        return weft_registry_disable(channel, weft_get_u32(m));
    case WEFT_WIRE_START:
        return start(c, channel);
    case WEFT_WIRE_STOP:
        return weft_registry_stop(channel);
    case WEFT_WIRE_STATEDUMP:
        weft_statedump(c, channel);
        return 0;
    default:
        weft_registry_detach(channel);
        return 0;
    }
}

static int dispatch(struct weft_connection *c, uint16_t type, struct weft_cursor *m, const int *fds, uint32_t count)
{
    if (type == WEFT_WIRE_WELCOME)
        return welcome(c, m, fds, count);
    if (type == WEFT_WIRE_REFUSED) {
        const uint16_t length = weft_get_u16(m);
        const uint8_t *reason = weft_get(m, length);
        weft_debug("the session daemon refuses: %.*s", reason ? length : 0, reason ? (const char *)reason : "");
        return -ECONNREFUSED;
    }
    if (type == WEFT_WIRE_SYNCED) {
        c->batch_synced = weft_get_u32(m);
        /* An older daemon says no more than the batch, once it has asked for everything. */
        const uint8_t *complete = weft_get(m, 1);
        if (!complete || *complete) {
            c->batch_complete = c->batch_synced;
            weft_registry_detach_unattached(c->index);
        }
        return 0;
    }
    if (type < WEFT_WIRE_ATTACH || type > WEFT_WIRE_STATEDUMP || !c->application)
        return -EPROTO;
    const uint32_t id = weft_get_u32(m);
    const int status = m->short_message ? EINVAL : command(c, type, m, fds, count);
    return acknowledge(c, id, status);
}

static uint32_t take_fds(struct msghdr *message, int *fds)
{
    uint32_t count = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        const uint32_t n = (uint32_t)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (uint32_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
            if (count < FDS_MAX)
                fds[count++] = fd;
            else
                close(fd);
        }
    }
    return count;
}

int weft_connection_serve(struct weft_connection *c)
{
    static uint8_t received[WEFT_WIRE_MAX];
    int fds[FDS_MAX];
    union {
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec io = { received, sizeof(received) };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control) };
    if (!weft_held_fd_intact(&c->socket))
        return -EBADF;
    const ssize_t length = recvmsg(c->socket.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return -errno;
    struct weft_wire_header header;
    const uint32_t count = take_fds(&message, fds);
    int status = -EPROTO;
    if ((size_t)length >= sizeof(header) && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        memcpy(&header, received, sizeof(header));
        struct weft_cursor m = { received, (size_t)length, sizeof(header), 0 };
        if (header.length == (size_t)length)
            status = dispatch(c, header.type, &m, fds, count);
    }
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
    return length == 0 ? -ECONNRESET : status;
}
