/*
 * weft-keeper: the parent of every process of one session daemon, the restarter, the holder of their memory.
 *
 *   weft-keeper --runtime DIR --log FILE [--notify-fd N] [--lock-fd N] [--sessiond PID] -- NODE ARGS...
 *
 * Starts the command behind `--` as the session daemon and again whenever it ends. With --sessiond, that process is the session
 * daemon already (it lost its keeper and started this one): it is watched, and the command follows it when it ends. With --lock-fd,
 * the starter holds the lock of DIR already (cli/take-place.ts), and its fd is ours from here on.
 * Exit status: 0 after SHUTDOWN, SIGTERM or SIGINT; 1 for what is wrong with the surroundings; 2 for wrong usage; 3 when another
 * keeper serves DIR.
 */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIXED_POLLS 2 /* listener, signals */

struct options {
    const char *runtime;
    const char *log;
    int notify;
    int lock;
    pid_t sessiond;
    char **command;
};

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void say(const char *format, ...)
{
    char text[512];
    char date[32];
    const time_t now = time(NULL);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    dprintf(STDERR_FILENO, "%s weft-keeper: %s\n", date, text);
}

static void fail(int status, const char *what, const char *which)
{
    dprintf(STDERR_FILENO, "weft-keeper: %s %s: %s\n", what, which, strerror(errno));
    exit(status);
}

static void usage(void)
{
    dprintf(STDERR_FILENO, "usage: weft-keeper --runtime DIR --log FILE [--notify-fd N] [--lock-fd N] [--sessiond PID] "
                           "-- PROGRAM ARGS...\n");
    exit(2);
}

static int parse_number(const char *text)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < 1 || value > INT32_MAX)
        usage();
    return (int)value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option known[] = {
        { "runtime", required_argument, NULL, 'r' },   { "log", required_argument, NULL, 'l' },
        { "notify-fd", required_argument, NULL, 'n' }, { "sessiond", required_argument, NULL, 's' },
        { "lock-fd", required_argument, NULL, 'k' },   { NULL, 0, NULL, 0 },
    };
    struct options o = { .notify = -1, .lock = -1 };
    int option;
    while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        switch (option) {
        case 'r': o.runtime = optarg; break;
        case 'l': o.log = optarg; break;
        case 'n': o.notify = parse_number(optarg); break;
        case 'k': o.lock = parse_number(optarg); break;
        case 's': o.sessiond = parse_number(optarg); break;
        default: usage();
        }
    }
    o.command = argv + optind;
    if (!o.runtime || !o.log || !*o.command || o.runtime[0] != '/' || (o.log[0] != '/' && strcmp(o.log, "-") != 0))
        usage();
    return o;
}

/* What the starter left open is not ours: a terminal's fd would keep that terminal busy for as long as we live. */
static void close_inherited(const struct options *o)
{
    DIR *open_fds = opendir("/proc/self/fd");
    for (struct dirent *entry; open_fds && (entry = readdir(open_fds));) {
        const int fd = atoi(entry->d_name);
        if (fd > STDERR_FILENO && fd != o->notify && fd != o->lock && fd != dirfd(open_fds))
            close(fd);
    }
    if (open_fds)
        closedir(open_fds);
    if (o->notify >= 0)
        fcntl(o->notify, F_SETFD, FD_CLOEXEC);
    if (o->lock >= 0)
        fcntl(o->lock, F_SETFD, FD_CLOEXEC);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int open_runtime(const char *path)
{
    struct stat status;
    if (mkdir(path, geteuid() == 0 ? 0755 : 0700) && errno != EEXIST)
        fail(1, "cannot make the runtime directory", path);
    if (geteuid() == 0)
        chmod(path, 0755); /* whatever the umask: applications of all users pass through it */
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status))
        fail(1, "cannot open the runtime directory", path);
    if (status.st_uid != geteuid()) {
        dprintf(STDERR_FILENO, "weft-keeper: the runtime directory %s belongs to uid %u\n", path, (unsigned)status.st_uid);
        exit(1);
    }
    return fd;
}

/* Held until the process ends. */
static void lock(int directory, const char *runtime, int held)
{
    char holder[16] = "";
    const int fd = held >= 0 ? held : openat(directory, "keeper.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        fail(1, "cannot open keeper.lock in", runtime);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK)
            fail(1, "cannot lock keeper.lock in", runtime);
        if (read(fd, holder, sizeof holder - 1) < 0)
            holder[0] = '\0';
        dprintf(STDERR_FILENO, "weft-keeper: another keeper (process %s) already serves %s\n", holder, runtime);
        exit(3);
    }
    const int length = snprintf(holder, sizeof holder, "%d", (int)getpid());
    if (ftruncate(fd, 0) || write(fd, holder, (size_t)length) < 0)
        fail(1, "cannot write keeper.lock in", runtime);
}

static int open_log(const char *path)
{
    if (strcmp(path, "-") == 0)
        return -1;
    const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
    if (fd < 0)
        fail(1, "cannot open the log", path);
    return fd;
}

/* From here on nobody reads our stdio: the command line that started us is gone. */
static void speak_into(int log)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (log < 0)
        return;
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close(log);
    close(null);
}

static int take_signals(void)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGCHLD);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    const int fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        fail(1, "cannot make", "a signalfd");
    return fd;
}

static record_t describe_sessiond(const struct options *o)
{
    record_t spec = { .role = WEFT_ROLE_SESSIOND, .restart = 1, .uid = geteuid(), .gid = getegid(), .pid = o->sessiond };
    size_t at = 0;
    if (strlen(o->log) >= sizeof spec.log)
        usage();
    strcpy(spec.log, o->log);
    for (char **argument = o->command; *argument; argument++) {
        const size_t size = strlen(*argument) + 1;
        if (size == 1 || at + size >= sizeof spec.arguments)
            usage();
        memcpy(spec.arguments + at, *argument, size);
        at += size;
    }
    return spec;
}

static void start_sessiond(struct keeper *k, const struct options *o)
{
    const record_t spec = describe_sessiond(o);
    pid_t pid;
    if (o->sessiond && process_adopt(k, &spec) == 0)
        return;
    errno = process_spawn(k, &spec, &pid);
    if (errno)
        fail(1, "cannot start", o->command[0]);
}

static void read_signals(struct keeper *k)
{
    struct signalfd_siginfo info;
    while (read(k->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD)
            shutdown_begin(k);
    }
    processes_reap(k); /* signals of the same number merge: look whatever came */
}

static int fill_polls(const struct keeper *k, struct pollfd *polls)
{
    bool report_due = false;
    int count = FIXED_POLLS + k->connection_count;
    polls[0] = (struct pollfd){ .fd = k->listener, .events = POLLIN };
    polls[1] = (struct pollfd){ .fd = k->signals, .events = POLLIN };
    for (int i = 0; i < k->process_count; i++) {
        report_due |= k->processes[i]->report_due;
        if (k->processes[i]->pidfd >= 0)
            polls[count++] = (struct pollfd){ .fd = k->processes[i]->pidfd, .events = POLLIN };
    }
    for (int i = 0; i < k->connection_count; i++) {
        const struct connection *c = &k->connections[i];
        const bool waits = c->choked || (report_due && c->fd == k->receiver);
        polls[FIXED_POLLS + i] = (struct pollfd){ .fd = c->fd, .events = (short)((c->choked ? 0 : POLLIN) | (waits ? POLLOUT : 0)) };
    }
    return count;
}

static int poll_timeout(struct keeper *k)
{
    int64_t until = processes_next_due_ms(k);
    if (k->phase != RUNNING)
        until = k->phase_deadline_ms;
    const int64_t watchdog = watchdog_step(k);
    if (watchdog < until)
        until = watchdog;
    if (vault_next_due_ms(k) < until)
        until = vault_next_due_ms(k);
    if (until == INT64_MAX)
        return -1;
    const int64_t left = until - now_ms();
    return left < 0 ? 0 : (int)(left + 1);
}

static void adopted_ended(struct keeper *k, int pidfd)
{
    for (int i = 0; i < k->process_count; i++) {
        if (k->processes[i]->pidfd == pidfd) {
            process_adopted_ended(k, k->processes[i]);
            return;
        }
    }
}

static void turn(struct keeper *k)
{
    static struct pollfd polls[FIXED_POLLS + KEEPER_CONNECTIONS_MAX + KEEPER_PROCESSES_MAX];
    const int connections = k->connection_count;
    const int count = fill_polls(k, polls);
    if (poll(polls, (nfds_t)count, poll_timeout(k)) < 0)
        return; /* EINTR, ENOMEM: the next turn looks again */
    for (int i = FIXED_POLLS + connections; i < count; i++)
        if (polls[i].revents)
            adopted_ended(k, polls[i].fd);
    if (polls[1].revents)
        read_signals(k);
    for (int i = 0; i < connections; i++)
        connection_serve(k, &k->connections[i], polls[FIXED_POLLS + i].revents);
    connections_drop_closed(k);
    if (polls[0].revents)
        connection_accept(k);
    send_reports(k);
    processes_start_due(k);
    shutdown_step(k);
    vault_renew(k);
}

int main(int argc, char **argv)
{
    static struct keeper k = { .receiver = -1 };
    const struct options o = parse(argc, argv);
    char socket_path[4096];
    close_inherited(&o);
    k.notify = o.notify;
    k.program = argv[0];
    umask(077);
    raise_fd_limit();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    lock(open_runtime(o.runtime), o.runtime, o.lock);
    snprintf(socket_path, sizeof socket_path, "%s/keeper.sock", o.runtime);
    k.listener = listen_at(socket_path);
    if (k.listener < 0)
        fail(1, "cannot listen on", socket_path);
    const int log = open_log(o.log);
    k.signals = take_signals();
    start_sessiond(&k, &o);
    speak_into(log);
    if (chdir("/"))
        say("cannot leave the current directory: %s", strerror(errno));
    say("process %d serves %s", (int)getpid(), o.runtime);
    while (k.phase != ENDED)
        turn(&k);
    vault_end(&k);
    unlink(socket_path);
    say("ended");
    return 0;
}
