/* The thread that talks to the session daemons, and the waiting for them at start. */
#ifndef WEFT_UST_LISTENER_H
#define WEFT_UST_LISTENER_H

/* Registry locked. Something new is to be announced: starts the thread if need be. */
void weft_listener_notify(void);

/* Registry NOT locked. Waits until the daemons that exist have dealt with all that was registered before the call, at most
 * WEFT_REGISTER_TIMEOUT ms; does not wait where no daemon answers. */
void weft_listener_wait(void);

/* A sub-buffer was filled: a moment to see whether this process has become another user's. Async-signal-safe. */
void weft_listener_switched(void);

/* An event met a ring without memory: the daemon is to be asked for it. Async-signal-safe. */
void weft_listener_starved(void);

int weft_listener_uses_rseq(void);

/* Once, at load. */
void weft_listener_init(int use_rseq);

#endif
