/* What the program loads and unloads while it runs (lttng_ust_lib), found by comparing lists. With the registry's lock held. */
#ifndef WEFT_UST_LIBRARIES_H
#define WEFT_UST_LIBRARIES_H

/* weft_library.objects_change: see abi.h. */
void weft_libraries_change(int changed);

#endif
