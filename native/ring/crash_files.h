/*
 * A ring set that was left in two files: what it holds becomes a trace, without anybody who made or used it.
 *
 * The files may be anybody's and may change: control and reader pages are copied before they are looked at, and data is read through
 * the descriptor, so that no truncation turns a load into SIGBUS. What is written meanwhile makes a wrong copy, never a wrong access.
 */
#ifndef WEFT_RING_CRASH_FILES_H
#define WEFT_RING_CRASH_FILES_H

#include "ring/snapshot.h"

namespace weft {

/* `options.unread`: what the reader had not taken; else everything that is still whole. */
Failure extract_rings(const weft_geometry &geometry, const uint8_t ring_id[16], int ring_fd, int reader_fd,
                      const SnapshotOptions &options, SnapshotResult *result);

}  // namespace weft

#endif
