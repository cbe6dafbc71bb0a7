/* Diagnostics on stderr, with WEFT_UST_DEBUG=1 only: a traced program's output is not ours. */
#ifndef WEFT_UST_DEBUG_H
#define WEFT_UST_DEBUG_H

void weft_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
