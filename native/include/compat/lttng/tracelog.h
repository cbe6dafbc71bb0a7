/* printf-style events with a log level under LTTng-UST's names; see <weft/tracef.h>. */
#ifndef WEFT_COMPAT_TRACELOG_H
#define WEFT_COMPAT_TRACELOG_H
#pragma GCC system_header

#include <lttng/tracepoint.h>
#include <weft/tracef.h>

#define lttng_ust_tracelog weft_tracelog
#define lttng_ust_vtracelog weft_vtracelog
#if LTTNG_UST_COMPAT_API(0)
#define tracelog weft_tracelog
#endif

#endif
