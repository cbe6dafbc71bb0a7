#include "ring/memory_limit.h"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace weft {

namespace {

constexpr uint64_t kReserve = 16; /* this part of what is available is left alone */

void lower(MemoryLimit *limit, uint64_t available, const std::string &source) {
    if (available >= limit->available)
        return;
    limit->available = available;
    limit->source = source;
}

/* The number behind `key` in a file of "key number" lines. */
bool read_field(const std::string &path, const std::string &key, uint64_t *value) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        if (words >> name >> *value && name == key)
            return true;
    }
    return false;
}

/* A file with one number; "max" and absence are no number. */
bool read_number(const std::string &path, uint64_t *value) {
    std::ifstream file(path);
    return static_cast<bool>(file >> *value);
}

/* One group. Page cache that nobody uses counts as usage but gives way. */
void apply_group(MemoryLimit *limit, const std::string &folder, const std::string &max, const std::string &current,
                 const std::string &reclaimable) {
    uint64_t most = 0, used = 0, cache = 0;
    if (!read_number(folder + "/" + max, &most) || !read_number(folder + "/" + current, &used))
        return;
    read_field(folder + "/memory.stat", reclaimable, &cache);
    used -= cache < used ? cache : used;
    lower(limit, most > used ? most - used : 0, "memory limit of the control group (" + folder + "/" + max + ")");
}

/* The group of this process and all above it. */
void apply_groups(MemoryLimit *limit, const std::string &mount, std::string path, bool second_version) {
    for (;;) {
        if (second_version)
            apply_group(limit, mount + path, "memory.max", "memory.current", "inactive_file");
        else
            apply_group(limit, mount + path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
        const size_t slash = path.rfind('/');
        if (slash == std::string::npos)
            return;
        path.resize(slash);
    }
}

}  // namespace

MemoryLimit memory_limit(const std::string &root) {
    MemoryLimit limit;
    uint64_t kilobytes = 0;
    if (read_field(root + "/proc/meminfo", "MemAvailable:", &kilobytes))
        lower(&limit, kilobytes * 1024, "MemAvailable");
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) { /* id:controllers:path */
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos)
            continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        std::string path = line.substr(second + 1);
        if (path == "/")
            path.clear();
        if (controllers == ",,")
            apply_groups(&limit, root + "/sys/fs/cgroup", path, true);
        else if (controllers.find(",memory,") != std::string::npos)
            apply_groups(&limit, root + "/sys/fs/cgroup/memory", path, false);
    }
    return limit;
}

Failure check_available(uint64_t bytes, const char *what) {
    const MemoryLimit limit = memory_limit();
    if (bytes <= limit.available - limit.available / kReserve)
        return {};
    return {ENOMEM, std::string(what) + " need " + std::to_string(bytes) + " bytes, " + std::to_string(limit.available) +
                        " are available (" + limit.source + ")"};
}

}  // namespace weft
