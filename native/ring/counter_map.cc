#include "ring/counter_map.h"

#include <sys/mman.h>

#include <cerrno>

#include "ring/format.h"
#include "ring/ring_set.h"
#include "ring/set_map.h"
#include "ring/shared.h"

namespace weft {

namespace {

Failure bad_geometry() {
    return {EINVAL, "counter map: 1 to " + std::to_string(WEFT_CPU_MAX) + " CPUs, 1 to " + std::to_string(WEFT_MAP_SLOTS_MAX) +
                        " slots, 32 or 64 bits"};
}

/* The map in this process's memory. */
class Mapped {
public:
    Mapped() = default;
    Mapped(const Mapped &) = delete;
    ~Mapped() {
        if (memory_ != nullptr)
            munmap(memory_, weft_map_bytes(&geometry_));
    }
    Failure open(int fd, const weft_map_geometry &geometry, int protection) {
        if (!weft_map_geometry_valid(&geometry))
            return bad_geometry();
        if (Failure bad = check_memory(fd, weft_map_bytes(&geometry), "counter map"))
            return bad;
        void *memory = mmap(nullptr, weft_map_bytes(&geometry), protection, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
            return failure(errno, "mapping a counter map");
        memory_ = static_cast<uint8_t *>(memory);
        geometry_ = geometry;
        return {};
    }
    const weft_map_header *header() const { return reinterpret_cast<const weft_map_header *>(memory_); }
    uint64_t *counter(uint32_t cpu, uint32_t slot) const {
        return reinterpret_cast<uint64_t *>(memory_ + weft_map_counter(&geometry_, cpu, slot));
    }
    uint32_t *overflow(uint32_t cpu, uint32_t slot) const {
        return reinterpret_cast<uint32_t *>(memory_ + weft_map_overflow(&geometry_, cpu, slot));
    }
    int64_t value(uint32_t cpu, uint32_t slot) const {
        const uint64_t word = load(counter(cpu, slot));
        return geometry_.bits == 32 ? static_cast<int32_t>(static_cast<uint32_t>(word)) : static_cast<int64_t>(word);
    }

private:
    uint8_t *memory_ = nullptr;
    weft_map_geometry geometry_{};
};

}  // namespace

Failure create_map(const weft_map_geometry &geometry, const uint8_t map_id[16], int *fd) {
    if (!weft_map_geometry_valid(&geometry))
        return bad_geometry();
    if (Failure bad = check_available(weft_map_bytes(&geometry), "counter maps"))
        return bad;
    *fd = weft_map_create(&geometry, map_id);
    return *fd < 0 ? failure(-*fd, "making a counter map of " + std::to_string(weft_map_bytes(&geometry)) + " bytes") : Failure{};
}

Failure adopt_map(int fd, const weft_map_geometry &geometry, const uint8_t map_id[16]) {
    uint64_t allocated = 0;
    if (!weft_map_geometry_valid(&geometry))
        return bad_geometry();
    if (Failure bad = check_own(fd, weft_map_bytes(&geometry), "counter map", &allocated))
        return bad;
    Mapped map;
    if (Failure bad = map.open(fd, geometry, PROT_READ))
        return bad;
    if (load(&map.header()->magic) != WEFT_MAP_MAGIC || load(&map.header()->abi) != WEFT_MAP_ABI)
        return {EINVAL, "counter map: no map of this version"};
    return memcmp(map.header()->map_id, map_id, 16) == 0 ? Failure{} : Failure{EINVAL, "counter map: another map's memory"};
}

Failure read_map(int fd, const weft_map_geometry &geometry, uint32_t slots, bool all, MapEntries *entries) {
    Mapped map;
    if (Failure bad = map.open(fd, geometry, PROT_READ))
        return bad;
    if (slots > geometry.slot_count)
        return {EINVAL, "counter map: it has " + std::to_string(geometry.slot_count) + " slots"};
    for (uint32_t cpu = 0; cpu < geometry.cpu_count; cpu++) {
        for (uint32_t slot = 0; slot < slots; slot++) {
            const int64_t value = map.value(cpu, slot);
            const uint8_t overflow = load(map.overflow(cpu, slot)) >> slot % 32 & 1;
            if (!all && value == 0 && overflow == 0)
                continue;
            entries->cpus.push_back(cpu);
            entries->slots.push_back(slot);
            entries->values.push_back(value);
            entries->overflows.push_back(overflow);
        }
    }
    return {};
}

Failure clear_map(int fd, const weft_map_geometry &geometry, uint32_t first, uint32_t count) {
    Mapped map;
    if (Failure bad = map.open(fd, geometry, PROT_READ | PROT_WRITE))
        return bad;
    if (first > geometry.slot_count || count > geometry.slot_count - first)
        return {EINVAL, "counter map: it has " + std::to_string(geometry.slot_count) + " slots"};
    for (uint32_t cpu = 0; cpu < geometry.cpu_count; cpu++) {
        for (uint32_t slot = first; slot < first + count; slot++) {
            store(map.counter(cpu, slot), 0);
            __atomic_fetch_and(map.overflow(cpu, slot), ~(1u << slot % 32), __ATOMIC_RELAXED);
        }
    }
    return {};
}

}  // namespace weft
