#include "ring/sleeper.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace weft {

namespace {

constexpr int kWakeTries = 40;
constexpr useconds_t kWakePauseUs = 50;

void futex_wait(const uint32_t *word, int flags, uint32_t value, uint64_t ns) {
    const timespec timeout{static_cast<time_t>(ns / 1000000000), static_cast<long>(ns % 1000000000)};
    syscall(SYS_futex, word, FUTEX_WAIT | flags, value, &timeout, nullptr, 0);
}

long futex_wake(const uint32_t *word, int flags) { return syscall(SYS_futex, word, FUTEX_WAKE | flags, INT_MAX, nullptr, nullptr, 0); }

const uint32_t *word_of(const std::atomic<uint32_t> &value) { return reinterpret_cast<const uint32_t *>(&value); }

}  // namespace

void Sleeper::nap(uint32_t requests_seen, uint64_t ns) { futex_wait(word_of(requests_), FUTEX_PRIVATE_FLAG, requests_seen, ns); }

void Sleeper::park(const uint32_t *doorbell, uint32_t doorbell_seen, uint32_t requests_seen, uint64_t ns) {
    parked_.store(doorbell, std::memory_order_seq_cst);
    if (requests() == requests_seen)
        futex_wait(doorbell, 0, doorbell_seen, ns);
    parked_.store(nullptr, std::memory_order_seq_cst);
}

void Sleeper::wake() {
    requests_.fetch_add(1, std::memory_order_seq_cst);
    futex_wake(word_of(requests_), FUTEX_PRIVATE_FLAG);
    for (int i = 0; i < kWakeTries; i++) {
        const uint32_t *doorbell = parked_.load(std::memory_order_seq_cst);
        if (doorbell == nullptr || futex_wake(doorbell, 0) > 0)
            return;
        usleep(kWakePauseUs);
    }
}

}  // namespace weft
