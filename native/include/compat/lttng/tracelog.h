/* printf-style events with a log level under LTTng-UST's names; see <weft/tracef.h>. */
#ifndef WEFT_COMPAT_TRACELOG_H
#define WEFT_COMPAT_TRACELOG_H

#include <lttng/tracepoint.h>
#include <weft/tracef.h>

#define lttng_ust_tracelog weft_tracelog
#define lttng_ust_vtracelog weft_vtracelog
#define tracelog weft_tracelog
#define vtracelog weft_vtracelog

#endif
