/* Where session daemons are looked for: see docs/contracts.md. */
#ifndef WEFT_UST_DIRECTORIES_H
#define WEFT_UST_DIRECTORIES_H

#include <limits.h>
#include <sys/types.h>

struct weft_directories {
    int count; /* 1 or 2 */
    char path[2][PATH_MAX];
};

/* The runtime directories of root's and of `uid`'s daemon; of WEFT_HOME alone if that is set and the program is not setuid. */
struct weft_directories weft_directories_find(uid_t uid);

#endif
