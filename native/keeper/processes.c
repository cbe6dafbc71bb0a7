/* The processes that the keeper started or adopted: their ends, their restarts. */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct process *process_find(struct keeper *k, const uint8_t *id)
{
    for (int i = 0; i < k->process_count; i++)
        if (memcmp(k->processes[i]->spec.id, id, KEEPER_ID_SIZE) == 0)
            return k->processes[i];
    return NULL;
}

static struct process *process_add(struct keeper *k, const record_t *spec)
{
    struct process *p = k->process_count < KEEPER_PROCESSES_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->spec = *spec;
    p->pidfd = -1;
    k->processes[k->process_count++] = p;
    return p;
}

static void process_remove(struct keeper *k, struct process *p)
{
    for (int i = 0; i < k->process_count; i++) {
        if (k->processes[i] != p)
            continue;
        k->process_count--;
        memmove(&k->processes[i], &k->processes[i + 1], (size_t)(k->process_count - i) * sizeof *k->processes);
        break;
    }
    if (p->pidfd >= 0)
        close(p->pidfd);
    free(p);
}

/* Starts the program; its end of the socket pair replaces the one that an earlier life of it left. */
static int process_start(struct keeper *k, struct process *p)
{
    int socket = -1;
    const int error = launch(&p->spec, &p->pid, &socket);
    if (error) {
        p->pid = 0;
        return error;
    }
    p->spec.pid = p->pid;
    p->started_ms = now_ms();
    if (p->spec.role == WEFT_ROLE_SESSIOND) {
        close(socket); /* it connects to keeper.sock instead */
        return 0;
    }
    const int refused = deposit_put(k, p->spec.id, p->spec.role, 0, (int[2]){ socket, -1 });
    if (refused) /* The program sees its socket closed and ends; its end is reported as any other. */
        say("no room to deposit the socket of process %d: %s", (int)p->pid, strerror(refused));
    return 0;
}

int process_spawn(struct keeper *k, const record_t *spec, pid_t *pid)
{
    struct process *p = process_find(k, spec->id);
    int error = check_command(spec);
    if (error)
        return error;
    if (k->phase != RUNNING)
        return ESHUTDOWN;
    if (p && p->pid)
        return EEXIST;
    if (p)
        process_remove(k, p);
    p = process_add(k, spec);
    if (!p)
        return ENOMEM;
    error = process_start(k, p);
    *pid = p->pid;
    if (error)
        process_remove(k, p);
    return error;
}

int process_adopt(struct keeper *k, const record_t *spec)
{
    struct process *p = process_find(k, spec->id);
    const int error = spec->restart ? check_command(spec) : 0;
    if (error || spec->pid <= 0)
        return EINVAL;
    if (p && p->pid)
        return p->pid == spec->pid ? 0 : EEXIST;
    const int pidfd = (int)syscall(SYS_pidfd_open, spec->pid, 0);
    if (pidfd < 0)
        return errno;
    if (p)
        process_remove(k, p);
    p = process_add(k, spec);
    if (!p) {
        close(pidfd);
        return ENOMEM;
    }
    p->pidfd = pidfd;
    p->pid = spec->pid;
    p->started_ms = now_ms();
    return 0;
}

int process_kill(struct keeper *k, const uint8_t *id, int64_t signal_number)
{
    const struct process *p = process_find(k, id);
    if (signal_number < 1 || signal_number > SIGRTMAX)
        return EINVAL;
    if (!p)
        return ENOENT;
    if (!p->pid)
        return ESRCH;
    /* A child's pid stays its own until it is reaped, and only we reap. */
    const long failed = p->pidfd < 0 ? kill(p->pid, (int)signal_number)
                                     : syscall(SYS_pidfd_send_signal, p->pidfd, (int)signal_number, NULL, 0);
    return failed ? errno : 0;
}

int process_forget(struct keeper *k, const uint8_t *id)
{
    struct process *p = process_find(k, id);
    if (!p)
        return ENOENT;
    if (p->spec.role == WEFT_ROLE_SESSIOND)
        return EPERM;
    process_remove(k, p);
    return 0;
}

/* 0, 100 ms, 200 ms ... 5 s between an end and the next start. */
static void schedule_restart(struct process *p)
{
    const int64_t now = now_ms();
    if (now - p->started_ms >= KEEPER_LIFE_GOOD_MS)
        p->delay_ms = 0;
    p->due_ms = now + p->delay_ms;
    p->delay_ms = p->delay_ms ? p->delay_ms * 2 : KEEPER_BACKOFF_FIRST_MS;
    if (p->delay_ms > KEEPER_BACKOFF_LAST_MS)
        p->delay_ms = KEEPER_BACKOFF_LAST_MS;
}

static bool will_restart(const struct keeper *k, const struct process *p)
{
    return p->spec.restart && k->phase == RUNNING;
}

static void process_ended(struct keeper *k, struct process *p, int64_t wait_status)
{
    say("process %d (role %u) ended, wait status %lld", (int)p->pid, p->spec.role, (long long)wait_status);
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = -1;
    p->pid = 0;
    p->wait_status = wait_status;
    if (will_restart(k, p))
        schedule_restart(p);
    p->report_due = k->receiver >= 0 && p->spec.role != WEFT_ROLE_SESSIOND;
    if (!p->report_due)
        process_reported(k, p);
}

void processes_reap(struct keeper *k)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        vault_reaped(k, pid);
        /* Unknown: forgotten, or an orphan that fell to us as PID 1 or subreaper. Reaping it was all that it needed. */
        for (int i = 0; i < k->process_count; i++) {
            if (k->processes[i]->pid == pid && k->processes[i]->pidfd < 0) {
                process_ended(k, k->processes[i], status);
                break;
            }
        }
    }
}

void process_adopted_ended(struct keeper *k, struct process *p)
{
    process_ended(k, p, -1);
}

void processes_start_due(struct keeper *k)
{
    for (int i = 0; i < k->process_count; i++) {
        struct process *p = k->processes[i];
        if (p->pid || !will_restart(k, p) || p->due_ms > now_ms())
            continue;
        const int error = process_start(k, p);
        if (error) {
            say("cannot start %s again: %s", p->spec.arguments, strerror(error));
            p->started_ms = now_ms();
            schedule_restart(p);
        } else {
            say("started %s again as process %d", p->spec.arguments, (int)p->pid);
        }
    }
}

int64_t processes_next_due_ms(const struct keeper *k)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < k->process_count; i++) {
        const struct process *p = k->processes[i];
        if (!p->pid && will_restart(k, p) && p->due_ms < next)
            next = p->due_ms;
    }
    return next;
}

bool process_fill_report(const struct process *p, record_t *report)
{
    if (!p->report_due)
        return false;
    *report = (record_t){ .op = WEFT_KEEPER_EXITED, .role = p->spec.role, .pid = p->spec.pid, .number = p->wait_status };
    memcpy(report->id, p->spec.id, KEEPER_ID_SIZE);
    return true;
}

/* What ended for good and is reported (or nobody is there to hear it) is over. */
void process_reported(struct keeper *k, struct process *p)
{
    p->report_due = false;
    if (!p->pid && !will_restart(k, p) && p->spec.role != WEFT_ROLE_SESSIOND)
        process_remove(k, p);
}
