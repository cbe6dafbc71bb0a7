/*
 * How the reader thread sleeps, and how others wake it.
 *
 *   nap   a bounded pause while data keeps coming; writers do not know of it and make no system call
 *   park  until a writer rings the doorbell in ring memory; the reader set its sleeping flags before
 *
 * The doorbell lies in memory that this process maps read-only, so wake() cannot change its value; it only can wake who waits
 * there. A reader between its last look at the requests and the kernel's queue would miss that, therefore wake() repeats until
 * somebody was woken or the reader is seen up. What hostile memory can do to a parked reader (moving it to another futex) ends
 * with the timer.
 */
#ifndef WEFT_RING_SLEEPER_H
#define WEFT_RING_SLEEPER_H

#include <atomic>
#include <cstdint>

namespace weft {

class Sleeper {
public:
    /* Requests made so far. A sleep that is told an older number returns at once. */
    uint32_t requests() const { return requests_.load(std::memory_order_seq_cst); }
    void nap(uint32_t requests_seen, uint64_t ns);
    void park(const uint32_t *doorbell, uint32_t doorbell_seen, uint32_t requests_seen, uint64_t ns);

    /* Any thread: one more request. Returns when the sleeper is certain to see it soon (2 ms at the worst). */
    void wake();

private:
    std::atomic<uint32_t> requests_{0};
    std::atomic<const uint32_t *> parked_{nullptr};
};

}  // namespace weft

#endif
