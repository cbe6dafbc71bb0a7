/* SOCK_SEQPACKET sockets without Node: making them, messages with fds, credentials. All fds are close-on-exec and non-blocking. */
#ifndef WEFT_ADDON_UNIX_SOCKET_H
#define WEFT_ADDON_UNIX_SOCKET_H

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ring/failure.h"

namespace weft_addon {

constexpr size_t kMessageMax = 128 * 1024;
constexpr size_t kFdsMax = 253; /* SCM_MAX_FD */

struct ListeningSocket {
    int fd = -1;
    std::string path;
    uint64_t device = 0, inode = 0; /* of the socket file that was made */
};
/* A socket file that nobody listens on any more is replaced; mode and group hold before anybody can connect. gid -1: unchanged. */
weft::Failure listen_socket(const std::string &path, mode_t mode, int64_t gid, ListeningSocket *listening);
/* Closes, and removes the file if it is still the one that was made. */
void close_listening(const ListeningSocket &listening);

weft::Failure connect_socket(const std::string &path, int *fd);
/* An fd that came from elsewhere: is it one end of a seqpacket connection? Sets its flags. */
weft::Failure adopt_socket(int fd);
weft::Failure peer_credentials(int fd, ucred *peer);

/* 0 sent, EAGAIN the peer does not read, EPIPE it is gone; other errno values are the caller's mistakes. */
int send_message(int fd, const uint8_t *bytes, size_t length, const std::vector<int> &fds);

enum class Received { kMessage, kNothing, kEnd, kBroken };
/* kBroken: longer than kMessageMax, or fds that did not fit; whatever came is closed. `buffer` holds kMessageMax bytes. */
Received receive_message(int fd, uint8_t *buffer, size_t *length, std::vector<int> *fds);

}  // namespace weft_addon

#endif
