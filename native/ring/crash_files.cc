#include "ring/crash_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ring/format.h"

namespace weft {

namespace {

class Copy {
public:
    ~Copy() {
        if (fd_ >= 0)
            close(fd_);
    }
    int fd() const { return fd_; }

    /* The first `used` bytes of a file that has to have `bytes`, sealed. */
    Failure take(int from, uint64_t bytes, uint64_t used, const char *what) {
        struct stat status;
        if (fstat(from, &status) != 0)
            return failure(errno, what);
        if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != bytes)
            return {EINVAL, std::string(what) + ": " + std::to_string(status.st_size) + " bytes instead of " + std::to_string(bytes)};
        fd_ = memfd_create("weft-crash", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(bytes)) != 0)
            return failure(errno, what);
        for (uint64_t at = 0; at < used;)
            if (Failure bad = piece(from, &at, used, what))
                return bad;
        return fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 ? Failure{} : failure(errno, what);
    }

private:
    Failure piece(int from, uint64_t *at, uint64_t used, const char *what) const {
        uint8_t buffer[65536];
        const ssize_t got = pread(from, buffer, std::min<uint64_t>(sizeof buffer, used - *at), static_cast<off_t>(*at));
        if (got <= 0)
            return failure(got < 0 ? errno : EIO, what);
        if (pwrite(fd_, buffer, static_cast<size_t>(got), static_cast<off_t>(*at)) != got)
            return failure(ENOMEM, what);
        *at += static_cast<uint64_t>(got);
        return {};
    }

    int fd_ = -1;
};

}  // namespace

Failure extract_rings(const weft_geometry &geometry, const uint8_t ring_id[16], int ring_fd, int reader_fd,
                      const SnapshotOptions &options, SnapshotResult *result) {
    if (weft_geometry_check(&geometry) != 0)
        return {EINVAL, "geometry: sizes must be powers of two within the limits"};
    Copy ring, reader;
    if (Failure bad = ring.take(ring_fd, weft_ring_memory_bytes(&geometry), weft_data_offset(&geometry, 0), "ring memory"))
        return bad;
    const uint64_t pages = weft_reader_memory_bytes(&geometry);
    if (Failure bad = reader.take(reader_fd, pages, pages, "reader memory"))
        return bad;
    SetMap map;
    if (Failure bad = map.open(geometry, ring.fd(), reader.fd(), ring_id, false))
        return bad;
    return take_snapshot(map, ring_fd, snapshot_targets(map), options, result);
}

}  // namespace weft
