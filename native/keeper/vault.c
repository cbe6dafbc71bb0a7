/*
 * The vault: a child that does nothing but hold the memory among the deposits, so that killing the keeper and the session daemon
 * takes no events along. It is forked anew after a turn that changed deposits. What it holds is what it inherited, so nothing is
 * told to it, and nobody can tell it anything. The next session daemon finds it by its name and its keeper's arguments, takes the
 * memory out of its table of descriptors, and ends it (actors/survivors.ts).
 */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the same arguments: only the last part of the program's name differs, and the shorter name leaves an empty argument behind it. */
static const char KEEPER_NAME[] = "weft-keeper";
static const char VAULT_NAME[] = "weft-vault";

static bool is_memory(int fd)
{
    return fd >= 0 && fcntl(fd, F_GET_SEALS) >= 0;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Room for all fds of all deposits is the caller's. How many are memory. */
static unsigned list_memory(const struct keeper *k, int *fds)
{
    unsigned count = 0;
    for (size_t i = 0; i < k->deposit_count; i++)
        for (int j = 0; j < 2; j++)
            if (k->deposits[i].role >= WEFT_ROLE_DEPOSIT && is_memory(k->deposits[i].fds[j]))
                fds[count++] = k->deposits[i].fds[j];
    return count;
}

/* The keeper's lock, its sockets and those of its processes must end with it. */
static void close_all_but(int *kept, unsigned count)
{
    unsigned from = 0;
    qsort(kept, count, sizeof *kept, by_number);
    for (unsigned i = 0; i < count; i++) {
        if ((unsigned)kept[i] > from)
            syscall(SYS_close_range, from, (unsigned)kept[i] - 1, 0);
        from = (unsigned)kept[i] + 1;
    }
    syscall(SYS_close_range, from, ~0u, 0);
}

static void take_name(char *program)
{
    const size_t length = strlen(program), old = sizeof KEEPER_NAME - 1;
    if (length >= old && strcmp(program + length - old, KEEPER_NAME) == 0)
        memcpy(program + length - old, VAULT_NAME, sizeof VAULT_NAME);
    prctl(PR_SET_NAME, VAULT_NAME);
}

static void be_vault(const struct keeper *k, int *kept, unsigned count)
{
    sigset_t none;
    take_name(k->program);
    setsid(); /* whoever kills the keeper's group does not mean the memory */
    close_all_but(kept, count);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* the keeper reads its signals; here they act */
    for (;;)
        pause();
}

/* 0 or an errno value. *pid is 0 when there is nothing to hold. */
static int start(const struct keeper *k, pid_t *pid)
{
    int *kept = calloc(2 * k->deposit_count + 1, sizeof *kept);
    if (!kept)
        return ENOMEM;
    const unsigned count = list_memory(k, kept);
    *pid = count ? fork() : 0;
    const int error = *pid < 0 ? errno : 0;
    if (count && *pid == 0)
        be_vault(k, kept, count);
    free(kept);
    return error;
}

void vault_renew(struct keeper *k)
{
    pid_t next;
    if (!k->vault_stale || now_ms() < k->vault_retry_ms)
        return;
    /* The new one first: there is always one that holds what both have. Without a new one the former is better than none. */
    const int error = start(k, &next);
    if (error) {
        if (!k->vault_retry_ms)
            say("cannot start a vault, so memory of now would be lost if this keeper and its daemon were killed; trying on: %s", strerror(error));
        k->vault_retry_ms = now_ms() + KEEPER_VAULT_RETRY_MS;
        return;
    }
    if (k->vault)
        kill(k->vault, SIGKILL);
    k->vault = next;
    k->vault_stale = false;
    k->vault_retry_ms = 0;
}

int64_t vault_next_due_ms(const struct keeper *k)
{
    return k->vault_stale && k->vault_retry_ms ? k->vault_retry_ms : INT64_MAX;
}

void vault_reaped(struct keeper *k, pid_t pid)
{
    if (pid != k->vault)
        return;
    k->vault = 0;
    k->vault_stale = true;
}

/* Gone when this returns: whoever waits for the keeper's end waits for all of it. */
void vault_end(struct keeper *k)
{
    if (k->vault && kill(k->vault, SIGKILL) == 0)
        waitpid(k->vault, NULL, 0);
    k->vault = 0;
}
