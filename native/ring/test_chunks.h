/* Chunk directories for tests beside a TestSet, and a rotation in the steps that the reader thread makes. */
#ifndef WEFT_RING_TEST_CHUNKS_H
#define WEFT_RING_TEST_CHUNKS_H

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "ring/test_cases.h"
#include "ring/test_set.h"

namespace weft_test {

constexpr uint64_t kForever = weft::Gather::kForever;

class Chunks {
public:
    static constexpr unsigned kMost = 6;

    explicit Chunks(TestSet &set) : set_(set) {
        for (unsigned i = 0; i < kMost; i++) {
            std::filesystem::create_directories(directory(i) + "/index");
            std::filesystem::copy_file(set.directory() + "/metadata", directory(i) + "/metadata");
            fds_[i] = open(directory(i).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        const std::vector<uint32_t> &words = number_layout();
        CHECK(layout_.parse(reinterpret_cast<const uint8_t *>(words.data()), 4 * words.size()));
    }
    ~Chunks() {
        for (const int fd : fds_)
            close(fd);
    }
    Chunks(const Chunks &) = delete;

    std::string directory(unsigned i) const { return set_.directory() + "/chunk" + std::to_string(i); }
    int fd(unsigned i) const { return fds_[i]; }
    const weft::RecordLayout &layout() const { return layout_; }

    /* Readers whose page may name any chunk; new streams begin in `fresh`. */
    void open_readers(unsigned fresh) {
        for (uint32_t cpu = 0; cpu < set_.geometry().cpu_count; cpu++) {
            CHECK(set_.new_reader(cpu, fds_[fresh], {}) == weft::Cause::kNone);
            const weft_reader_state &state = set_.reader(cpu).state();
            if (state.packets == 0)
                set_.reader(cpu).begin_in(fresh, fds_[fresh]);
            else
                set_.reader(cpu).resume_in(fds_[state.chunk]);
        }
    }

    /* Everything up to the moment into the files that are open. */
    bool cut(uint32_t cpu, uint64_t at, weft::Plan plan) {
        weft::RingReader &reader = set_.reader(cpu);
        weft::Step step;
        do
            step = reader.take(weft::Cut::kPartial, plan, set_.now(), at);
        while (step.more);
        if (step.held)
            step = reader.cut(at, layout_, plan, set_.now());
        return step.cause == weft::Cause::kNone && !step.unwritten && !step.unknown && !step.more;
    }

    bool rotate(unsigned chunk, uint64_t at, weft::Plan plan = weft::Plan::kAppend) {
        const uint32_t cpus = set_.geometry().cpu_count;
        bool good = true;
        for (uint32_t cpu = 0; cpu < cpus; cpu++)
            good = good && (set_.reader(cpu).state().chunk == chunk || cut(cpu, at, plan));
        for (uint32_t cpu = 0; cpu < cpus; cpu++)
            good = good && (set_.reader(cpu).state().chunk == chunk || !set_.reader(cpu).prepare(fds_[chunk]));
        for (uint32_t cpu = 0; cpu < cpus && good; cpu++)
            if (set_.reader(cpu).state().chunk != chunk)
                set_.reader(cpu).enter(chunk);
        CHECK(good);
        return good;
    }

    std::vector<ReadPacket> packets(unsigned i, uint32_t cpu = 0) const {
        return read_packets(directory(i), "ch_" + std::to_string(cpu), cpu);
    }
    Viewed viewed(unsigned i) const { return babeltrace(directory(i)); }

private:
    TestSet &set_;
    int fds_[kMost];
    weft::RecordLayout layout_;
};

}  // namespace weft_test

#endif
