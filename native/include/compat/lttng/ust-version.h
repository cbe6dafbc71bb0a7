/* The version of LTTng-UST whose macro interface these headers have. */
#ifndef WEFT_COMPAT_UST_VERSION_H
#define WEFT_COMPAT_UST_VERSION_H

#define LTTNG_UST_MAJOR_VERSION 2U
#define LTTNG_UST_MINOR_VERSION 13U
#define LTTNG_UST_PATCHLEVEL_VERSION 0U

#endif
