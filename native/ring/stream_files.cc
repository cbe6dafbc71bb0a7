#include "ring/stream_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace weft {

namespace {

constexpr size_t kVectorMax = 1024; /* IOV_MAX */

Failure cut_file(int fd, uint64_t bytes, const std::string &name) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return failure(errno, name);
    if (static_cast<uint64_t>(status.st_size) < bytes)
        return {ESTALE, name + ": " + std::to_string(status.st_size) + " bytes, but " + std::to_string(bytes) + " were written"};
    if (static_cast<uint64_t>(status.st_size) > bytes && ftruncate(fd, static_cast<off_t>(bytes)) != 0)
        return failure(errno, name);
    return {};
}

/*
 * Channels whose files could meet are refused before they record. Should two do so all the same (those of an older daemon), the second
 * one must not cut off what the first one wrote. What other traces left under that name goes, as ever.
 */
Failure check_owner(int fd, const StreamIdentity &stream, const std::string &name) {
    uint8_t ours[kStreamHeadBytes], head[kStreamHeadBytes];
    encode_stream_head(stream, ours);
    const ssize_t got = pread(fd, head, sizeof head, 0);
    if (got < 0)
        return failure(errno, name);
    const size_t trace = sizeof(uint32_t) + sizeof stream.uuid;
    if (static_cast<size_t>(got) < sizeof head || std::memcmp(head, ours, trace) != 0 || std::memcmp(head, ours, sizeof head) == 0)
        return {};
    return {EEXIST, name + ": another stream of this trace writes this file (channel names that make one file name)"};
}

/* What is written to a file without a name is gone with the process, and nobody would know. */
bool was_removed(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

/* 0, or an errno value. A file that takes nothing more without an error counts as full. */
int write_all(int fd, uint64_t at, iovec *vector, size_t count) {
    while (count > 0) {
        const ssize_t wrote = pwritev(fd, vector, static_cast<int>(std::min(count, kVectorMax)), static_cast<off_t>(at));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? errno : ENOSPC;
        at += static_cast<uint64_t>(wrote);
        size_t left = static_cast<size_t>(wrote);
        for (; count > 0 && left >= vector->iov_len; vector++, count--)
            left -= vector->iov_len;
        if (count > 0) {
            vector->iov_base = static_cast<uint8_t *>(vector->iov_base) + left;
            vector->iov_len -= left;
        }
    }
    return 0;
}

}  // namespace

StreamFiles::StreamFiles(StreamFiles &&other) noexcept { *this = std::move(other); }

StreamFiles &StreamFiles::operator=(StreamFiles &&other) noexcept {
    close();
    directory_ = other.directory_;
    name_ = std::move(other.name_);
    limits_ = other.limits_;
    open_name_ = std::move(other.open_name_);
    data_ = std::exchange(other.data_, -1);
    index_ = std::exchange(other.index_, -1);
    cut_ = other.cut_;
    return *this;
}

std::string stream_name(const std::string &prefix, const weft_geometry &geometry, uint32_t cpu) {
    return geometry.allocation == WEFT_ALLOCATION_PER_CHANNEL ? prefix : prefix + "_" + std::to_string(cpu);
}

StreamFiles::~StreamFiles() { close(); }

void StreamFiles::close() {
    for (int *fd : {&data_, &index_})
        if (*fd >= 0)
            ::close(std::exchange(*fd, -1));
}

std::string StreamFiles::file_name(uint64_t number) const {
    return limits_.size == 0 ? name_ : name_ + "_" + std::to_string(limits_.count == 0 ? number : number % limits_.count);
}

Failure StreamFiles::open(const StreamIdentity &stream, uint64_t number, uint64_t data_bytes, uint64_t index_bytes) {
    const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    open_name_ = file_name(number);
    if (data_ < 0)
        data_ = openat(directory_, open_name_.c_str(), flags, 0660);
    if (data_ < 0)
        return failure(errno, open_name_);
    if (Failure bad = check_owner(data_, stream, open_name_)) {
        ::close(std::exchange(data_, -1));
        return bad;
    }
    if (mkdirat(directory_, "index", 0770) != 0 && errno != EEXIST)
        return failure(errno, "index");
    const std::string index_name = "index/" + open_name_ + ".idx";
    const int index = openat(directory_, index_name.c_str(), flags, 0660);
    if (index < 0)
        return failure(errno, index_name);
    index_ = index;
    if (Failure bad = cut(data_bytes, index_bytes)) {
        ::close(std::exchange(index_, -1));
        return bad;
    }
    return {};
}

Failure StreamFiles::remove_further(uint64_t number) {
    close();
    const uint64_t last = limits_.size == 0 ? 0 : limits_.count == 0 ? number : std::min(number, limits_.count - 1);
    for (uint64_t i = 1; i <= last; i++) {
        const std::string name = file_name(i);
        for (const std::string &path : {name, "index/" + name + ".idx"})
            if (unlinkat(directory_, path.c_str(), 0) != 0 && errno != ENOENT)
                return failure(errno, path);
    }
    return {};
}

Failure StreamFiles::cut(uint64_t data_bytes, uint64_t index_bytes) {
    cut_ = false;
    if (Failure bad = cut_file(data_, data_bytes, open_name_))
        return bad;
    if (Failure bad = cut_file(index_, index_bytes, open_name_ + ".idx"))
        return bad;
    cut_ = true;
    return {};
}

Failure StreamFiles::write(uint64_t data_at, std::vector<iovec> &data, uint64_t index_at, const uint8_t *index,
                           size_t index_bytes) {
    if (!cut_)
        if (Failure bad = cut(data_at, index_at))
            return bad;
    if (was_removed(data_))
        return {ENOENT, name_ + ": the file was removed"};
    iovec entries{const_cast<uint8_t *>(index), index_bytes};
    int error = write_all(data_, data_at, data.data(), data.size());
    if (error == 0)
        error = write_all(index_, index_at, &entries, 1);
    if (error == 0)
        return {};
    cut(data_at, index_at); /* a viewer must not see half a packet; if this fails too, it is tried before the next write */
    return failure(error, open_name_);
}

}  // namespace weft
