/* The program and the libraries that this process has loaded, as a reader needs them to find functions by their addresses. */
#ifndef WEFT_UST_OBJECTS_H
#define WEFT_UST_OBJECTS_H

#include <stdint.h>

#define WEFT_BUILD_ID_MAX 64u
#define WEFT_DEBUG_LINK_MAX 256u

struct weft_object {
    uint64_t base;         /* its lowest address */
    uint64_t bytes;        /* from there to its highest; 0: in no file that could be looked into */
    uint8_t relocated;     /* it lies elsewhere than it was linked for */
    uint8_t has_debug_link;
    uint32_t build_id_bytes; /* 0: it has none */
    uint8_t build_id[WEFT_BUILD_ID_MAX];
    uint32_t debug_crc;
    char debug_link[WEFT_DEBUG_LINK_MAX];
    struct weft_object *next;
    char path[]; /* absolute where there is a file, else [NAME] */
};

/*
 * All of them, the program first; NULL without memory. Takes only the lock that the loader holds while it changes its list, which no
 * constructor runs under.
 */
struct weft_object *weft_objects_list(void);
/* Reads what only its file says: the name of the file with its symbols. */
void weft_object_read_file(struct weft_object *object);
void weft_objects_free(struct weft_object *list);

#endif
