/* libweft's record path as tests and benches of the reader drive it: a channel without any daemon. */
#ifndef WEFT_RING_LIBWEFT_WRITER_H
#define WEFT_RING_LIBWEFT_WRITER_H

#include "ring/layout.h"

#ifdef __cplusplus
extern "C" {
#endif

struct libweft_writer;

/* Maps the set for this process and its children; NULL when libweft refuses it. Never freed: a late thread may still look. */
struct libweft_writer *libweft_writer_open(const struct weft_geometry *geometry, int ring_fd, int reader_fd,
                                           const struct weft_clock_page *clock, uint32_t application);
/* Records {i32 thread, u64 number}: the two integers of the comparison. */
void libweft_writer_record(struct libweft_writer *writer, int32_t thread, uint64_t number);
/* Records {i32 thread, u64 number, u32 length, length bytes}. */
void libweft_writer_record_long(struct libweft_writer *writer, int32_t thread, uint64_t number, uint32_t length);

#ifdef __cplusplus
}
#endif
#endif
