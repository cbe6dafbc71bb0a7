/* printf-style events under LTTng-UST's names; see <weft/tracef.h>. */
#ifndef WEFT_COMPAT_TRACEF_H
#define WEFT_COMPAT_TRACEF_H
#pragma GCC system_header

#include <lttng/weft-settings.h>
#include <weft/tracef.h>

#define lttng_ust_tracef weft_tracef
#define lttng_ust_vtracef weft_vtracef
#if LTTNG_UST_COMPAT_API(0)
#define tracef weft_tracef
#endif

#endif
