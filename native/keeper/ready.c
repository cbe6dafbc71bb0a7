/* Telling whoever started the keeper: systemd by its socket (sd_notify's protocol), the command line by a pipe. */
#define _GNU_SOURCE
#include "keeper/keeper.h"
#include <errno.h>
#include <stddef.h>
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
