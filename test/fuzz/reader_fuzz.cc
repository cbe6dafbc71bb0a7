/*
 * libFuzzer against the ring reader. The input is a program: emit events, take, write anything anywhere into the ring's control page,
 * replace the reader; a part of it is spent between the reader's own loads, so memory also changes in the middle of a take.
 * Besides crashes, hangs and wild reads, each step must leave the books in order.
 *
 *   make -C native fuzz && native/build/fuzz/reader_fuzz -max_total_time=60
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ring/format.h"
#include "ring/ring_reader.h"
#include "ring/test_writer.h"

using namespace weft;

namespace {

constexpr uint64_t kStart = 1000000000000;

/* The input, eaten from the front by steps and from the back by changes between loads. */
struct Input {
    const uint8_t *front = nullptr, *back = nullptr;
    bool empty() const { return front >= back; }
    uint8_t byte() { return empty() ? 0 : *front++; }
    uint64_t word() {
        uint64_t value = 0;
        for (int i = 0; i < 8; i++)
            value |= static_cast<uint64_t>(byte()) << (8 * i);
        return value;
    }
    uint8_t last() { return empty() ? 0 : *--back; }
};

Input input;
uint64_t *attacked = nullptr; /* control page, while a take runs */
size_t attacked_words = 0;

void require(bool holds, const char *what) {
    if (holds)
        return;
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
}

class Arena {
public:
    explicit Arena(weft_mode mode) : g_{1, 4096, mode == WEFT_MODE_DISCARD ? 4u : 2u, static_cast<uint8_t>(mode), WEFT_SYNC_RSEQ, WEFT_ALLOCATION_PER_CPU, 0} {
        const uint32_t cpu = 0;
        const uint8_t id[16] = {};
        uint64_t allocated = 0;
        require(weft_ring_set_create(&g_, id, &cpu, 1, &ring_fd_, &reader_fd_, &allocated) == 0, "ring set");
        memory_ = map(ring_fd_, weft_ring_memory_bytes(&g_));
        page_ = reinterpret_cast<weft_reader_page *>(map(reader_fd_, weft_reader_memory_bytes(&g_)));
        require(!map_.open(g_, ring_fd_, reader_fd_, nullptr, true), "map");
        scratch_.resize(RingReader::scratch_bytes(g_));
        data_fd_ = file();
        index_fd_ = file();
        weft_ring *ring = reinterpret_cast<weft_ring *>(memory_ + weft_control_offset(&g_, 0));
        ring->table[0].begin_timestamp = ring->slot[0].last_timestamp = kStart;
        fresh_.assign(memory_, memory_ + weft_data_offset(&g_, 0));
    }

    void run() {
        std::memcpy(memory_, fresh_.data(), fresh_.size());
        std::memset(page_, 0, sizeof *page_);
        require(ftruncate(data_fd_, 0) == 0 && ftruncate(index_fd_, 0) == 0, "files");
        writer_.reset(new TestWriter(g_, memory_, page_, 0));
        clock_ = kStart;
        consumed_ = 0;
        new_reader();
        while (!input.empty())
            step();
    }

private:
    /* With a name, for a file that was removed takes nothing. It goes with the process. */
    static int file() {
        const int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        require(fd >= 0, "a file in memory");
        const std::string from = "/proc/self/fd/" + std::to_string(fd);
        const std::string to = "/dev/shm/weft-fuzz-" + std::to_string(getpid()) + "-" + std::to_string(fd);
        require(linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0, "its name");
        names().push_back(to);
        return fd;
    }

    static std::vector<std::string> &names() {
        static std::vector<std::string> all;
        static const int registered = std::atexit([] {
            for (const std::string &name : names())
                unlink(name.c_str());
        });
        require(registered == 0, "atexit");
        return all;
    }

    static uint8_t *map(int fd, uint64_t bytes) {
        void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        require(address != MAP_FAILED, "mmap");
        return static_cast<uint8_t *>(address);
    }

    void new_reader() {
        reader_.reset(new RingReader(map_, ring_fd_, StreamIdentity{{}, 0, 0, 0}, StreamFiles(dup(data_fd_), dup(index_fd_)), scratch_.data()));
        require(reader_->attach() == Cause::kNone, "own reader page");
    }

    void step() {
        uint64_t *words = reinterpret_cast<uint64_t *>(writer_->ring());
        const size_t count = (sizeof(weft_ring) + 2 * g_.subbuf_count * sizeof(weft_entry)) / 8;
        const uint8_t what = input.byte();
        switch (what % 8) {
        case 0:
        case 1: emit(input.byte()); break;
        case 2: take(Cut::kComplete, Plan::kAppend); break;
        case 3: take(Cut::kPartial, Plan::kAppend); break;
        case 4: words[input.byte() % count] = input.word(); break;
        case 5: words[input.byte() % count] += static_cast<int8_t>(input.byte()); break;
        case 6: take(Cut::kPartial, what & 8 ? Plan::kCount : Plan::kHold); break;
        default: new_reader(); break;
        }
    }

    /* The writer trusts its own ring, so it only writes while the ring is what it left. */
    void emit(unsigned count) {
        for (unsigned i = 0; i < count; i++)
            if (writer_->position() % 4096 + 100 < 4096 || writer_->may_switch())
                writer_->emit(clock_ += 100, count % 64);
    }

    void take(Cut cut, Plan plan) {
        attacked = reinterpret_cast<uint64_t *>(writer_->ring());
        attacked_words = (sizeof(weft_ring) + 2 * g_.subbuf_count * sizeof(weft_entry)) / 8;
        const Step step = reader_->take(cut, plan, clock_);
        attacked = nullptr;
        const weft_reader_state &state = reader_->state();
        require(!step.unwritten, "writing to memory failed");
        require(page_->consumed == state.position && state.position >= consumed_, "consumed position");
        require(page_->selector <= 1 && std::memcmp(&page_->state[page_->selector], &state, sizeof state) == 0, "state in shared memory");
        require(size(data_fd_) == state.file_bytes && size(index_fd_) == state.index_bytes, "file lengths");
        consumed_ = state.position;
    }

    static uint64_t size(int fd) {
        struct stat status;
        require(fstat(fd, &status) == 0, "fstat");
        return static_cast<uint64_t>(status.st_size);
    }

    weft_geometry g_;
    int ring_fd_ = -1, reader_fd_ = -1, data_fd_ = -1, index_fd_ = -1;
    uint8_t *memory_;
    weft_reader_page *page_;
    SetMap map_;
    std::vector<uint8_t> scratch_, fresh_;
    std::unique_ptr<TestWriter> writer_;
    std::unique_ptr<RingReader> reader_;
    uint64_t clock_ = kStart, consumed_ = 0;
};

}  // namespace

/* Now and then, in the middle of a take, one word changes. */
void weft_before_load() {
    if (attacked == nullptr || input.empty() || input.last() % 16 != 0)
        return;
    const size_t at = input.last() % attacked_words;
    const uint8_t how = input.last();
    if (how & 1)
        attacked[at] += how >> 1;
    else
        attacked[at] ^= 1ull << (how >> 2);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Arena discard(WEFT_MODE_DISCARD), overwrite(WEFT_MODE_OVERWRITE);
    if (size < 2)
        return 0;
    input = {data + 1, data + size};
    (data[0] & 1 ? overwrite : discard).run();
    return 0;
}
