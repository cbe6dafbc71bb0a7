#include "ring/ring_set.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ring/format.h"
#include "ring/untrusted_ring.h"

namespace weft {

namespace {

Failure bad_geometry() { return {EINVAL, "geometry: sizes must be powers of two within the limits"}; }

Failure add_read_only(RingSetFds *fds) {
    const std::string path = "/proc/self/fd/" + std::to_string(fds->reader);
    fds->reader_read_only = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    return fds->reader_read_only < 0 ? failure(errno, "read-only descriptor of reader memory") : Failure{};
}

}  // namespace

Failure check_own(int fd, uint64_t bytes, const char *what, uint64_t *allocated) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return failure(errno, what);
    if (status.st_uid != geteuid() || status.st_nlink > 1)
        return {EPERM, std::string(what) + ": not made by this user's daemon"};
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
        return {EPERM, std::string(what) + ": not writable"};
    *allocated += static_cast<uint64_t>(status.st_blocks) * 512;
    return check_memory(fd, bytes, what);
}

Failure create_ring_set(const weft_geometry &geometry, const uint8_t ring_id[16], const std::vector<uint32_t> &cpus,
                        RingSetFds *fds, const std::string &path) {
    if (weft_geometry_check(&geometry) != 0)
        return bad_geometry();
    const uint64_t bytes =
        weft_data_offset(&geometry, 0) + cpus.size() * weft_data_bytes(&geometry) + weft_reader_memory_bytes(&geometry);
    if (Failure bad = check_available(bytes, "ring buffers"))
        return bad;
    const uint32_t count = static_cast<uint32_t>(cpus.size());
    const int status = path.empty() ? weft_ring_set_create(&geometry, ring_id, cpus.data(), count, &fds->ring, &fds->reader, &fds->allocated)
                                    : weft_ring_set_create_files(&geometry, ring_id, cpus.data(), count, path.c_str(), &fds->ring,
                                                                 &fds->reader, &fds->allocated);
    if (status != 0)
        return failure(-status, "making ring buffers of " + std::to_string(weft_data_bytes(&geometry)) + " bytes for " +
                                    std::to_string(cpus.size()) + " CPUs");
    Failure bad = add_read_only(fds);
    if (bad) {
        close(fds->ring);
        close(fds->reader);
    }
    return bad;
}

Failure adopt_ring_set(const weft_geometry &geometry, const uint8_t ring_id[16], RingSetFds *fds) {
    if (weft_geometry_check(&geometry) != 0)
        return bad_geometry();
    if (Failure bad = check_own(fds->ring, weft_ring_memory_bytes(&geometry), "ring memory", &fds->allocated))
        return bad;
    if (Failure bad = check_own(fds->reader, weft_reader_memory_bytes(&geometry), "reader memory", &fds->allocated))
        return bad;
    SetMap map;
    if (Failure bad = map.open(geometry, fds->ring, fds->reader, ring_id, false))
        return bad;
    return add_read_only(fds);
}

Failure allocate_ring(int ring_fd, const weft_geometry &geometry, uint32_t cpu, uint64_t *allocated) {
    if (weft_geometry_check(&geometry) != 0)
        return bad_geometry();
    if (cpu >= geometry.cpu_count)
        return {EINVAL, "the ring set has no ring " + std::to_string(cpu)};
    if (Failure bad = check_memory(ring_fd, weft_ring_memory_bytes(&geometry), "ring memory"))
        return bad;
    if (Failure bad = check_available(weft_data_bytes(&geometry), "a ring buffer"))
        return bad;
    const int status = weft_ring_allocate(&geometry, ring_fd, cpu, allocated);
    return status == 0 ? Failure{} : failure(-status, "memory for the ring of CPU " + std::to_string(cpu));
}

Failure release_locks(int ring_fd, const weft_geometry &geometry, uint32_t application, uint32_t *released) {
    if (weft_geometry_check(&geometry) != 0)
        return bad_geometry();
    if (Failure bad = check_memory(ring_fd, weft_ring_memory_bytes(&geometry), "ring memory"))
        return bad;
    const uint64_t bytes = weft_data_offset(&geometry, 0);
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
    if (memory == MAP_FAILED)
        return failure(errno, "mapping ring memory");
    *released = 0;
    for (uint32_t cpu = 0; cpu < geometry.cpu_count; cpu++) {
        weft_ring *ring = reinterpret_cast<weft_ring *>(static_cast<uint8_t *>(memory) + weft_control_offset(&geometry, cpu));
        uint64_t holder = load(&ring->lock);
        if (holder >> 32 == application &&
            __atomic_compare_exchange_n(&ring->lock, &holder, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            ++*released;
    }
    munmap(memory, bytes);
    return {};
}

namespace {

const weft_reader_state &state_of(const weft_reader_page *page) { return page->state[load_acquire(&page->selector) & 1]; }

/* Of this ring's sub-buffers, how many bytes have no memory. */
uint64_t hole_bytes(const weft_reader_page *page, const weft_geometry &geometry) {
    const uint64_t from = load(&page->holes_from), to = load(&page->holes_to);
    return to > from ? std::min<uint64_t>(to - from, geometry.subbuf_count) * geometry.subbuf_size : 0;
}

}  // namespace

Failure ring_memory(int ring_fd, int reader_fd, const weft_geometry &geometry, std::vector<uint64_t> *bytes) {
    SetMap map;
    if (Failure bad = map.open(geometry, ring_fd, reader_fd, nullptr, false))
        return bad;
    bytes->clear();
    for (uint32_t cpu = 0; cpu < geometry.cpu_count; cpu++) {
        const bool ready = load_acquire(&map.ring(cpu)->ready) != 0;
        bytes->push_back(ready ? weft_data_bytes(&geometry) - hole_bytes(map.page(cpu), geometry) : 0);
    }
    return {};
}

Failure ring_usage(int ring_fd, int reader_fd, const weft_geometry &geometry, uint64_t *bytes) {
    SetMap map;
    if (Failure bad = map.open(geometry, ring_fd, reader_fd, nullptr, false))
        return bad;
    *bytes = 0;
    for (uint32_t cpu = 0; cpu < geometry.cpu_count; cpu++) {
        const UntrustedRing ring(map, cpu);
        Look look;
        ring.settle(&look);
        const uint64_t consumed = load(&state_of(map.page(cpu)).position);
        const uint64_t waiting = look.position > consumed ? look.position - consumed : 0;
        *bytes = std::max(*bytes, std::min(waiting, weft_data_bytes(&geometry)));
    }
    return {};
}

Failure ring_totals(int ring_fd, int reader_fd, const weft_geometry &geometry, RingTotals *totals) {
    SetMap map;
    if (Failure bad = map.open(geometry, ring_fd, reader_fd, nullptr, false))
        return bad;
    *totals = RingTotals{};
    for (uint32_t cpu = 0; cpu < geometry.cpu_count; cpu++) {
        const UntrustedRing ring(map, cpu);
        Look look;
        ring.settle(&look);
        totals->events += look.event_count;
        totals->position += look.position;
        for (unsigned cause = 0; cause < WEFT_LOSS_CAUSES; cause++)
            totals->lost[cause] += ring.lost(cause);
        const weft_reader_page *page = map.page(cpu);
        const weft_reader_state &state = state_of(page);
        totals->packets += load(&state.packets);
        totals->bytes += load(&state.bytes_before) + load(&state.file_bytes);
        totals->overwritten += load(&state.overwritten);
        totals->consumed += load(&state.position);
    }
    return {};
}

}  // namespace weft
