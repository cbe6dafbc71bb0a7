/* The state dump: what a reader cannot know from events alone, told once when a channel starts and again on demand. */
#ifndef WEFT_UST_STATEDUMP_H
#define WEFT_UST_STATEDUMP_H

#include "ust/channel.h"
#include "ust/connection.h"

/*
 * Records the state dump into this channel of the connection's and no other, if any of it is enabled there. By the listener thread, with
 * the registry's lock held: never waits for space, and for the ring's memory but a moment.
 */
void weft_statedump(struct weft_connection *connection, struct weft_channel *c);

/* The program's name: its first thread's, not the caller's. Cut to `size`, which counts the NUL. */
void weft_read_procname(char *name, size_t size);

#endif
