/* What a reader thread tells its owner. Kept per ring and merged until the owner asks, so an owner that is away for long costs
 * the thread neither time nor memory. */
#ifndef WEFT_RING_READER_NEWS_H
#define WEFT_RING_READER_NEWS_H

#include <cstdint>
#include <mutex>
#include <vector>

#include "ring/cause.h"
#include "ring/failure.h"
#include "ring/ring_reader.h"

namespace weft {

struct RingNews {
    uint32_t cpu = 0;
    /* packets written since the last news of this ring; none: packets == 0 */
    uint64_t first = 0;
    uint64_t packets = 0;
    uint64_t bytes = 0;
    uint64_t events = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t lost = 0; /* cumulative */
    Cause corrupt = Cause::kNone;
    Failure failed;       /* writing began to fail */
    bool resumed = false; /* and works again; after `failed` if both are set */
    bool cut_late = false; /* a rotation cut behind the moment it was asked for */
};

/* Of flushes and of jobs, each with tickets of its own. */
struct Done {
    uint64_t ticket = 0; /* this one and all before it */
    Failure failure;
    uint64_t reclaimed = 0; /* sub-buffers that gave their memory back; those that will */
    uint64_t pending = 0;
};

struct ReaderNews {
    std::vector<RingNews> rings;
    std::vector<Done> flushes;
    std::vector<Done> jobs;
    bool ended = false;
};

class NewsBox {
public:
    explicit NewsBox(uint32_t rings) : rings_(rings) {}

    void took(uint32_t cpu, const Step &step, uint64_t lost);
    void corrupt(uint32_t cpu, Cause cause);
    void failed(uint32_t cpu, const Failure &why);
    void resumed(uint32_t cpu);
    void cut_late(uint32_t cpu);
    void flushed(const Done &done);
    void did(const Done &job);
    void ended();

    bool empty() const;
    /* Takes everything out. */
    ReaderNews drain();

private:
    RingNews &of(uint32_t cpu);

    mutable std::mutex mutex_;
    std::vector<RingNews> rings_;
    std::vector<uint32_t> changed_; /* CPUs, each once */
    std::vector<Done> flushes_;
    std::vector<Done> jobs_;
    bool ended_ = false;
};

}  // namespace weft

#endif
