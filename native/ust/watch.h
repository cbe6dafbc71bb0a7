/* Watches: the daemon is told when a point is hit (WATCH, UNWATCH and FIRED of wire.h). With the registry's lock held. */
#ifndef WEFT_UST_WATCH_H
#define WEFT_UST_WATCH_H

#include "ust/connection.h"
#include "ust/message.h"

/* The rest of the message, behind the command's number. 0, or a positive errno value: EINVAL (the filter or a capture does not fit the
 * point), ENOENT (no such point; UNWATCH: no such watch), ENOTSUP (the program was built before there were filters). */
int weft_watch(struct weft_connection *c, struct weft_cursor *m);
/* When it returns no thread sends for this watch any more; ETIMEDOUT: one that was about to does not get on. */
int weft_unwatch(struct weft_connection *c, struct weft_cursor *m);

/* All watches of a connection that ends; before its socket is closed. Nonzero: a thread is still about to use the socket. */
int weft_watches_forget(const struct weft_connection *c);

#endif
