#define _GNU_SOURCE
#include "ust/doorbell.h"

#include <errno.h>
#include <sys/socket.h>

void weft_doorbell_open(struct weft_doorbell *bell)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        pair[0] = pair[1] = -1;
    bell->ear = weft_held_fd_take(pair[0]);
    bell->button = weft_held_fd_take(pair[1]);
}

void weft_doorbell_close(struct weft_doorbell *bell)
{
    weft_held_fd_close(&bell->ear);
    weft_held_fd_close(&bell->button);
}

int weft_doorbell_intact(const struct weft_doorbell *bell)
{
    return weft_held_fd_intact(&bell->ear) && weft_held_fd_intact(&bell->button);
}

void weft_doorbell_ring(const struct weft_doorbell *bell)
{
    const int saved = errno;
    if (weft_held_fd_intact(&bell->button))
        send(bell->button.fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* full: it rings already */
    errno = saved;
}

void weft_doorbell_silence(const struct weft_doorbell *bell)
{
    char rung[64];
    while (weft_held_fd_intact(&bell->ear) && recv(bell->ear.fd, rung, sizeof(rung), MSG_DONTWAIT) > 0)
        ;
}
