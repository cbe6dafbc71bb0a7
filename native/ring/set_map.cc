#include "ring/set_map.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "ring/format.h"
#include "ring/shared.h"

namespace weft {

namespace {

Failure map(int fd, uint64_t bytes, int protection, uint8_t **address) {
    void *mapped = mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return failure(errno, "mapping " + std::to_string(bytes) + " bytes");
    *address = static_cast<uint8_t *>(mapped);
    return {};
}

}  // namespace

Failure check_memory(int fd, uint64_t bytes, const char *what) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return failure(errno, what);
    if (!S_ISREG(status.st_mode))
        return {EINVAL, std::string(what) + ": no memory file"};
    if (static_cast<uint64_t>(status.st_size) != bytes)
        return {EINVAL, std::string(what) + ": " + std::to_string(status.st_size) + " bytes instead of " + std::to_string(bytes)};
    if (const int bad = weft_memory_check(fd, bytes))
        return {-bad, std::string(what) + ": neither sealed nor a file of this user alone"};
    return {};
}

Failure SetMap::open(const weft_geometry &geometry, int ring_fd, int reader_fd, const uint8_t *ring_id, bool writable_reader) {
    if (weft_geometry_check(&geometry) != 0)
        return {EINVAL, "geometry: sizes must be powers of two within the limits"};
    geometry_ = geometry;
    const uint64_t ring_bytes = weft_ring_memory_bytes(&geometry_);
    const uint64_t reader_bytes = weft_reader_memory_bytes(&geometry_);
    if (Failure bad = check_memory(ring_fd, ring_bytes, "ring memory"))
        return bad;
    if (Failure bad = check_memory(reader_fd, reader_bytes, "reader memory"))
        return bad;
    if (Failure bad = map(ring_fd, ring_bytes, PROT_READ, &ring_))
        return bad;
    if (Failure bad = map(reader_fd, reader_bytes, writable_reader ? PROT_READ | PROT_WRITE : PROT_READ, &reader_))
        return bad;
    if (load(&header()->magic) != WEFT_RING_MAGIC || load(&header()->abi) != WEFT_RING_ABI)
        return {EINVAL, "ring memory: no ring set of this version"};
    for (int i = 0; ring_id != nullptr && i < 16; i++)
        if (load(&header()->ring_id[i]) != ring_id[i])
            return {EINVAL, "ring memory: another ring set than expected"};
    return {};
}

SetMap::~SetMap() {
    if (ring_ != nullptr)
        munmap(ring_, weft_ring_memory_bytes(&geometry_));
    if (reader_ != nullptr)
        munmap(reader_, weft_reader_memory_bytes(&geometry_));
}

}  // namespace weft
