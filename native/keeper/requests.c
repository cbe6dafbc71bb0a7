/* One request, one answer. The caller is of our own uid; what it sends is checked all the same, for it may be an old or broken one. */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The session daemon's own entry: the keeper makes it, nobody spawns or adopts a second one. */
static bool role_may_be_asked_for(uint32_t role)
{
    return role > WEFT_ROLE_SESSIOND && role < WEFT_ROLE_DEPOSIT;
}

static int serve_hello(const record_t *request, record_t *reply)
{
    reply->number = WEFT_KEEPER_ABI;
    reply->pid = getpid();
    return request->number == WEFT_KEEPER_ABI ? 0 : EPROTONOSUPPORT;
}

static int serve_spawn(struct keeper *k, const record_t *request, record_t *reply)
{
    pid_t pid = 0;
    if (!role_may_be_asked_for(request->role) || request->restart > 1)
        return EINVAL;
    const int error = process_spawn(k, request, &pid);
    reply->pid = pid;
    return error;
}

static int serve_adopt(struct keeper *k, const record_t *request)
{
    if (!role_may_be_asked_for(request->role) || request->restart > 1)
        return EINVAL;
    return process_adopt(k, request);
}

static int serve_fetch(struct keeper *k, const record_t *request, record_t *reply, int reply_fds[2])
{
    const struct deposit *d = deposit_find(k, request->id);
    if (!d)
        return ENOENT;
    reply->role = d->role;
    reply->number = d->number;
    reply_fds[0] = d->fds[0];
    reply_fds[1] = d->fds[1];
    return 0;
}

static void list_deposit(const struct deposit *d, record_t *reply)
{
    reply->role = d->role;
    reply->number = d->number;
    memcpy(reply->id, d->id, KEEPER_ID_SIZE);
}

static void list_process(const struct process *p, record_t *reply)
{
    reply->role = p->spec.role;
    reply->uid = p->spec.uid;
    reply->gid = p->spec.gid;
    reply->restart = p->spec.restart;
    reply->pid = p->pid ? p->pid : -1;
    memcpy(reply->id, p->spec.id, KEEPER_ID_SIZE);
}

static int serve_list(const struct keeper *k, int64_t index, record_t *reply)
{
    if (index < 0)
        return EINVAL;
    if (index < (int64_t)k->deposit_count)
        list_deposit(&k->deposits[index], reply);
    else if (index - (int64_t)k->deposit_count < k->process_count)
        list_process(k->processes[index - (int64_t)k->deposit_count], reply);
    else
        return ENOENT;
    return 0;
}

static int serve_deposit(struct keeper *k, const record_t *request, const int *fds, int fd_count)
{
    if (fd_count < 1)
        return EINVAL;
    return deposit_put(k, request->id, request->role, request->number, (int[2]){ fds[0], fd_count > 1 ? fds[1] : -1 });
}

static int dispatch(struct keeper *k, const record_t *request, record_t *reply, int reply_fds[2])
{
    switch (request->op) {
    case WEFT_KEEPER_HELLO:
        return serve_hello(request, reply);
    case WEFT_KEEPER_SPAWN:
        return serve_spawn(k, request, reply);
    case WEFT_KEEPER_ADOPT:
        return serve_adopt(k, request);
    case WEFT_KEEPER_KILL:
        return process_kill(k, request->id, request->number);
    case WEFT_KEEPER_FORGET:
        return process_forget(k, request->id);
    case WEFT_KEEPER_FETCH:
        return serve_fetch(k, request, reply, reply_fds);
    case WEFT_KEEPER_RELEASE:
        return deposit_release(k, request->id);
    case WEFT_KEEPER_LIST:
        return serve_list(k, request->number, reply);
    case WEFT_KEEPER_SHUTDOWN:
        shutdown_begin(k);
        return 0;
    default:
        return EINVAL;
    }
}

void serve(struct keeper *k, const record_t *request, const int *fds, int fd_count, record_t *reply, int reply_fds[2])
{
    *reply = (record_t){ .op = request->op, .token = request->token };
    memcpy(reply->id, request->id, KEEPER_ID_SIZE);
    reply_fds[0] = reply_fds[1] = -1;
    if (request->op == WEFT_KEEPER_DEPOSIT && fd_count <= 2) {
        reply->status = serve_deposit(k, request, fds, fd_count); /* the fds are the deposit's now */
        return;
    }
    for (int i = 0; i < fd_count; i++)
        close(fds[i]);
    reply->status = fd_count > 0 ? EINVAL : dispatch(k, request, reply, reply_fds);
}
