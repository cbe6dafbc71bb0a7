/*
 * keeper.sock: SOCK_SEQPACKET, one fixed-size record each way. The keeper serves only its own uid (SO_PEERCRED).
 *
 * The keeper parents every process of one session daemon: it starts them under the uid it is told, restarts the session
 * daemon and the bus, reports each exit, and holds duplicates of fds under 16-byte ids so that they outlive anybody.
 * It parses nothing but these records.
 */
#ifndef WEFT_KEEPER_RECORDS_H
#define WEFT_KEEPER_RECORDS_H

#include <stdint.h>

#define WEFT_KEEPER_ABI 1u
#define WEFT_KEEPER_ARGUMENTS 3072 /* bytes: argv, NUL separated, ended by an empty string; the same for env */

enum weft_keeper_op {
    /* request -> reply with the same op and token; status 0 or a positive errno value */
    WEFT_KEEPER_HELLO = 1,   /* abi in number; the caller becomes the receiver of EXITED reports (the last caller wins) */
    WEFT_KEEPER_SPAWN = 2,   /* role, id, uid, gid, restart, arguments; reply: pid. The child gets a clean environment (PATH,
                                HOME, USER of that uid, LANG, plus `environment`), stdin /dev/null, stdout and stderr appended to
                                log, and one end of a fresh SOCK_SEQPACKET pair as fd 3; the other end is deposited under id. */
    WEFT_KEEPER_ADOPT = 3,   /* role, id, pid, restart, arguments...: watch a process that another keeper started (pidfd) */
    WEFT_KEEPER_KILL = 4,    /* id, number: signal */
    WEFT_KEEPER_FORGET = 5,  /* id: no restart any more, no report; the process is left alone */
    WEFT_KEEPER_DEPOSIT = 6, /* id, role (what it is, the caller's number), number (caller's), + 1 or 2 fds: kept until RELEASE; the same id again replaces */
    WEFT_KEEPER_FETCH = 7,   /* id; reply + the fds */
    WEFT_KEEPER_RELEASE = 8, /* id */
    WEFT_KEEPER_LIST = 9,    /* number: index from 0; reply: the index-th entry (deposits first, then processes), ENOENT after the last */
    WEFT_KEEPER_SHUTDOWN = 10, /* no restarts, SIGTERM to all, SIGKILL after a grace period, then the keeper ends */
    /* unasked, keeper -> receiver */
    WEFT_KEEPER_EXITED = 32, /* id, role, pid, number: wait status (or -1 for an adopted process), restart: 1 if it will be restarted */
};

enum weft_keeper_role { WEFT_ROLE_SESSIOND = 1, WEFT_ROLE_BUS = 2, WEFT_ROLE_CONSUMER = 3, WEFT_ROLE_DEPOSIT = 16 /* and above: deposits */ };

struct weft_keeper_record {
    uint32_t op;     /* 0 */
    uint32_t token;  /* 4: chosen by the caller, repeated in the reply */
    int32_t status;  /* 8 */
    uint32_t role;   /* 12 */
    uint8_t id[16];  /* 16 */
    uint32_t uid;    /* 32 */
    uint32_t gid;    /* 36 */
    int32_t pid;     /* 40 */
    uint32_t restart; /* 44: 1: restart with back-off when it exits */
    int64_t number;  /* 48 */
    char log[256];   /* 56: absolute path, or empty: /dev/null */
    char arguments[WEFT_KEEPER_ARGUMENTS]; /* 312 */
    char environment[1024]; /* 3384: NAME=value, NUL separated, ended by an empty string */
};
#ifdef __cplusplus
static_assert(sizeof(struct weft_keeper_record) == 4408, "record");
#else
_Static_assert(sizeof(struct weft_keeper_record) == 4408, "record");
#endif

#endif
