/* The providers that the library itself brings: lttng_ust_tracef and lttng_ust_tracelog, under the names that readers know. */
#ifndef WEFT_UST_BUILTIN_H
#define WEFT_UST_BUILTIN_H

#include "weft/abi.h"

#define WEFT_LOGLEVELS 15

extern struct weft_point weft_tracef_point;
extern struct weft_point *const weft_tracelog_points[WEFT_LOGLEVELS];

/* Registers both providers and their points; registry locked. */
void weft_builtin_register(void);

void weft_vtracef(void *ip, const char *format, __builtin_va_list arguments);
void weft_vtracelog(int level, void *ip, const char *file, int line, const char *function, const char *format,
                    __builtin_va_list arguments);

#endif
