/*
 * What this process can record and what it is told to: providers (event descriptions and probes), instrumentation points (call
 * sites) and, between the two, targets: (point, channel) pairs that are switched on. A point and an event belong together when
 * provider, name and signature are equal, in whatever object each of them lies.
 *
 * Every function but the two marked so is called with the registry's lock held.
 *
 * Switching off: `on` of a target is a generation number, nonzero while on. A thread that records has read it first and its
 * commit compares it again, inside the restartable sequence. So after `on` was cleared and membarrier() has restarted every
 * sequence of the process, no thread commits there any more, however late it comes; nothing has to wait for it. In lock mode
 * the comparison is made under the ring's lock, and taking turns on every lock has the same effect.
 */
#ifndef WEFT_UST_REGISTRY_H
#define WEFT_UST_REGISTRY_H

#include <pthread.h>
#include <stdint.h>

#include "ust/channel.h"
#include "weft/abi.h"

/* One event as the daemon knows it: all equal registrations of it share an id. */
struct weft_catalog_entry {
    uint32_t id;
    uint32_t references; /* registered events; 0: gone, the place is kept until the daemons were told */
    struct weft_event *event;
    uint8_t announced[2]; /* by connection */
    struct weft_enabled *enabled;
    struct weft_catalog_entry *next;
};

void weft_registry_lock(void);   /* takes the lock */
void weft_registry_unlock(void); /* gives it back */
/* Waits with the lock held, until signalled or the absolute CLOCK_MONOTONIC time; 0 or ETIMEDOUT. */
int weft_registry_wait(pthread_cond_t *condition, const struct timespec *deadline);
/* In a forked child, which holds the lock: registers for membarrier again. */
void weft_registry_forked(void);

int weft_registry_add_provider(struct weft_provider *provider);
void weft_registry_remove_provider(struct weft_provider *provider);
int weft_registry_add_points(struct weft_point *const *points, uint32_t count);
void weft_registry_remove_points(struct weft_point *const *points, uint32_t count);

struct weft_catalog_entry *weft_registry_catalog(void);
/* Frees entries that no connection needs to hear of any more. */
void weft_registry_prune(void);
/* Forgets what a connection was told. */
void weft_registry_unannounce(int connection);

/* Channels. NULL when there is none of this handle (ring id) at this connection. */
struct weft_channel *weft_registry_channel(int connection, uint32_t handle);
struct weft_channel *weft_registry_channel_by_ring(int connection, const uint8_t ring_id[16]);
/* A new one (to be filled, then added); NULL without memory. */
struct weft_channel *weft_registry_new_channel(void);
void weft_registry_add_channel(struct weft_channel *c);
/* 0 or a positive errno value. */
int weft_registry_enable(struct weft_channel *c, uint32_t entry, uint32_t event_id);
int weft_registry_disable(struct weft_channel *c, uint32_t entry);
void weft_registry_start(struct weft_channel *c);
/* Returns when no thread can commit to the channel any more. */
void weft_registry_stop(struct weft_channel *c);
/* Stops, disables everything and gives the memory back. */
void weft_registry_detach(struct weft_channel *c);
/* After a reconnection: no channel of this connection is attached yet / detaches those that still are not. */
void weft_registry_mark_unattached(int connection);
void weft_registry_detach_unattached(int connection);
void weft_registry_detach_all(int connection);

/* Called once at load: membarrier. 0 when restartable sequences can be used with it. */
int weft_registry_init(void);

#endif
