/*
 * A session daemon played by a test: one socket, one application at a time, every message by hand. The application is the program
 * test_app (test_app.h) with WEFT_HOME set to a directory of the test's.
 */
#ifndef WEFT_UST_TEST_DAEMON_H
#define WEFT_UST_TEST_DAEMON_H

#include <sys/types.h>

#include "ust/message.h"
#include "ust/test_app.h"
#include "ust/test_seam.h"

#define DAEMON_POINTS_MAX 64
#define PATIENCE_MS 60000 /* for what comes at once, unless the machine is busy */
#define DAEMON_NOTHING 0 /* daemon_receive: the time is over; -1: the application closed the connection */

struct test_daemon {
    char home[64];
    int listener; /* -1: the daemon is dead */
    int fd;       /* the application's connection, or -1 */
    uint32_t rseq;     /* from HELLO */
    uint32_t pid;
    uid_t uid;         /* of the peer */
    uint32_t command;  /* number of the last one */
    uint32_t batch;    /* from READY */
    uint32_t point_count;
    struct {
        char name[64];
        uint32_t id;
        int32_t level;
        uint16_t fields;
    } points[DAEMON_POINTS_MAX];
    uint8_t received[WEFT_WIRE_MAX];
    size_t length;
    uint8_t buffer[WEFT_WIRE_MAX];
};

struct test_app {
    pid_t pid;
    int orders, answers;
};

/* A home directory for daemon and applications. */
void daemon_home(struct test_daemon *d);
void daemon_start(struct test_daemon *d);   /* binds apps.sock and wakes who waits for a daemon */
void daemon_die(struct test_daemon *d);     /* closes everything, as kill -9 would */
void daemon_clean_up(struct test_daemon *d);

/* Waits for an application that connects and takes its HELLO. 1, or 0 when none comes within `ms`. */
int daemon_accept(struct test_daemon *d, int ms);
/* The type of the next message, which lies in `received`. */
int daemon_receive(struct test_daemon *d, int ms);
void daemon_send_raw(struct test_daemon *d, const void *bytes, size_t length, const int *fds, int count);
void daemon_welcome(struct test_daemon *d);
/* Takes POINTs up to READY. 1, or 0 when that does not come (within `ms`). */
int daemon_ready(struct test_daemon *d, int ms);
int daemon_until_ready(struct test_daemon *d);
void daemon_synced(struct test_daemon *d);
/* SYNCED before everything was asked for. */
void daemon_late(struct test_daemon *d);
/* Accept, welcome, points, in one. */
int daemon_register(struct test_daemon *d);
uint32_t daemon_point(const struct test_daemon *d, const char *name); /* id, 0: not announced */

/* Commands; each returns the status that the application acknowledges, -1 when it does not within PATIENCE_MS. */
int daemon_attach(struct test_daemon *d, uint32_t channel, const uint8_t ring_id[16], const struct weft_geometry *g, int ring_fd,
                  int reader_fd, const struct weft_context_wanted *contexts, uint16_t count);
int daemon_enable(struct test_daemon *d, uint32_t channel, uint32_t point, uint32_t event_id);
int daemon_filter(struct test_daemon *d, uint32_t channel, uint32_t point, uint32_t event_id, const uint8_t *filter, uint32_t length);
int daemon_disable(struct test_daemon *d, uint32_t channel, uint32_t point);
int daemon_simple(struct test_daemon *d, enum weft_wire_type type, uint32_t channel); /* START, STOP, DETACH */

/* WATCH; `captures`: encoded as in wire.h, `count` of them. UNWATCH. */
int daemon_watch(struct test_daemon *d, uint32_t watch, uint32_t point, const uint8_t *filter, uint32_t length, const uint8_t *captures,
                 uint16_t count, size_t bytes);
int daemon_unwatch(struct test_daemon *d, uint32_t watch, uint32_t point);
/* MAP (id made from `name`), COUNT. */
int daemon_map(struct test_daemon *d, uint32_t map, uint8_t name, const struct weft_map_geometry *g, int fd);
int daemon_count(struct test_daemon *d, uint32_t watch, uint32_t point, uint32_t map, uint32_t slot, uint8_t flags, const uint8_t *filter,
                 uint32_t length);
/* A command with this behind its number. */
int daemon_command(struct test_daemon *d, enum weft_wire_type type, const void *bytes, size_t length);
/* Behind the header of the message that was received last. */
struct weft_cursor daemon_cursor(const struct test_daemon *d);

/* `variable` is NAME=VALUE for the application's environment, or NULL. */
void app_start(struct test_app *a, const struct test_daemon *d, const char *variable);
void app_order(struct test_app *a, enum app_verb verb, uint32_t argument);
/* The answer to an order. 1, or 0 when none comes within `ms`. */
int app_answered(struct test_app *a, int ms, uint64_t *value);
uint64_t app_do(struct test_app *a, enum app_verb verb, uint32_t argument); /* order and answer */
/* Ends it. 1 if it was still well. */
int app_end(struct test_app *a);

#endif
