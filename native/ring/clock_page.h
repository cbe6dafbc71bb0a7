/*
 * The clock page: CLOCK_MONOTONIC computed from the processor's counter. A thread keeps it in step with the kernel's clock by
 * changing the slope, never by stepping back: each new pair of parameters begins on the line of the old one.
 */
#ifndef WEFT_RING_CLOCK_PAGE_H
#define WEFT_RING_CLOCK_PAGE_H

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "ring/clock_servo.h"
#include "ring/failure.h"

namespace weft {

/* Whether the counter runs at a constant rate on all CPUs and the kernel trusts it. `root` is prefixed to /proc and /sys. */
bool counter_usable(const std::string &root = "");

class ClockPage {
public:
    /* Makes the page at `path`, or takes over the one that a daemon left: readers that have it mapped see time go on. */
    static Failure open(const std::string &path, std::unique_ptr<ClockPage> *page);
    ~ClockPage();
    ClockPage(const ClockPage &) = delete;

    uint64_t now() const;
    int read_only_fd() const { return read_only_fd_; }
    const weft_clock_page *page() const { return page_; }

private:
    ClockPage() = default;
    Failure map(const std::string &path);
    void run();

    weft_clock_page *page_ = nullptr;
    int read_only_fd_ = -1;
    ClockServo servo_;
    std::mutex mutex_;
    std::condition_variable ended_;
    bool end_ = false;
    std::thread thread_;
};

}  // namespace weft

#endif
