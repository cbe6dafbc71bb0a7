/* Wakes the listener thread out of poll(). A socket pair and no eventfd: all eventfds are one inode, so it could not be told
 * whether the number is still ours, and eight bytes would go into a file of the program. */
#ifndef WEFT_UST_DOORBELL_H
#define WEFT_UST_DOORBELL_H

#include "ust/held_fd.h"

struct weft_doorbell {
    struct weft_held_fd ear; /* polled */
    struct weft_held_fd button;
};

void weft_doorbell_open(struct weft_doorbell *bell);
void weft_doorbell_close(struct weft_doorbell *bell);
int weft_doorbell_intact(const struct weft_doorbell *bell);

/* Keeps errno; async-signal-safe. */
void weft_doorbell_ring(const struct weft_doorbell *bell);
/* Takes back what was rung. */
void weft_doorbell_silence(const struct weft_doorbell *bell);

#endif
