/* One session daemon, seen from the application: the registration socket, and what the daemon asks for over it. */
#ifndef WEFT_UST_CONNECTION_H
#define WEFT_UST_CONNECTION_H

#include <stdint.h>
#include <sys/types.h>

#include "ring/layout.h"
#include "ust/held_fd.h"

enum weft_connection_state {
    WEFT_CONNECTION_PENDING, /* not tried yet */
    WEFT_CONNECTION_DOWN,
    WEFT_CONNECTION_UP
};

struct weft_connection {
    int index; /* 0: root's daemon (or WEFT_HOME's), 1: the user's */
    struct weft_held_fd socket;
    enum weft_connection_state state;
    uint32_t application; /* id that the daemon gave us; 0: not welcomed yet */
    const struct weft_clock_page *clock; /* stays mapped for ever: records of channels may be reading it */
    uint64_t clock_device, clock_inode;
    uint32_t batch_sent;
    uint32_t batch_synced;
    uint32_t batch_complete; /* the last one that all sessions attached in time */
};

/* Tries to connect to the daemon whose sockets lie in `directory`; the directory and the daemon must be `uid`'s or root's.
 * 0 or a negative errno value. Sends HELLO. */
int weft_connection_open(struct weft_connection *c, const char *directory, uid_t uid);

/* Registry locked: sends what the daemon does not know yet, then READY with `batch`. */
int weft_connection_announce(struct weft_connection *c, uint32_t batch);

/* Registry locked: asks for the memory of rings that events have met without. 0 or a negative errno value. */
int weft_connection_ask(struct weft_connection *c);

/* Registry locked: receives and carries out one message. 0, -EAGAIN when there is none, another negative errno value when the
 * connection is over. */
int weft_connection_serve(struct weft_connection *c);

void weft_connection_close(struct weft_connection *c);

#endif
