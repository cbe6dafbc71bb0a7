/* How much memory can still be allocated: what the kernel holds available, and what each enclosing control group leaves. */
#ifndef WEFT_RING_MEMORY_LIMIT_H
#define WEFT_RING_MEMORY_LIMIT_H

#include <cstdint>
#include <string>

#include "ring/failure.h"

namespace weft {

struct MemoryLimit {
    uint64_t available = UINT64_MAX; /* bytes */
    std::string source;              /* who sets this limit */
};

/* `root` is prefixed to /proc and /sys (tests). */
MemoryLimit memory_limit(const std::string &root = "");

/* ENOMEM, with the numbers, when so much would leave too little. */
Failure check_available(uint64_t bytes, const char *what);

}  // namespace weft

#endif
