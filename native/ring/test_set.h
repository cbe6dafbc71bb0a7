/*
 * A ring set, a trace directory and what babeltrace2 says about it: the ground that ring tests stand on. The set's memory is
 * mapped read-write here, as an application has it.
 */
#ifndef WEFT_RING_TEST_SET_H
#define WEFT_RING_TEST_SET_H

#include <memory>
#include <string>
#include <vector>

#include "ring/reader_thread.h"
#include "ring/ring_reader.h"
#include "ring/test_writer.h"

namespace weft_test {

constexpr uint64_t kStart = 1000000000000; /* the tests' clock, ns */

class TestSet {
public:
    explicit TestSet(uint32_t subbuf_size = 4096, uint32_t subbuf_count = 4, weft_mode mode = WEFT_MODE_DISCARD, uint32_t cpus = 1)
        : TestSet(weft_geometry{cpus, subbuf_size, subbuf_count, static_cast<uint8_t>(mode), WEFT_SYNC_RSEQ, WEFT_ALLOCATION_PER_CPU, 0}, kStart) {}
    /* `start`: when the rings' time begins; 0: at the machine's now. */
    TestSet(const weft_geometry &geometry, uint64_t start);
    ~TestSet();
    TestSet(const TestSet &) = delete;

    weft::TestWriter &writer(uint32_t cpu = 0) { return writers_[cpu]; }
    weft::RingReader &reader(uint32_t cpu = 0) { return *readers_[cpu]; }
    /* Another reader on the same page, as after the death of the first. */
    weft::Cause new_reader(uint32_t cpu = 0) { return new_reader(cpu, directory_fd_, {}); }
    weft::Cause new_reader(uint32_t cpu, int directory, weft::FileLimits limits);
    uint64_t now() const { return clock_; }
    /* Emits one event, `step` ns after the last one. */
    bool emit(uint32_t extra = 0, uint64_t step = 100, uint32_t cpu = 0) { return writer(cpu).emit(clock_ += step, extra); }
    weft::Step take(weft::Cut cut = weft::Cut::kComplete, weft::Plan plan = weft::Plan::kAppend, uint32_t cpu = 0) {
        return reader(cpu).take(cut, plan, clock_);
    }
    /* Takes until nothing more is there. */
    weft::Step flush(weft::Plan plan = weft::Plan::kAppend, uint32_t cpu = 0);

    const weft_geometry &geometry() const { return geometry_; }
    uint8_t *memory() { return memory_; }
    weft_set_header *header() { return reinterpret_cast<weft_set_header *>(memory_); }
    weft_reader_page *page(uint32_t cpu = 0) { return pages_ + cpu; }
    const std::string &directory() const { return directory_; }
    std::string file(uint32_t cpu = 0) const { return directory_ + "/ch_" + std::to_string(cpu); }
    std::string index_file(uint32_t cpu = 0) const { return directory_ + "/index/ch_" + std::to_string(cpu) + ".idx"; }
    int ring_fd() const { return ring_fd_; }
    int reader_fd() const { return reader_fd_; }
    int directory_fd() const { return directory_fd_; }
    static weft::StreamIdentity identity(uint32_t cpu);
    /* For a thread that reads this set into its directory; the fds are the thread's once it has started. */
    weft::ReaderOptions reader_options() const;

private:
    weft_geometry geometry_;
    int ring_fd_ = -1, reader_fd_ = -1, directory_fd_ = -1;
    uint8_t *memory_ = nullptr;
    weft_reader_page *pages_ = nullptr;
    std::string directory_;
    weft::SetMap map_;
    std::vector<weft::TestWriter> writers_;
    std::vector<std::unique_ptr<weft::RingReader>> readers_;
    std::vector<uint8_t> scratch_;
    uint64_t clock_ = kStart;
};

struct ReadPacket {
    uint64_t begin, end, sequence, discarded;
    std::vector<uint32_t> numbers;
    std::vector<uint64_t> times; /* of the events */
};
template <typename T>
T take_little(const std::string &from, size_t *at);
/* Reads one event's payload at `at`, moves `at` behind it. */
using ReadPayload = void (*)(const std::string &data, size_t *at, ReadPacket *packet);
void read_number(const std::string &data, size_t *at, ReadPacket *packet); /* of TestWriter's events */
/* Decodes a data file and compares it with its index; stops the test program on nonsense. */
std::vector<ReadPacket> read_stream(const std::string &data_file, const std::string &index_file, uint32_t cpu,
                                    ReadPayload payload = read_number);
std::vector<ReadPacket> read_packets(const TestSet &set, uint32_t cpu = 0, ReadPayload payload = read_number);
/* The same of any data file NAME and index/NAME.idx; packet numbers go up from the first one's. */
std::vector<ReadPacket> read_packets(const std::string &directory, const std::string &name, uint32_t cpu, ReadPayload payload = read_number);
/* How TestWriter's events lie, as encodeLayout() says it. */
const std::vector<uint32_t> &number_layout();

struct Viewed {
    int status;
    uint64_t events;     /* lines of events */
    uint64_t discarded;  /* sum over "Tracer discarded N events" */
    std::string strange; /* any other word on stderr */
};
Viewed babeltrace(const std::string &directory);
/* The trace's metadata file, for events with these fields (as text). */
void write_metadata(const std::string &directory, const std::string &fields);

[[noreturn]] void give_up(const std::string &why);
std::string read_file(const std::string &path);
void remove_tree(const std::string &path);

template <typename T>
T take_little(const std::string &from, size_t *at) {
    T value = 0;
    if (*at + sizeof(T) > from.size())
        give_up("file ends inside a packet");
    std::memcpy(&value, from.data() + *at, sizeof(T));
    *at += sizeof(T);
    return value;
}

}  // namespace weft_test

#endif
