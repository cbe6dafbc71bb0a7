#define _GNU_SOURCE
#include "ust/held_fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Programs expect their own files under small numbers; shells redirect them by hand. */
#define FD_FLOOR 200

static int raise_fd(int fd)
{
    const int raised = fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);
    if (raised < 0)
        return fd;
    close(fd);
    return raised;
}

struct weft_held_fd weft_held_fd_take(int fd)
{
    struct weft_held_fd held = { -1, 0, 0 };
    struct stat st;
    if (fd < 0)
        return held;
    fd = raise_fd(fd);
    if (fstat(fd, &st) != 0) {
        close(fd);
        return held;
    }
    held = (struct weft_held_fd){ fd, st.st_dev, st.st_ino };
    return held;
}

int weft_held_fd_intact(const struct weft_held_fd *held)
{
    struct stat st;
    return held->fd >= 0 && fstat(held->fd, &st) == 0 && st.st_dev == held->device && st.st_ino == held->inode;
}

void weft_held_fd_close(struct weft_held_fd *held)
{
    if (weft_held_fd_intact(held))
        close(held->fd);
    held->fd = -1;
}
