/* printf-style events under LTTng-UST's names; see <weft/tracef.h>. */
#ifndef WEFT_COMPAT_TRACEF_H
#define WEFT_COMPAT_TRACEF_H

#include <weft/tracef.h>

#define lttng_ust_tracef weft_tracef
#define lttng_ust_vtracef weft_vtracef
#define tracef weft_tracef
#define vtracef weft_vtracef

#endif
