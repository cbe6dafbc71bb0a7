/*
 * The end, in the order that loses nothing: the session daemon (it stops and flushes every session, which needs consumers and
 * bus), then the consumers, then the bus. Whoever does not end in time is killed with its group.
 */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum shutdown_phase phase_of(const struct process *p)
{
    if (p->spec.role == WEFT_ROLE_SESSIOND)
        return ENDING_SESSIOND;
    return p->spec.role == WEFT_ROLE_BUS ? ENDING_BUS : ENDING_OTHERS;
}

static bool any_runs(const struct keeper *k)
{
    for (int i = 0; i < k->process_count; i++)
        if (k->processes[i]->pid && phase_of(k->processes[i]) == k->phase)
            return true;
    return false;
}

static void signal_phase(const struct keeper *k, int signal_number)
{
    for (int i = 0; i < k->process_count; i++) {
        const struct process *p = k->processes[i];
        if (!p->pid || phase_of(p) != k->phase)
            continue;
        if (p->pidfd >= 0)
            syscall(SYS_pidfd_send_signal, p->pidfd, signal_number, NULL, 0);
        else
            kill(signal_number == SIGKILL ? -p->pid : p->pid, signal_number);
    }
}

static void enter(struct keeper *k, enum shutdown_phase phase)
{
    k->phase = phase;
    k->phase_killed = false;
    k->phase_deadline_ms = now_ms() + (phase == ENDING_SESSIOND ? KEEPER_GRACE_SESSIOND_MS : KEEPER_GRACE_MS);
    signal_phase(k, SIGTERM);
}

void shutdown_begin(struct keeper *k)
{
    if (k->phase != RUNNING)
        return;
    say("ending");
    tell_stopping();
    enter(k, ENDING_SESSIOND);
}

void shutdown_step(struct keeper *k)
{
    while (k->phase != RUNNING && k->phase != ENDED) {
        if (!any_runs(k) || (k->phase_killed && now_ms() >= k->phase_deadline_ms)) {
            enter(k, (enum shutdown_phase)(k->phase + 1));
            continue;
        }
        if (now_ms() < k->phase_deadline_ms)
            return;
        say("killing what did not end in time");
        signal_phase(k, SIGKILL);
        k->phase_killed = true;
        k->phase_deadline_ms = now_ms() + KEEPER_GRACE_MS; /* a process in the kernel's hands may not die at once: go on without it */
        return;
    }
}
