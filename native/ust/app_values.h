/* Application contexts in a record: behind the other contexts, each a tag and the value that it names. */
#ifndef WEFT_UST_APP_VALUES_H
#define WEFT_UST_APP_VALUES_H

#include <stddef.h>

#include "ust/channel.h"

#define WEFT_APP_TEXT_MAX 255u                    /* bytes of a text; the rest is cut off */
#define WEFT_APP_VALUE_MAX (1u + WEFT_APP_TEXT_MAX + 1u) /* tag, text, NUL */

/* What the tag says (native/ring/record_walk.h knows the sizes). */
enum weft_app_tag {
    WEFT_APP_NONE = 0,
    WEFT_APP_INT8 = 1,
    WEFT_APP_INT16 = 2,
    WEFT_APP_INT32 = 3,
    WEFT_APP_INT64 = 4,
    WEFT_APP_FLOAT = 5,
    WEFT_APP_DOUBLE = 6,
    WEFT_APP_STRING = 7,
    WEFT_APP_UINT8 = 8,
    WEFT_APP_UINT16 = 9,
    WEFT_APP_UINT32 = 10,
    WEFT_APP_UINT64 = 11,
};

/* Writes the present values of the channel's application contexts; at most WEFT_APP_VALUE_MAX bytes each. Returns their end.
 * Async-signal-safe. */
char *weft_app_values_write(const struct weft_channel *c, char *target);

#endif
