#include "addon/wait_pages.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdlib>

namespace weft_addon {

namespace {

constexpr off_t kPageBytes = 4096;
const std::string kPrefix = "weft-wait-";

/* The word is changed through the fd and never through a mapping: its owner may cut the file at any moment, and a fault on a page
 * that is gone would kill the daemon. Waking needs an address only. */
void bump(int fd) {
    uint32_t word = 0;
    if (pread(fd, &word, sizeof word, 0) != sizeof word)
        return;
    word++;
    if (pwrite(fd, &word, sizeof word, 0) != sizeof word)
        return;
    void *page = mmap(nullptr, kPageBytes, PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return;
    syscall(SYS_futex, page, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    munmap(page, kPageBytes);
}

bool wake_page(const std::string &path, uid_t uid) {
    const int fd = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct stat status;
    const bool good = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == uid && status.st_size == kPageBytes;
    if (good)
        bump(fd);
    close(fd);
    return good;
}

unsigned wake_all(const std::string &folder) {
    DIR *entries = opendir(folder.c_str());
    unsigned woken = 0;
    for (const dirent *entry; entries != nullptr && (entry = readdir(entries)) != nullptr;) {
        const std::string name = entry->d_name;
        if (name.compare(0, kPrefix.size(), kPrefix) != 0)
            continue;
        const std::string digits = name.substr(kPrefix.size());
        const uid_t uid = static_cast<uid_t>(std::strtoul(digits.c_str(), nullptr, 10));
        if (std::to_string(uid) == digits)
            woken += wake_page(folder + "/" + name, uid);
    }
    if (entries != nullptr)
        closedir(entries);
    return woken;
}

}  // namespace

unsigned wake_wait_pages(uid_t uid, const std::string &folder) {
    return uid == 0 ? wake_all(folder) : wake_page(folder + "/" + kPrefix + std::to_string(uid), uid);
}

}  // namespace weft_addon
