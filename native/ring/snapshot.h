/*
 * A copy of what the rings of a set hold: from the oldest whole sub-buffer up to where the writers stood when it began, the partly
 * filled sub-buffer included. Nothing is consumed and nobody is stopped, so it works beside the set's reader, whatever its plan.
 *
 * A stream of a snapshot has no gap. Where a writer that runs round its ring overwrites what was being copied, the copy of that
 * ring begins anew, further on.
 */
#ifndef WEFT_RING_SNAPSHOT_H
#define WEFT_RING_SNAPSHOT_H

#include "ring/ring_reader.h"

namespace weft {

struct SnapshotOptions {
    std::string directory; /* exists; files PREFIX_CPU and index/PREFIX_CPU.idx are made in it */
    std::string file_prefix;
    uint8_t uuid[16] = {};
    uint32_t stream_class_id = 0;
    uint64_t stream_instance_base = 0;
    uint64_t max_stream_bytes = 0; /* the newest packets that fit; 0: all */
    /* Only what the set's reader has not taken: the files go on where its own end. Of a ring that nobody writes any more. */
    bool unread = false;
};

struct SnapshotResult {
    uint64_t packets = 0;
    uint64_t bytes = 0;
    uint64_t events = 0;
    uint64_t begin = 0; /* of the oldest packet, ns; 0 without packets */
    uint64_t end = 0;   /* of the newest event, ns */
    uint64_t refused = 0; /* rings whose memory is no ring: of them only what was checked is in the files */
};

/* Where the rings of a set stand, all at one time. */
struct RingTarget {
    bool used = false;
    bool refused = false;
    Target end;
};
std::vector<RingTarget> snapshot_targets(const SetMap &set);

/* EMSGSIZE: the newest packet of a stream is larger than max_stream_bytes. EAGAIN: a writer was faster than every attempt. */
Failure take_snapshot(const SetMap &set, int ring_fd, const std::vector<RingTarget> &targets, const SnapshotOptions &options,
                      SnapshotResult *result);

}  // namespace weft

#endif
