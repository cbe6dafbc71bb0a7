/*
 * What this process can record and what it is told to: providers (event descriptions and probes), instrumentation points (call
 * sites) and, between the two, targets: (point, channel) pairs that are switched on. A point and an event belong together when
 * provider, name and signature are equal, in whatever object each of them lies.
 *
 * Every function but those marked so is called with the registry's lock held.
 *
 * Switching off: `on` of a target is a generation number, nonzero while on. A thread that records has read it first and its
 * commit compares it again, inside the restartable sequence. So after `on` was cleared and membarrier() has restarted every
 * sequence of the process, no thread commits there any more, however late it comes; nothing has to wait for it. In lock mode
 * the comparison is made under the ring's lock; waiting for whoever holds it has the same effect.
 */
#ifndef WEFT_UST_REGISTRY_H
#define WEFT_UST_REGISTRY_H

#include <pthread.h>
#include <stdint.h>

#include "ust/channel.h"
#include "weft/abi.h"

#define WEFT_CONNECTIONS 2 /* root's daemon and the user's */

enum weft_announced { WEFT_UNANNOUNCED = 0, WEFT_ANNOUNCED = 1, WEFT_NOT_ANNOUNCEABLE = 2 /* description too large */ };

/* One event as the daemon knows it: all equal registrations of it share an id. */
struct weft_catalog_entry {
    uint32_t id;
    struct weft_description *events; /* registered; NULL: gone, the place is kept until the daemons were told */
    struct weft_event *event;        /* one of them, whose probe is used */
    uint8_t announced[WEFT_CONNECTIONS]; /* enum weft_announced */
    struct weft_enabled *enabled;
    struct weft_wish *wishes; /* tap.h */
    struct weft_catalog_entry *next;
};

void weft_registry_lock(void);   /* takes the lock */
void weft_registry_unlock(void); /* gives it back */
/* Waits with the lock held, until signalled or the absolute CLOCK_MONOTONIC time; 0 or ETIMEDOUT. */
int weft_registry_wait(pthread_cond_t *condition, const struct timespec *deadline);
/* In a forked child, which has this one thread: drops all channels without waiting for threads that are not there. */
void weft_registry_forked(void);

/* Gives threads that are in the application's code, which nothing counts, the time to come out. Needs no lock. */
void weft_registry_grace(void);

int weft_registry_add_provider(struct weft_provider *provider);
void weft_registry_remove_provider(struct weft_provider *provider);
int weft_registry_add_points(struct weft_point *const *points, uint32_t count);
void weft_registry_remove_points(struct weft_point *const *points, uint32_t count);

struct weft_catalog_entry *weft_registry_catalog(void);
/* By id; NULL when nobody describes it (any more). */
struct weft_catalog_entry *weft_registry_entry(uint32_t id);
/* Is this one of its points? */
int weft_registry_describes(const struct weft_catalog_entry *entry, const struct weft_point *p);
/* Frees entries that no connection needs to hear of any more. */
void weft_registry_prune(void);
/* Forgets what a connection was told. */
void weft_registry_unannounce(int connection);

/* Commands on a channel: 0 or a positive errno value. */
/* `length` bytes of filter (bytecode.h), which take the place of those that there were; 0: every event. EINVAL: no filter for this
 * event; then what was, stays. */
int weft_registry_enable(struct weft_channel *c, uint32_t entry, uint32_t event_id, const uint8_t *filter, uint32_t length);
int weft_registry_disable(struct weft_channel *c, uint32_t entry);
int weft_registry_start(struct weft_channel *c);
/* Returns when no thread can commit to the channel any more; ETIMEDOUT: one that holds a ring's lock (lock mode) does not end. */
int weft_registry_stop(struct weft_channel *c);
/* Stops, disables everything and gives the memory back. */
int weft_registry_detach(struct weft_channel *c);
/* After a reconnection: no channel of this connection is attached yet / detaches those that still are not. */
void weft_registry_mark_unattached(int connection);
void weft_registry_detach_unattached(int connection);
void weft_registry_detach_all(int connection);

/* Called once at load: membarrier. 0 when restartable sequences can be used with it. */
int weft_registry_init(void);

#endif
