/*
 * A socket of ours in a process that is not ours: a program may close every descriptor (daemons do), and the number may be
 * somebody else's since. So the descriptor is used only while it is still the socket that was opened.
 */
#ifndef WEFT_UST_HELD_FD_H
#define WEFT_UST_HELD_FD_H

#include <stdint.h>

struct weft_held_fd {
    int fd; /* -1: none */
    uint64_t device, inode;
};

/* Takes over a socket, under a number out of the program's way. fd -1 when that is impossible (`fd` is closed then). */
struct weft_held_fd weft_held_fd_take(int fd);

/* Async-signal-safe; may change errno. */
int weft_held_fd_intact(const struct weft_held_fd *held);

/* Closes it if it is still ours; holds none afterwards. */
void weft_held_fd_close(struct weft_held_fd *held);

#endif
