/*
 * Starting a program: own session and process group, stdin /dev/null, stdout and stderr to its log, fd 3 one end of a socket
 * pair, nothing else open, the uid it is told. No PDEATHSIG: what the keeper started outlives the keeper.
 */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 256
#define ENVIRONMENT_MAX 512
#define CACHE "NODE_COMPILE_CACHE="
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

extern char **environ;

/* The fds a child is made of, before they get their places. */
struct child_fds {
    int null;
    int log;
    int socket;
    int error; /* write end: an errno value when the program could not be started; closed by exec */
};

struct environment {
    char *entries[ENVIRONMENT_MAX + 1];
    int count;
};

int split_text(const char *text, size_t size, const char **parts, int room)
{
    size_t at = 0;
    int count = 0;
    while (at < size && text[at] != '\0') {
        const size_t length = strnlen(text + at, size - at);
        if (at + length >= size || count == room)
            return -1;
        parts[count++] = text + at;
        at += length + 1;
    }
    return at < size ? count : -1;
}

int check_command(const record_t *spec)
{
    const char *parts[ARGUMENTS_MAX];
    if (memchr(spec->log, '\0', sizeof spec->log) == NULL)
        return EINVAL;
    if (spec->log[0] != '\0' && spec->log[0] != '/' && strcmp(spec->log, "-") != 0)
        return EINVAL;
    if (split_text(spec->arguments, sizeof spec->arguments, parts, ARGUMENTS_MAX) < 1 || parts[0][0] != '/')
        return EINVAL;
    const int variables = split_text(spec->environment, sizeof spec->environment, parts, ARGUMENTS_MAX);
    for (int i = 0; i < variables; i++)
        if (parts[i][0] == '=' || strchr(parts[i], '=') == NULL)
            return EINVAL;
    return variables < 0 ? EINVAL : 0;
}

static void set_variable(struct environment *env, const char *entry)
{
    const size_t name = (size_t)(strchr(entry, '=') - entry) + 1;
    for (int i = 0; i < env->count; i++) {
        if (strncmp(env->entries[i], entry, name) == 0) {
            env->entries[i] = strdup(entry);
            return;
        }
    }
    if (env->count < ENVIRONMENT_MAX)
        env->entries[env->count++] = strdup(entry);
}

static void set_pair(struct environment *env, const char *name, const char *value)
{
    char *entry = NULL;
    if (asprintf(&entry, "%s=%s", name, value) > 0)
        set_variable(env, entry);
    free(entry);
}

static bool is_own_directory(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & (S_IWGRP | S_IWOTH));
}

/* Behind a slash, lstat would follow a link. */
static void trim(char *path)
{
    for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
        path[length - 1] = '\0';
}

static void to_parent(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path] = '\0';
    trim(path);
}

/* Compiled files are code: nobody else may write there. What is not there yet is as safe as the nearest directory that is. */
static bool is_own_cache(const char *path)
{
    char nearest[PATH_MAX];
    struct stat status;
    if (path[0] != '/' || strlen(path) >= sizeof nearest)
        return false;
    strcpy(nearest, path);
    trim(nearest);
    while (nearest[1] && lstat(nearest, &status) && errno == ENOENT)
        to_parent(nearest);
    return is_own_directory(nearest);
}

/*
 * LD_PRELOAD, NODE_OPTIONS and the like of whoever typed the first command are not the session daemon's. The cache of compiled files is:
 * without it from the very first file on, the daemon would load what strips types, 15 MB for its whole life.
 */
static bool session_daemon_may_see(const char *entry)
{
    static const char *const prefixes[] = { "PATH=", "HOME=", "USER=", "LANG=", "LC_", "TZ=", "TMPDIR=", "XDG_", "WEFT_" };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0)
            return strchr(entry, '=') != NULL;
    return strncmp(entry, CACHE, strlen(CACHE)) == 0 && is_own_cache(entry + strlen(CACHE));
}

static void make_environment(struct environment *env, const record_t *spec, const struct passwd *user)
{
    char number[16];
    snprintf(number, sizeof number, "%u", spec->uid);
    const char *lang = getenv("LANG");
    set_pair(env, "PATH", PATH_DEFAULT);
    set_pair(env, "HOME", user ? user->pw_dir : "/");
    set_pair(env, "USER", user ? user->pw_name : number);
    set_pair(env, "LANG", lang ? lang : "C.UTF-8");
    if (spec->role == WEFT_ROLE_SESSIOND)
        for (char **entry = environ; *entry; entry++)
            if (session_daemon_may_see(*entry))
                set_variable(env, *entry);
    const char *extra[ARGUMENTS_MAX];
    const int count = split_text(spec->environment, sizeof spec->environment, extra, ARGUMENTS_MAX);
    for (int i = 0; i < count; i++)
        set_variable(env, extra[i]);
}

static int become(const record_t *spec, const struct passwd *user)
{
    if (geteuid() != 0)
        return 0; /* launch() has checked that it is told to stay who it is */
    const gid_t gid = spec->gid;
    if (user ? initgroups(user->pw_name, gid) : setgroups(1, &gid))
        return errno;
    return setgid(gid) || setuid(spec->uid) ? errno : 0;
}

/* The fds may stand at any number, 3 included: move them out of the way, then to their places (which also ends close-on-exec). */
static int arrange_fds(struct child_fds *fds)
{
    int *all[] = { &fds->null, &fds->log, &fds->socket, &fds->error };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((*all[i] = fcntl(*all[i], F_DUPFD_CLOEXEC, 10)) < 0)
            return errno;
    if (dup2(fds->null, 0) < 0 || dup2(fds->log, 1) < 0 || dup2(fds->log, 2) < 0 || dup2(fds->socket, 3) < 0)
        return errno;
    return 0;
}

static void reset_signals(void)
{
    sigset_t none;
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        signal(signal_number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int run(const record_t *spec, struct child_fds *fds)
{
    const char *arguments[ARGUMENTS_MAX + 1] = { NULL };
    struct environment env = { .count = 0 };
    setsid();
    reset_signals();
    umask(022);
    int error = arrange_fds(fds);
    if (error)
        return error;
    const struct passwd *user = getpwuid(spec->uid);
    make_environment(&env, spec, user);
    if ((error = become(spec, user)))
        return error;
    if (chdir("/"))
        return errno;
    split_text(spec->arguments, sizeof spec->arguments, arguments, ARGUMENTS_MAX);
    execve(arguments[0], (char *const *)arguments, env.entries);
    return errno;
}

static int open_log(const char *path)
{
    if (strcmp(path, "-") == 0)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return open(path[0] ? path : "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* 0 when the child has become the program: exec closed the pipe without a word. */
static int await_start(pid_t pid, int error_pipe)
{
    int error = 0;
    ssize_t got;
    do
        got = read(error_pipe, &error, sizeof error);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error ? error : EINVAL;
}

static int fork_child(const record_t *spec, struct child_fds *fds, int error_pipe, pid_t *pid)
{
    *pid = fork();
    if (*pid < 0)
        return errno;
    if (*pid == 0) {
        const int error = run(spec, fds);
        if (write(fds->error, &error, sizeof error) < 0)
            _exit(126);
        _exit(127);
    }
    close(fds->error); /* else the pipe would never end */
    fds->error = -1;
    return await_start(*pid, error_pipe);
}

int launch(const record_t *spec, pid_t *pid, int *socket)
{
    if (geteuid() != 0 && (spec->uid != geteuid() || spec->gid != getegid()))
        return EPERM;
    int pair[2] = { -1, -1 };
    int failure[2] = { -1, -1 };
    int error = 0;
    struct child_fds fds = { .null = open("/dev/null", O_RDONLY | O_CLOEXEC), .log = open_log(spec->log), .socket = -1, .error = -1 };
    if (fds.null < 0 || fds.log < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) || pipe2(failure, O_CLOEXEC)) {
        error = errno;
    } else {
        fds.socket = pair[1];
        fds.error = failure[1];
        error = fork_child(spec, &fds, failure[0], pid);
        failure[1] = fds.error;
    }
    if (!error)
        *socket = pair[0];
    close_all((int[]){ fds.null, fds.log, pair[1], failure[0], failure[1], error ? pair[0] : -1 }, 6);
    return error;
}
