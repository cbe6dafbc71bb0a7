#define _GNU_SOURCE
#include "ust/wait_page.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096

uint32_t *weft_wait_page_open(uid_t uid)
{
    char path[64];
    snprintf(path, sizeof(path), "/dev/shm/weft-wait-%u", (unsigned)uid);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return NULL;
    struct stat st;
    void *page = MAP_FAILED;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == uid &&
        (st.st_size == PAGE_BYTES || (st.st_size == 0 && ftruncate(fd, PAGE_BYTES) == 0)))
        page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return page == MAP_FAILED ? NULL : page;
}

void weft_wait_page_close(uint32_t *word)
{
    if (word)
        munmap(word, PAGE_BYTES);
}

void weft_wait_page_sleep(uint32_t *word, uint32_t seen, int milliseconds)
{
    const struct timespec limit = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0);
}
