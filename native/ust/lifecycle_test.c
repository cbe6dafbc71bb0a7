/* What programs and daemons do to libweft in their lives: daemons die and come back, programs fork, close all descriptors, change
 * their user; daemons that must not be trusted. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ust/test_trace.h"

#define NOBODY 65534

static struct test_daemon d;
static struct test_app a;
static struct seam s;

static void daemon_comes_later(void)
{
    daemon_home(&d);
    app_start(&a, &d, trace_environment());
    app_do(&a, APP_REGISTER, 0);
    daemon_start(&d);
    CHECK(daemon_register(&d));
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    daemon_synced(&d);
    app_do(&a, APP_EMIT, 10);
    CHECK_EQUAL(trace_tally(&s).total, 10);
    seam_close(&s);
    trace_end(&d, &a);
}

/* Recording goes on while the daemon is dead, and is not disturbed by the next one that takes it over. */
static void daemon_dies(void)
{
    struct seam forgotten;
    trace_begin(&d, &a);
    trace_open(&s);
    trace_open(&forgotten);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    CHECK_EQUAL(trace_record(&d, &forgotten, 2, "app:tick", 2), 0);
    trace_release(&d, &a);
    daemon_die(&d);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(trace_tally(&s).total, 100);
    daemon_start(&d);
    CHECK(daemon_register(&d));
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(trace_tally(&s).total, 200);
    /* The same ring under another handle: the program keeps its mapping, so events go on without a gap. */
    CHECK_EQUAL(trace_attach(&d, &s, 31, 1), 0);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(daemon_enable(&d, 31, daemon_point(&d, "app:tick"), 1), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 31), 0);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_START, 1), ENOENT);
    app_do(&a, APP_EMIT, 100);
    struct tally t = trace_tally(&s);
    CHECK(!t.wrong && t.total == 400 && t.by_id[1] == 400);
    /* One that is late drops nothing: the program records on. */
    daemon_late(&d);
    CHECK_EQUAL(daemon_enable(&d, 31, daemon_point(&d, "app:tick"), 1), 0);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(trace_tally(&forgotten).total, 500);
    /* What the new daemon does not know of by the time of a complete SYNCED ends. */
    daemon_synced(&d);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 31), 0);
    const uint64_t at_end = trace_tally(&forgotten).total;
    CHECK_EQUAL(at_end, 500);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(trace_tally(&forgotten).total, at_end);
    CHECK_EQUAL(trace_tally(&s).total, 500);
    seam_close(&forgotten);
    seam_close(&s);
    trace_end(&d, &a);
}

static void forks(void)
{
    uint64_t status = 1;
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    trace_release(&d, &a);
    const int parent = d.fd;
    d.fd = -1;
    app_order(&a, APP_FORK, 50);
    CHECK(daemon_register(&d));
    CHECK(d.pid != (uint32_t)a.pid);
    /* The child has nothing of the parent's; it gets the same ring anew, with another event id. */
    CHECK_EQUAL(trace_record(&d, &s, 5, "app:tick", 3), 0);
    daemon_synced(&d);
    CHECK(app_answered(&a, PATIENCE_MS, &status));
    CHECK_EQUAL(status, 0);
    close(d.fd);
    d.fd = parent;
    app_do(&a, APP_EMIT, 20);
    CHECK_EQUAL(trace_tally(&s).by_id[3], 50);
    CHECK_EQUAL(trace_tally(&s).by_thread[100], 50);
    CHECK_EQUAL(trace_tally(&s).by_id[1], 20);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    seam_close(&s);
    trace_end(&d, &a);
}

/* A child that no daemon switches on records nothing into its parent's rings. */
static void fork_is_silent(void)
{
    uint64_t status = 1;
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    trace_release(&d, &a);
    app_order(&a, APP_FORK, 50);
    CHECK(daemon_register(&d));
    daemon_synced(&d);
    CHECK(app_answered(&a, PATIENCE_MS, &status));
    CHECK_EQUAL(trace_tally(&s).total, 0);
    seam_close(&s);
    trace_end(&d, &a);
}

/* Like a daemon at its start. Our numbers are the program's files afterwards, and not one of them may be touched. */
static void closes_descriptors(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    trace_release(&d, &a);
    CHECK_EQUAL(app_do(&a, APP_CLOSE_FDS, 0), 0);
    app_do(&a, APP_EMIT, 100000); /* several sub-buffers: recording needs no descriptor */
    app_order(&a, APP_REGISTER_LATE, 0);
    CHECK(daemon_register(&d));
    while (!daemon_point(&d, "app:late") && daemon_until_ready(&d))
        ;
    CHECK(daemon_point(&d, "app:late") && daemon_point(&d, "app:tick"));
    CHECK_EQUAL(trace_attach(&d, &s, 1, 1), 0);
    trace_release(&d, &a);
    CHECK_EQUAL(daemon_simple(&d, WEFT_WIRE_STOP, 1), 0);
    CHECK_EQUAL(trace_committed(&s), 100000);
    CHECK_EQUAL(app_do(&a, APP_FILES_TOUCHED, 0), 0);
    seam_close(&s);
    trace_end(&d, &a);
}

/* A program that gave up root's rights registers as who it is now, and has root's rings no longer. */
static void changes_user(void)
{
    if (getuid() != 0) {
        printf("# SKIP not root\n");
        return;
    }
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    trace_release(&d, &a);
    CHECK_EQUAL(d.uid, 0);
    CHECK_EQUAL(app_do(&a, APP_SETUID, NOBODY), 0);
    app_do(&a, APP_EMIT, 5000); /* at a sub-buffer's end it is noticed at the latest */
    CHECK(daemon_register(&d));
    CHECK_EQUAL(d.uid, NOBODY);
    daemon_synced(&d);
    const uint64_t before = trace_committed(&s);
    app_do(&a, APP_EMIT, 100);
    CHECK_EQUAL(trace_committed(&s), before);
    seam_close(&s);
    trace_end(&d, &a);
}

static int registers_within(int ms)
{
    app_start(&a, &d, "WEFT_REGISTER_TIMEOUT=200");
    app_do(&a, APP_REGISTER, 0);
    const int came = daemon_accept(&d, ms);
    CHECK(app_end(&a));
    return came;
}

static void distrusts_directories(void)
{
    char run[96];
    if (getuid() != 0) {
        printf("# SKIP not root\n");
        return;
    }
    daemon_home(&d);
    snprintf(run, sizeof(run), "%s/run", d.home);
    daemon_start(&d);
    CHECK(registers_within(PATIENCE_MS));
    CHECK_EQUAL(chown(run, NOBODY, NOBODY), 0);
    CHECK(!registers_within(300));
    CHECK_EQUAL(chown(run, 0, 0), 0);
    CHECK_EQUAL(chmod(run, 0777), 0);
    CHECK(!registers_within(300));
    daemon_clean_up(&d);
}

/* Another user's daemon on this home: 1 if an application said HELLO to it. */
static int hello_as_nobody(int ready)
{
    if (setgid(NOBODY) || setuid(NOBODY))
        return 2;
    daemon_start(&d);
    if (write(ready, "", 1) != 1)
        return 3;
    return daemon_accept(&d, 500);
}

/* The directory is root's, its group may write there, and the socket is an impostor's. */
static void distrusts_peers(void)
{
    char run[96], byte;
    int ready[2], status = -1;
    if (getuid() != 0) {
        printf("# SKIP not root\n");
        return;
    }
    daemon_home(&d);
    snprintf(run, sizeof(run), "%s/run", d.home);
    CHECK_EQUAL(chown(run, 0, NOBODY), 0);
    CHECK_EQUAL(chmod(run, 0775), 0);
    CHECK_EQUAL(pipe(ready), 0);
    const pid_t impostor = fork();
    if (impostor == 0)
        _exit(hello_as_nobody(ready[1]));
    CHECK_EQUAL(read(ready[0], &byte, 1), 1);
    app_start(&a, &d, "WEFT_REGISTER_TIMEOUT=3000"); /* it does not wait for such a one either way */
    app_do(&a, APP_REGISTER, 0);
    waitpid(impostor, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(app_end(&a));
    close(ready[0]);
    close(ready[1]);
    daemon_clean_up(&d);
}

/* Whoever comes after an object's destructor may still trace: nothing is withdrawn from a process that ends. */
static void traces_at_exit(void)
{
    trace_begin(&d, &a);
    trace_open(&s);
    CHECK_EQUAL(trace_record(&d, &s, 1, "app:tick", 1), 0);
    trace_release(&d, &a);
    app_do(&a, APP_EMIT_AT_EXIT, 30);
    CHECK(app_end(&a));
    const struct tally t = trace_tally(&s);
    CHECK(!t.wrong && t.by_thread[0] == 30 && t.by_thread[1] == 30);
    seam_close(&s);
    daemon_clean_up(&d);
}

/* A library must not disturb programs that look at their children, environment or descriptors: few, high and close-on-exec. */
static void keeps_out_of_the_way(void)
{
    char path[64];
    struct stat st;
    trace_begin(&d, &a);
    trace_release(&d, &a);
    for (int fd = 3; fd < 200; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)a.pid, fd);
        CHECK(lstat(path, &st) != 0);
    }
    trace_end(&d, &a);
}

static void cases(void)
{
    seam_case("a program that is older than its daemon registers when one appears", daemon_comes_later);
    seam_case("recording outlives the daemon; the next one takes it over without a gap", daemon_dies);
    seam_case("a forked child is a program of its own", forks);
    seam_case("a forked child records nothing unless told to", fork_is_silent);
    seam_case("a program may close all descriptors: it stays traced, and its own files stay untouched", closes_descriptors);
    seam_case("a program that changes its user registers anew and leaves the old user's rings", changes_user);
    seam_case("a runtime directory of another user, or open to all, is not used", distrusts_directories);
    seam_case("a daemon that runs as another user is not talked to", distrusts_peers);
    seam_case("events after main() and after the destructors are recorded", traces_at_exit);
    seam_case("libweft's descriptors are out of the program's way", keeps_out_of_the_way);
}

int main(void)
{
    return trace_run(cases);
}
