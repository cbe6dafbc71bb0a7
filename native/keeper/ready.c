/*
 * Telling whoever started the keeper: systemd by its socket (sd_notify's protocol), the command line by a pipe. The watchdog's word
 * comes from the keeper's loop: what the keeper starts it watches itself.
 */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void tell_systemd(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract name space */
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        say("cannot tell %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

void tell_ready(struct keeper *k)
{
    static bool told;
    if (told)
        return;
    told = true;
    tell_systemd("READY=1");
    if (k->notify < 0)
        return;
    if (write(k->notify, "ready\n", 6) < 0)
        say("nobody waits for us any more: %s", strerror(errno));
    close(k->notify);
    k->notify = -1;
}

void tell_stopping(void)
{
    tell_systemd("STOPPING=1");
}

/* Half of what systemd grants (sd_watchdog_enabled(3)); 0: it does not watch this process. */
static int64_t watchdog_period_ms(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    const char *usec = getenv("WATCHDOG_USEC");
    if (!usec || (pid && atoll(pid) != getpid()))
        return 0;
    const long long granted = atoll(usec);
    return granted <= 0 ? 0 : granted < 2000 ? 1 : (int64_t)(granted / 2000);
}

int64_t watchdog_step(struct keeper *k)
{
    const int64_t period = watchdog_period_ms();
    const int64_t now = now_ms();
    if (period == 0)
        return INT64_MAX;
    if (now >= k->watchdog_due_ms) {
        tell_systemd("WATCHDOG=1");
        k->watchdog_due_ms = now + period;
    }
    return k->watchdog_due_ms;
}
