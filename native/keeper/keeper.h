/*
 * What the keeper holds. One thread, one loop (main.c); every function here returns at once, except launch(), which waits until
 * the child has either become the new program or said why not.
 */
#ifndef WEFT_KEEPER_H
#define WEFT_KEEPER_H

#include "keeper/records.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define KEEPER_CONNECTIONS_MAX 16
#define KEEPER_PROCESSES_MAX 1024
#define KEEPER_DEPOSITS_MAX 65536
#define KEEPER_ID_SIZE 16
/* fds that deposits may not take: connections, pidfds, and what a launch needs for a moment. */
#define KEEPER_FDS_RESERVED 64

/* How long each group of processes may take to end in order. The session daemon flushes every session. */
#define KEEPER_GRACE_SESSIOND_MS 10000
#define KEEPER_GRACE_MS 3000
#define KEEPER_BACKOFF_FIRST_MS 100
#define KEEPER_BACKOFF_LAST_MS 5000
/* A process that lived this long had a good start: the next one begins without delay. */
#define KEEPER_LIFE_GOOD_MS 10000
#define KEEPER_VAULT_RETRY_MS 1000

typedef struct weft_keeper_record record_t;

struct process {
    record_t spec;      /* as it was asked for: role, id, uid, gid, restart, log, arguments, environment; pid: the last one it had */
    pid_t pid;          /* 0: not running */
    int pidfd;          /* of an adopted process, which is not our child; else -1 */
    int64_t started_ms;
    int64_t due_ms;     /* the next start, when it is not running and restart is set */
    int64_t delay_ms;   /* the back-off that this start had */
    bool report_due;    /* its end is not reported yet */
    int64_t wait_status; /* of that end; -1: adopted, nobody knows */
};

struct deposit {
    uint8_t id[KEEPER_ID_SIZE];
    uint32_t role;
    int64_t number;
    int fds[2]; /* the second may be -1 */
};

struct connection {
    int fd;
    bool choked; /* it asked, but does not read its answers: nothing more is read from it until it does */
};

enum shutdown_phase { RUNNING, ENDING_SESSIOND, ENDING_OTHERS, ENDING_BUS, ENDED };

struct keeper {
    int listener;
    int signals; /* signalfd */
    int notify;  /* gets `ready` once; -1 afterwards */
    struct connection connections[KEEPER_CONNECTIONS_MAX];
    int connection_count;
    int receiver; /* fd of the connection that said HELLO last; -1: none */
    struct process *processes[KEEPER_PROCESSES_MAX];
    int process_count;
    struct deposit *deposits;
    size_t deposit_count;
    size_t deposit_room;
    char *program;    /* argv[0] */
    pid_t vault;      /* 0: none */
    bool vault_stale; /* it does not hold what the deposits are now */
    int64_t vault_retry_ms; /* the last start of a vault failed: not before then; else 0 */
    enum shutdown_phase phase;
    int64_t phase_deadline_ms;
    bool phase_killed; /* SIGKILL was sent in this phase */
    int64_t watchdog_due_ms;
};

int64_t now_ms(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * launch.c: starts the program of `spec`. 0 or an errno value. *pid and *socket (the other end of the child's fd 3) are set on success.
 * The session daemon keeps a chosen part of the keeper's environment; everybody else gets a clean one.
 */
int launch(const record_t *spec, pid_t *pid, int *socket);
/* Splits NUL-separated text that ends with an empty string. The number of parts, or -1 when the text is not of that form. */
int split_text(const char *text, size_t size, const char **parts, int room);
int check_command(const record_t *spec);

/* processes.c */
struct process *process_find(struct keeper *k, const uint8_t *id);
int process_spawn(struct keeper *k, const record_t *spec, pid_t *pid);
int process_adopt(struct keeper *k, const record_t *spec);
int process_kill(struct keeper *k, const uint8_t *id, int64_t signal);
int process_forget(struct keeper *k, const uint8_t *id);
void processes_reap(struct keeper *k);                       /* after SIGCHLD */
void process_adopted_ended(struct keeper *k, struct process *p);
void processes_start_due(struct keeper *k);
int64_t processes_next_due_ms(const struct keeper *k);       /* INT64_MAX: none */
bool process_fill_report(const struct process *p, record_t *report);
void process_reported(struct keeper *k, struct process *p);

/* deposits.c: fds kept under an id; a second deposit under the same id replaces the first */
struct deposit *deposit_find(struct keeper *k, const uint8_t *id);
int deposit_put(struct keeper *k, const uint8_t *id, uint32_t role, int64_t number, const int fds[2]);
int deposit_release(struct keeper *k, const uint8_t *id);

/* vault.c: a child that holds the deposits' memory for whoever comes when this process was killed */
void vault_renew(struct keeper *k);
int64_t vault_next_due_ms(const struct keeper *k); /* INT64_MAX: nothing to try again */
void vault_reaped(struct keeper *k, pid_t pid);
void vault_end(struct keeper *k);

/* requests.c: carries out one request; answer and fds (the keeper's own, not to be closed) are for the reply */
void serve(struct keeper *k, const record_t *request, const int *fds, int fd_count, record_t *reply, int reply_fds[2]);

/* connections.c */
int listen_at(const char *path);
void connection_accept(struct keeper *k);
void connection_serve(struct keeper *k, struct connection *c, short events);
void connections_drop_closed(struct keeper *k);
void send_reports(struct keeper *k);

/* shutdown.c */
void shutdown_begin(struct keeper *k);
void shutdown_step(struct keeper *k);

/* ready.c: tells whoever started the keeper that the session daemon is there, or that the end has begun */
void tell_ready(struct keeper *k);
void tell_stopping(void);
/* Tells a watching systemd that this loop turns, as often as it wants to hear it. When it is due next; INT64_MAX: never. */
int64_t watchdog_step(struct keeper *k);

#endif
