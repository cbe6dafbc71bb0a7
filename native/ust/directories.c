#define _GNU_SOURCE
#include "ust/directories.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void user_directory(char *path, uid_t uid)
{
    struct stat st;
    snprintf(path, PATH_MAX, "/run/user/%u", (unsigned)uid);
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid)
        snprintf(path, PATH_MAX, "/run/user/%u/weft", (unsigned)uid);
    else
        snprintf(path, PATH_MAX, "/tmp/weft-%u", (unsigned)uid);
}

struct weft_directories weft_directories_find(uid_t uid)
{
    struct weft_directories d = { 1, { "/run/weft", "" } };
    const char *home = secure_getenv("WEFT_HOME");
    if (home && home[0]) {
        snprintf(d.path[0], PATH_MAX, "%s/run", home);
        return d;
    }
    if (uid != 0) {
        d.count = 2;
        user_directory(d.path[1], uid);
    }
    return d;
}
