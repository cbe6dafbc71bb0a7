/*
 * The two files of a stream: packets and index. They are complete up to the lengths in the reader state; what lies beyond was
 * written by a reader that died half-way, and is cut off before anything is appended.
 */
#ifndef WEFT_RING_STREAM_FILES_H
#define WEFT_RING_STREAM_FILES_H

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ring/failure.h"
#include "ring/layout.h"
#include "ring/packet.h"

namespace weft {

/* size 0: one file, NAME. Else NAME_0, NAME_1, ..., each of at most `size` bytes if its packets allow; after `count` of them (0: no
 * bound) the oldest is overwritten. */
struct FileLimits {
    uint64_t size = 0;
    uint64_t count = 0;
};

/* CHANNEL_CPU; CHANNEL when there is one ring for all CPUs. */
std::string stream_name(const std::string &prefix, const weft_geometry &geometry, uint32_t cpu);

class StreamFiles {
public:
    /* `directory` is borrowed; files are made below it on open(). */
    StreamFiles(int directory, std::string name, FileLimits limits = {})
        : directory_(directory), name_(std::move(name)), limits_(limits) {}
    /* Takes over open files (tests, fuzzing). */
    StreamFiles(int data, int index) : data_(data), index_(index), cut_(true) {}
    ~StreamFiles();
    StreamFiles(StreamFiles &&other) noexcept;
    StreamFiles &operator=(StreamFiles &&other) noexcept;

    bool is_open() const { return index_ >= 0; }
    int directory() const { return directory_; }
    const FileLimits &limits() const { return limits_; }
    /* The same stream's files in another directory. */
    StreamFiles in(int directory) const { return StreamFiles(directory, name_, limits_); }
    /* Opens or makes the files and cuts them to the given lengths; ESTALE: a file is shorter, so somebody else shortened it; EEXIST:
     * another stream of the trace that `stream` belongs to has written it, and it is left as it is.
     * `number`: of the trace file, counted without wrapping. */
    Failure open(const StreamIdentity &stream, uint64_t number, uint64_t data_bytes, uint64_t index_bytes);
    void close();
    /* Closes, and removes the trace files from the second one up to `number`. */
    Failure remove_further(uint64_t number);
    /*
     * Writes at the given offsets. After a failure nothing counts: the tail is cut off again, now or before the next write.
     * `data` is used up.
     */
    Failure write(uint64_t data_at, std::vector<iovec> &data, uint64_t index_at, const uint8_t *index, size_t index_bytes);

private:
    Failure cut(uint64_t data_bytes, uint64_t index_bytes);

    std::string file_name(uint64_t number) const;

    int directory_ = -1;
    std::string name_;
    FileLimits limits_;
    std::string open_name_; /* for messages */
    int data_ = -1;
    int index_ = -1;
    bool cut_ = false; /* nothing lies beyond the complete packets */
};

}  // namespace weft

#endif
