#include "ring/clock_page.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>

#include "ring/shared.h"
#include "ust/clock.h"

namespace weft {

namespace {

constexpr int kSampleTries = 12;
constexpr uint64_t kFirstSpanNs = 10000000; /* between the two samples that give the first slope */
constexpr uint64_t kPublishNs = 400;        /* a new line begins this far ahead: longer than publishing it takes */
constexpr int kPublishTries = 8;

/* Counter and clock at the same moment: the reading that took least time of several. */
ClockSample sample() {
    ClockSample best{};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < kSampleTries; i++) {
        weft_counter_fence();
        const uint64_t before = weft_counter();
        weft_counter_fence();
        const uint64_t ns = weft_clock_system();
        weft_counter_fence();
        const uint64_t after = weft_counter();
        if (after - before >= least)
            continue;
        least = after - before;
        best = {before + least / 2, ns};
    }
    return best;
}

#if !defined(__aarch64__)
bool has_flags(const std::string &cpuinfo) {
    std::ifstream file(cpuinfo);
    for (std::string line; std::getline(file, line);)
        if (line.compare(0, 5, "flags") == 0)
            return (line + " ").find(" constant_tsc ") != std::string::npos && (line + " ").find(" nonstop_tsc ") != std::string::npos;
    return false;
}
#endif

void store_line(weft_clock_page *page, uint32_t version, const weft_clock_parameters &line) {
    weft_clock_parameters *to = &page->parameters[version & 1];
    store(&to->base_tsc, line.base_tsc);
    store(&to->base_ns, line.base_ns);
    store(&to->mult, line.mult);
}

void publish(weft_clock_page *page, const weft_clock_parameters &line) {
    const uint32_t next = load(&page->version) + 1;
    store_line(page, next, line);
    store_release(&page->version, next);
}

void pause(uint64_t ns) {
    const timespec span{0, static_cast<long>(ns)};
    nanosleep(&span, nullptr);
}

}  // namespace

bool counter_usable(const std::string &root) {
    std::ifstream file(root + "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    std::string source;
    file >> source;
#if defined(__aarch64__)
    return source == "arch_sys_counter";
#else
    const bool distrusted = source.empty() || source == "hpet" || source == "acpi_pm" || source.find("jiffies") != std::string::npos;
    return !distrusted && has_flags(root + "/proc/cpuinfo");
#endif
}

Failure ClockPage::open(const std::string &path, std::unique_ptr<ClockPage> *out) {
    std::unique_ptr<ClockPage> self(new ClockPage);
    if (Failure bad = self->map(path))
        return bad;
    weft_clock_page *page = self->page_;
    if (counter_usable()) {
        const bool known = load(&page->magic) == WEFT_CLOCK_MAGIC && load(&page->valid) == 1;
        const weft_clock_parameters old = page->parameters[load(&page->version) & 1];
        const ClockSample first = sample();
        pause(kFirstSpanNs);
        const ClockSample second = sample();
        if (!known || !self->servo_.take_over(old, first, second)) {
            self->servo_.start(first, second);
            publish(page, self->servo_.line());
        }
        store_release(&page->valid, 1);
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        self->thread_ = std::thread([servant = self.get()] { servant->run(); });
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    } else {
        store_release(&page->valid, 0);
    }
    store_release(&page->magic, WEFT_CLOCK_MAGIC);
    *out = std::move(self);
    return {};
}

Failure ClockPage::map(const std::string &path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return failure(errno, path);
    struct stat status;
    Failure bad;
    if (fstat(fd, &status) != 0 || fchmod(fd, 0644) != 0)
        bad = failure(errno, path);
    else if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_size != 0 && status.st_size != WEFT_PAGE))
        bad = {EPERM, path + ": not a clock page of this user"};
    else if (ftruncate(fd, WEFT_PAGE) != 0)
        bad = failure(errno, path);
    void *memory = bad ? MAP_FAILED : mmap(nullptr, WEFT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!bad && memory == MAP_FAILED)
        bad = failure(errno, path);
    close(fd);
    if (bad)
        return bad;
    page_ = static_cast<weft_clock_page *>(memory);
    read_only_fd_ = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return read_only_fd_ < 0 ? failure(errno, path) : Failure{};
}

/* A line is published before its beginning. Should the thread be held up in between, it computes another: readers of the old line
 * may have passed that beginning. */
void ClockPage::run() {
    pthread_setname_np(pthread_self(), "weft-clock");
    std::unique_lock<std::mutex> lock(mutex_);
    while (!ended_.wait_for(lock, std::chrono::nanoseconds(servo_.interval_ns()), [this] { return end_; })) {
        for (int tries = 0; tries < kPublishTries; tries++) {
            const ClockSample now = sample();
            ClockServo next = servo_;
            next.correct(now, weft_counter() + servo_.ticks_of(kPublishNs));
            const uint32_t version = load(&page_->version) + 1;
            store_line(page_, version, next.line());
            if (weft_counter() >= next.line().base_tsc)
                continue;
            store_release(&page_->version, version);
            servo_ = next;
            break;
        }
    }
}

ClockPage::~ClockPage() {
    if (thread_.joinable()) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            end_ = true;
        }
        ended_.notify_all();
        thread_.join();
    }
    if (page_ != nullptr)
        munmap(page_, WEFT_PAGE);
    if (read_only_fd_ >= 0)
        close(read_only_fd_);
}

uint64_t ClockPage::now() const { return weft_clock_read(page_); }

}  // namespace weft
