#include "addon/unix_socket.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weft_addon {

using weft::Failure;
using weft::failure;

namespace {

constexpr int kBacklog = 512;

/* A socket address has room for 107 bytes of path. A longer one is named through its folder's fd. */
class Address {
public:
    explicit Address(const std::string &path) {
        std::string name = path;
        if (path.size() >= sizeof address_.sun_path) {
            const size_t slash = path.rfind('/');
            if (slash != std::string::npos)
                folder_ = open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
            name = "/proc/self/fd/" + std::to_string(folder_) + path.substr(slash + 1 == 0 ? 0 : slash);
        }
        fits_ = name.size() < sizeof address_.sun_path && (name == path || folder_ >= 0);
        address_.sun_family = AF_UNIX;
        if (fits_)
            std::memcpy(address_.sun_path, name.c_str(), name.size() + 1);
    }
    ~Address() {
        if (folder_ >= 0)
            close(folder_);
    }
    Address(const Address &) = delete;
    bool fits() const { return fits_; }
    const sockaddr *get() const { return reinterpret_cast<const sockaddr *>(&address_); }
    const char *name() const { return address_.sun_path; }

private:
    sockaddr_un address_{};
    int folder_ = -1;
    bool fits_ = false;
};

int make_socket() { return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

/* A socket file may be left from a process that was killed. */
Failure clear_stale(const Address &address, const std::string &path) {
    struct stat status;
    if (lstat(address.name(), &status) != 0)
        return errno == ENOENT ? Failure{} : failure(errno, path);
    if (!S_ISSOCK(status.st_mode))
        return {EEXIST, path + ": exists and is no socket"};
    const int probe = make_socket();
    const int error = probe < 0 || connect(probe, address.get(), sizeof(sockaddr_un)) == 0 ? 0 : errno;
    if (probe >= 0)
        close(probe);
    if (error != ECONNREFUSED)
        return {EADDRINUSE, path + ": somebody listens there already"};
    return unlink(address.name()) == 0 ? Failure{} : failure(errno, path);
}

Failure bind_and_listen(int fd, const Address &address, const std::string &path, mode_t mode, int64_t gid) {
    /* The file is made with the socket's own mode; it opens to others only when the group is right. */
    if (fchmod(fd, 0600) != 0 || bind(fd, address.get(), sizeof(sockaddr_un)) != 0)
        return failure(errno, path);
    const bool bad = (gid >= 0 && lchown(address.name(), static_cast<uid_t>(-1), static_cast<gid_t>(gid)) != 0) ||
                     chmod(address.name(), mode) != 0 || listen(fd, kBacklog) != 0;
    if (!bad)
        return {};
    const int error = errno;
    unlink(address.name());
    return failure(error, path);
}

void close_all(const std::vector<int> &fds) {
    for (const int fd : fds)
        close(fd);
}

void take_fds(const msghdr &message, std::vector<int> *fds) {
    for (cmsghdr *part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(const_cast<msghdr *>(&message), part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        const size_t before = fds->size();
        fds->resize(before + count);
        std::memcpy(fds->data() + before, CMSG_DATA(part), count * sizeof(int));
    }
}

}  // namespace

Failure listen_socket(const std::string &path, mode_t mode, int64_t gid, ListeningSocket *listening) {
    const Address address(path);
    if (!address.fits())
        return {ENAMETOOLONG, path + ": no room for it in a socket address"};
    if (Failure bad = clear_stale(address, path))
        return bad;
    const int fd = make_socket();
    if (fd < 0)
        return failure(errno, path);
    if (Failure bad = bind_and_listen(fd, address, path, mode, gid)) {
        close(fd);
        return bad;
    }
    struct stat status = {};
    lstat(address.name(), &status);
    *listening = {fd, path, status.st_dev, status.st_ino};
    return {};
}

void close_listening(const ListeningSocket &listening) {
    const Address address(listening.path);
    struct stat status;
    if (lstat(address.name(), &status) == 0 && status.st_dev == listening.device && status.st_ino == listening.inode)
        unlink(address.name());
    close(listening.fd);
}

Failure connect_socket(const std::string &path, int *fd) {
    const Address address(path);
    if (!address.fits())
        return {ENAMETOOLONG, path + ": no room for it in a socket address"};
    *fd = make_socket();
    if (*fd < 0)
        return failure(errno, path);
    if (connect(*fd, address.get(), sizeof(sockaddr_un)) == 0)
        return {};
    const int error = errno; /* EAGAIN: the listener's queue is full */
    close(*fd);
    return failure(error, path);
}

Failure adopt_socket(int fd) {
    int domain = 0, type = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0)
        return failure(errno, "fd " + std::to_string(fd));
    length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || domain != AF_UNIX || type != SOCK_SEQPACKET)
        return {EPROTOTYPE, "fd " + std::to_string(fd) + ": no unix socket of type seqpacket"};
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return failure(errno, "fd " + std::to_string(fd));
    return {};
}

Failure peer_credentials(int fd, ucred *peer) {
    socklen_t length = sizeof *peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &length) == 0 ? Failure{} : failure(errno, "peer credentials");
}

int send_message(int fd, const uint8_t *bytes, size_t length, const std::vector<int> &fds) {
    iovec part{const_cast<uint8_t *>(bytes), length};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kFdsMax)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
    }
    while (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == ECONNRESET || errno == ENOTCONN)
            return EPIPE;
        return errno == ENOBUFS ? EAGAIN : errno;
    }
    return 0;
}

Received receive_message(int fd, uint8_t *buffer, size_t *length, std::vector<int> *fds) {
    iovec part{buffer, kMessageMax};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kFdsMax)];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got;
    do {
        got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? Received::kNothing : Received::kEnd;
    fds->clear();
    take_fds(message, fds);
    if (got > 0 && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
        *length = static_cast<size_t>(got);
        return Received::kMessage;
    }
    close_all(*fds);
    fds->clear();
    return got == 0 ? Received::kEnd : Received::kBroken;
}

}  // namespace weft_addon
