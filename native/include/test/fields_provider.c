/* The probes and points of fields_provider.h: a file of its own, as LTTng-UST wants where tracef() is used too. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "fields_provider.h"
