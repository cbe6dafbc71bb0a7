/* fds under 16-byte ids: they outlive whoever deposited them. */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct deposit *deposit_find(struct keeper *k, const uint8_t *id)
{
    for (size_t i = 0; i < k->deposit_count; i++)
        if (memcmp(k->deposits[i].id, id, KEEPER_ID_SIZE) == 0)
            return &k->deposits[i];
    return NULL;
}

static void close_fds(const int fds[2])
{
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* The last fds are kept for connections, launches and the sockets of processes: a full keeper must still work, and hear RELEASE. */
static bool leaves_reserve(const int fds[2])
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return true;
    const int highest = fds[0] > fds[1] ? fds[0] : fds[1];
    return (rlim_t)highest + KEEPER_FDS_RESERVED < limit.rlim_cur;
}

static int make_room(struct keeper *k)
{
    if (k->deposit_count < k->deposit_room)
        return 0;
    if (k->deposit_count >= KEEPER_DEPOSITS_MAX)
        return ENOSPC;
    const size_t room = k->deposit_room ? k->deposit_room * 2 : 64;
    struct deposit *grown = realloc(k->deposits, room * sizeof *grown);
    if (!grown)
        return ENOMEM;
    k->deposits = grown;
    k->deposit_room = room;
    return 0;
}

/* Takes the fds in every case: when it fails they are closed. */
int deposit_put(struct keeper *k, const uint8_t *id, uint32_t role, int64_t number, const int fds[2])
{
    struct deposit *d = deposit_find(k, id);
    int error = role < WEFT_ROLE_DEPOSIT || leaves_reserve(fds) ? 0 : EMFILE;
    if (!error && !d)
        error = make_room(k);
    if (error) {
        close_fds(fds);
        return error;
    }
    if (d)
        close_fds(d->fds);
    else
        d = &k->deposits[k->deposit_count++];
    *d = (struct deposit){ .role = role, .number = number, .fds = { fds[0], fds[1] } };
    memcpy(d->id, id, KEEPER_ID_SIZE);
    k->vault_stale |= role >= WEFT_ROLE_DEPOSIT;
    return 0;
}

int deposit_release(struct keeper *k, const uint8_t *id)
{
    struct deposit *d = deposit_find(k, id);
    if (!d)
        return ENOENT;
    close_fds(d->fds);
    k->vault_stale |= d->role >= WEFT_ROLE_DEPOSIT;
    k->deposit_count--;
    /* In order, so that a LIST that goes on meanwhile skips at most what was released. */
    memmove(d, d + 1, (size_t)(&k->deposits[k->deposit_count] - d) * sizeof *d);
    return 0;
}
