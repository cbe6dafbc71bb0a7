#include "ctf/tail.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace weft::ctf {

namespace {

/* Bytes of a file that are decoded for one question; of more the older packets are left out. */
constexpr uint64_t kBehindMax = 4 * 1024 * 1024;
constexpr off_t kIndexHeader = 16, kIndexEntry = 72;

/* Where the last packet ends that the file's index names; 0: there is none. */
uint64_t end_in_index(const std::string &path) {
    const size_t slash = path.rfind('/') + 1;
    const std::string index = path.substr(0, slash) + "index/" + path.substr(slash) + ".idx";
    const int fd = open(index.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    uint64_t entry[2] = {}; /* offset in bytes, length in bits */
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size >= kIndexHeader + kIndexEntry) {
        const off_t last = kIndexHeader + ((status.st_size - kIndexHeader) / kIndexEntry - 1) * kIndexEntry;
        if (pread(fd, entry, sizeof entry, last) != sizeof entry)
            entry[0] = entry[1] = 0;
    }
    if (fd >= 0)
        close(fd);
    return be64toh(entry[0]) + be64toh(entry[1]) / 8;
}

/* The bytes there were given back: a spool holds a packet only until it is safe elsewhere. */
bool given_back(const std::string &path, uint64_t at) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    uint64_t head = 1;
    const bool is_zero = fd >= 0 && pread(fd, &head, sizeof head, static_cast<off_t>(at)) == sizeof head && head == 0;
    if (fd >= 0)
        close(fd);
    return is_zero;
}

}  // namespace

bool Tail::lay_out(const uint8_t *bytes, size_t length) {
    auto table = std::make_unique<Table>();
    TableBytes in(bytes, length);
    if (!read_table(&in, {}, table.get()) || !read_filter(&in, table.get()))
        return false;
    for (auto &one : files_) {
        const uint64_t at = one.second.source->packet_at();
        one.second.source = std::make_unique<Source>(*table, one.first, true);
        one.second.source->begin_at(at);
        one.second.opened = false;
    }
    table_ = std::move(table);
    return true;
}

void Tail::follow(const std::string &path, bool from_start) {
    File &file = files_[path];
    if (file.source)
        return;
    file.source = std::make_unique<Source>(*table_, path, true);
    file.from_start = from_start;
    if (from_start)
        return;
    file.source->begin_at(end_in_index(path));
    Step step = first_step(&file);
    while (step == Step::packet) {
        file.source->skip_packet();
        step = file.source->next();
    }
    file.failed = step == Step::fault;
}

Step Tail::first_step(File *file) {
    if (file->opened)
        return file->source->grown() ? file->source->next() : Step::end;
    const Step step = file->source->open();
    file->opened = file->source->opened();
    return step;
}

bool Tail::entered(File *file, TailNews *news) {
    if (file->source->bytes_behind() > kBehindMax) {
        file->source->skip_packet();
        news->packets_left_out++;
        return true;
    }
    return text_.packet_text(file->source.get(), &file->packet_text) && json_.packet_text(file->source.get(), &file->packet_json);
}

/* What was given back before it was decoded is left out. False: that is not what is wrong. */
bool Tail::passed_over(const std::string &path, File *file, TailNews *news) {
    const uint64_t at = file->source->packet_at(), end = end_in_index(path);
    if (end <= at || !given_back(path, at))
        return false;
    file->source = std::make_unique<Source>(*table_, path, true);
    file->source->begin_at(end);
    file->opened = false;
    news->packets_left_out++;
    return true;
}

void Tail::read_file(const std::string &path, File *file, uint64_t limit, TailNews *news) {
    Source &source = *file->source;
    Text text, json;
    Step step = first_step(file);
    for (; step != Step::end; step = source.next()) {
        if (step == Step::packet && entered(file, news))
            continue;
        if (step == Step::fault && passed_over(path, file, news))
            return;
        const Verdict verdict = step == Step::record ? judge_(&source) : Verdict::fault;
        if (verdict == Verdict::dropped)
            continue;
        if (verdict == Verdict::kept && news->records.size() >= limit) {
            news->left_out++;
            continue;
        }
        text.cut(0);
        json.cut(0);
        if (verdict == Verdict::fault || !text_.print(&source, file->packet_text, &text) || !json_.print(&source, file->packet_json, &json)) {
            file->failed = true;
            news->faults.push_back(source.path() + ": at byte " + std::to_string(source.fault_at()) + ": " + source.fault());
            return;
        }
        const std::string_view line = text.view(), object = json.view();
        news->records.push_back({source.time(), source.event().name, std::string(line.substr(0, line.size() - 1)),
                                 std::string(object.substr(0, object.size() - 1))});
    }
}

void Tail::read(uint64_t limit, TailNews *news) {
    for (auto &one : files_)
        if (!one.second.failed)
            read_file(one.first, &one.second, limit, news);
    std::stable_sort(news->records.begin(), news->records.end(), [](const TailRecord &a, const TailRecord &b) { return a.time < b.time; });
}

}  // namespace weft::ctf
