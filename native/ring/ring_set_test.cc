/* Ring sets as the daemon handles them: made within limits, taken back only if they are its own, summed up. */
#include "ring/ring_set.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "ring/memory_limit.h"
#include "ring/test_cases.h"
#include "ring/test_set.h"

using namespace weft;
using namespace weft_test;

namespace {

const uint8_t kId[16] = {1, 2, 3};

weft_geometry geometry(uint32_t size = 4096, uint32_t count = 4) { return {2, size, count, WEFT_MODE_DISCARD, WEFT_SYNC_LOCK, WEFT_ALLOCATION_PER_CPU, 0}; }

void close_all(const RingSetFds &fds) {
    for (const int fd : {fds.ring, fds.reader, fds.reader_read_only})
        close(fd);
}

void a_set_is_made_for_the_named_cpus() {
    RingSetFds fds;
    const weft_geometry g = geometry();
    CHECK(!create_ring_set(g, kId, {1}, &fds));
    CHECK_EQUAL(fds.allocated, weft_data_offset(&g, 0) + weft_data_bytes(&g) + weft_reader_memory_bytes(&g));
    CHECK_EQUAL(fcntl(fds.reader_read_only, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK(mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, fds.reader_read_only, 0) == MAP_FAILED);
    CHECK(ftruncate(fds.ring, 0) != 0);
    close_all(fds);
}

void more_than_there_is_is_refused_with_the_numbers() {
    RingSetFds fds;
    const Failure bad = create_ring_set(geometry(1u << 30, 1024), kId, {0, 1}, &fds);
    CHECK_EQUAL(bad.error, ENOMEM);
    CHECK(bad.message.find("need 2199023") != std::string::npos);
    CHECK(bad.message.find("available") != std::string::npos);
}

void a_bad_geometry_is_refused() {
    RingSetFds fds;
    CHECK_EQUAL(create_ring_set(geometry(5000), kId, {0}, &fds).error, EINVAL);
    CHECK_EQUAL(create_ring_set(geometry(4096, 1), kId, {0}, &fds).error, EINVAL);
    CHECK_EQUAL(create_ring_set(geometry(), kId, {2}, &fds).error, EINVAL);
}

void a_set_that_comes_back_is_taken() {
    RingSetFds made, back;
    CHECK(!create_ring_set(geometry(), kId, {0, 1}, &made));
    back.ring = dup(made.ring);
    back.reader = dup(made.reader);
    CHECK(!adopt_ring_set(geometry(), kId, &back));
    CHECK_EQUAL(back.allocated, made.allocated);
    close_all(made);
    close_all(back);
}

/* Files of this user alone are as good as sealed memory to this user; to anybody else, or once others may open them, they are not. */
void a_set_may_lie_in_files() {
    char place[] = "/tmp/weft-ring-set-XXXXXX";
    CHECK(mkdtemp(place) != nullptr);
    const std::string path = std::string(place) + "/ch";
    RingSetFds made, back, again;
    CHECK(!create_ring_set(geometry(), kId, {0, 1}, &made, path));
    CHECK_EQUAL(create_ring_set(geometry(), kId, {0, 1}, &again, path).error, EEXIST);
    CHECK(std::filesystem::exists(path + ".ring")); /* who made it before keeps it */
    back.ring = open((path + ".ring").c_str(), O_RDWR | O_CLOEXEC);
    back.reader = open((path + ".reader").c_str(), O_RDWR | O_CLOEXEC);
    CHECK(!adopt_ring_set(geometry(), kId, &back));
    close_all(back);
    CHECK_EQUAL(fchmod(made.ring, 0620), 0);
    CHECK_EQUAL(adopt_ring_set(geometry(), kId, &made).error, EPERM);
    CHECK_EQUAL(fchmod(made.ring, 0600), 0);
    std::filesystem::remove(path + ".ring");
    CHECK_EQUAL(adopt_ring_set(geometry(), kId, &made).error, EPERM); /* whose is it now? */
    close_all(made);
    std::filesystem::remove_all(place);
}

void a_set_that_is_not_ones_own_is_not_taken() {
    RingSetFds made;
    CHECK(!create_ring_set(geometry(), kId, {0, 1}, &made));
    const uint8_t other[16] = {7};
    RingSetFds back = made;
    CHECK_EQUAL(adopt_ring_set(geometry(), other, &back).error, EINVAL);
    CHECK_EQUAL(adopt_ring_set(geometry(8192), kId, &back).error, EINVAL);
    back.ring = open(("/proc/self/fd/" + std::to_string(made.ring)).c_str(), O_RDONLY | O_CLOEXEC);
    CHECK_EQUAL(adopt_ring_set(geometry(), kId, &back).error, EPERM);
    close(back.ring);
    back.ring = memfd_create("unsealed", MFD_CLOEXEC);
    const weft_geometry g = geometry();
    CHECK_EQUAL(ftruncate(back.ring, static_cast<off_t>(weft_ring_memory_bytes(&g))), 0);
    CHECK_EQUAL(adopt_ring_set(geometry(), kId, &back).error, EPERM);
    close(back.ring);
    if (geteuid() == 0) {
        CHECK_EQUAL(fchown(made.ring, 12345, 12345), 0);
        back.ring = made.ring;
        CHECK_EQUAL(adopt_ring_set(geometry(), kId, &back).error, EPERM);
    }
    close_all(made);
}

void the_locks_of_a_dead_application_are_freed() {
    TestSet set(4096, 4, WEFT_MODE_DISCARD, 3);
    store(&set.writer(0).ring()->lock, (5ull << 32) | 100);
    store(&set.writer(1).ring()->lock, (6ull << 32) | 100);
    store(&set.writer(2).ring()->lock, (5ull << 32) | 101);
    uint32_t released = 0;
    CHECK(!release_locks(set.ring_fd(), set.geometry(), 5, &released));
    CHECK_EQUAL(released, 2u);
    CHECK_EQUAL(set.writer(0).ring()->lock, 0u);
    CHECK_EQUAL(set.writer(1).ring()->lock, (6ull << 32) | 100);
}

void totals_are_sums_over_the_rings() {
    TestSet set(4096, 4, WEFT_MODE_DISCARD, 2);
    for (int i = 0; i < 10; i++)
        set.emit(0, 100, i % 2);
    set.writer(1).lose(WEFT_LOST_NESTED);
    set.flush(Plan::kAppend, 0);
    RingTotals totals;
    CHECK(!ring_totals(set.ring_fd(), set.reader_fd(), set.geometry(), &totals));
    CHECK_EQUAL(totals.events, 10u);
    CHECK_EQUAL(totals.packets, 2u);
    CHECK_EQUAL(totals.lost[WEFT_LOST_NESTED], 1u);
    CHECK_EQUAL(totals.position, 120u);
    CHECK_EQUAL(totals.consumed, 60u);
}

/* ---- limits ---- */

class FakeRoot {
public:
    FakeRoot() {
        char pattern[] = "/tmp/weft-limit-XXXXXX";
        path_ = mkdtemp(pattern);
        put("/proc/meminfo", "MemTotal: 16000 kB\nMemAvailable: 8000 kB\n");
    }
    ~FakeRoot() { std::filesystem::remove_all(path_); }
    void put(const std::string &name, const std::string &text) {
        std::filesystem::create_directories(std::filesystem::path(path_ + name).parent_path());
        std::ofstream(path_ + name) << text;
    }
    MemoryLimit limit() const { return memory_limit(path_); }

private:
    std::string path_;
};

void without_groups_the_kernel_decides() {
    FakeRoot root;
    CHECK_EQUAL(root.limit().available, 8000u * 1024);
    CHECK_EQUAL(root.limit().source, "MemAvailable");
}

void the_narrowest_group_decides() {
    FakeRoot root;
    root.put("/proc/self/cgroup", "0::/system.slice/weft.service\n");
    root.put("/sys/fs/cgroup/system.slice/weft.service/memory.max", "max\n");
    root.put("/sys/fs/cgroup/system.slice/weft.service/memory.current", "1000\n");
    root.put("/sys/fs/cgroup/system.slice/memory.max", "4000000\n");
    root.put("/sys/fs/cgroup/system.slice/memory.current", "3000000\n");
    root.put("/sys/fs/cgroup/system.slice/memory.stat", "anon 5\ninactive_file 500000\n");
    CHECK_EQUAL(root.limit().available, 1500000u);
    CHECK(root.limit().source.find("system.slice/memory.max") != std::string::npos);
}

void a_container_sees_its_limit_at_the_root() {
    FakeRoot root;
    root.put("/proc/self/cgroup", "0::/\n");
    root.put("/sys/fs/cgroup/memory.max", "1000\n");
    root.put("/sys/fs/cgroup/memory.current", "2000\n");
    CHECK_EQUAL(root.limit().available, 0u);
}

void groups_of_the_first_version_count_too() {
    FakeRoot root;
    root.put("/proc/self/cgroup", "4:cpu,memory:/docker/1\n1:name=systemd:/x\n");
    root.put("/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "5000\n");
    root.put("/sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes", "1000\n");
    CHECK_EQUAL(root.limit().available, 4000u);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"a set is made for the named CPUs", a_set_is_made_for_the_named_cpus},
            {"more than there is is refused with the numbers", more_than_there_is_is_refused_with_the_numbers},
            {"a bad geometry is refused", a_bad_geometry_is_refused},
            {"a set that comes back is taken", a_set_that_comes_back_is_taken},
            {"a set may lie in files", a_set_may_lie_in_files},
            {"a set that is not one's own is not taken", a_set_that_is_not_ones_own_is_not_taken},
            {"the locks of a dead application are freed", the_locks_of_a_dead_application_are_freed},
            {"totals are sums over the rings", totals_are_sums_over_the_rings},
            {"without groups the kernel decides", without_groups_the_kernel_decides},
            {"the narrowest group decides", the_narrowest_group_decides},
            {"a container sees its limit at the root", a_container_sees_its_limit_at_the_root},
            {"groups of the first version count too", groups_of_the_first_version_count_too},
        },
        argc, argv);
}
