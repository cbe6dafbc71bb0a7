/*
 * A ring set in this process's memory: ring memory read-only, reader memory read-write. Nothing is mapped before the fds are
 * known to be sealed memfds of exactly the size that the geometry asks for, so no later truncation can turn a load into SIGBUS;
 * or files of this very user, who alone could do that to himself.
 */
#ifndef WEFT_RING_SET_MAP_H
#define WEFT_RING_SET_MAP_H

#include <cstddef>

#include "ring/failure.h"
#include "ring/layout.h"

namespace weft {

/* weft_memory_check() in words. */
Failure check_memory(int fd, uint64_t bytes, const char *what);

class SetMap {
public:
    SetMap() = default;
    ~SetMap();
    SetMap(const SetMap &) = delete;
    SetMap &operator=(const SetMap &) = delete;

    /* `ring_id` (16 bytes) may be null: not checked. `writable_reader` false maps the reader pages read-only. */
    Failure open(const weft_geometry &geometry, int ring_fd, int reader_fd, const uint8_t *ring_id, bool writable_reader);

    const weft_geometry &geometry() const { return geometry_; }
    const weft_set_header *header() const { return reinterpret_cast<const weft_set_header *>(ring_); }
    const weft_ring *ring(uint32_t cpu) const {
        return reinterpret_cast<const weft_ring *>(ring_ + weft_control_offset(&geometry_, cpu));
    }
    const uint8_t *data(uint32_t cpu) const { return ring_ + weft_data_offset(&geometry_, cpu); }
    weft_reader_page *page(uint32_t cpu) const { return reinterpret_cast<weft_reader_page *>(reader_) + cpu; }

private:
    weft_geometry geometry_{};
    uint8_t *ring_ = nullptr;
    uint8_t *reader_ = nullptr;
};

}  // namespace weft

#endif
