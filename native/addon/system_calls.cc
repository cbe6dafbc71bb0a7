#include "addon/system_calls.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>

#include "addon/reader_calls.h"
#include "addon/seqpacket.h"
#include "addon/wait_pages.h"

namespace weft_addon {

using weft::Failure;

void Clock::close() {
    page_.reset();
    if (const std::shared_ptr<Resource> self = weak_from_this().lock())
        environment_.closed(self);
}

/* openClockPage(path) -> [handle, readOnlyFd] */
napi_value open_clock_page(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const std::string path = arguments.text(0);
    if (!arguments.ok())
        return nullptr;
    std::unique_ptr<weft::ClockPage> page;
    if (Failure bad = weft::ClockPage::open(path, &page))
        return throw_failure(env, bad);
    const int fd = page->read_only_fd();
    const auto clock = std::make_shared<Clock>(arguments.environment(), std::move(page));
    arguments.environment().opened(clock, false);
    napi_value list = nullptr;
    napi_create_array(env, &list);
    napi_set_element(env, list, 0, make_handle(env, clock, Clock::kTag));
    napi_set_element(env, list, 1, make_number(env, fd));
    return list;
}

/* readClock(handle) -> bigint */
napi_value read_clock(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const std::shared_ptr<Clock> clock = arguments.resource<Clock>(0);
    if (!arguments.ok())
        return nullptr;
    if (clock->page() == nullptr)
        return throw_failure(env, {EBADF, "the clock page is closed"});
    return make_bigint(env, clock->page()->now());
}

namespace {

int64_t nanoseconds(clockid_t clock) {
    timespec t = {};
    clock_gettime(clock, &t);
    return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

constexpr int kReadings = 8;

}  // namespace

/* clockOffset() -> bigint: of several readings the one in which least time went by, for a thread may lose the processor in between. */
napi_value clock_offset(napi_env env, napi_callback_info) {
    int64_t narrowest = INT64_MAX;
    int64_t offset = 0;
    for (int i = 0; i < kReadings; i++) {
        const int64_t before = nanoseconds(CLOCK_MONOTONIC);
        const int64_t real = nanoseconds(CLOCK_REALTIME);
        const int64_t took = nanoseconds(CLOCK_MONOTONIC) - before;
        if (took >= narrowest)
            continue;
        narrowest = took;
        offset = real - before - took / 2;
    }
    napi_value result = nullptr;
    napi_create_bigint_int64(env, offset, &result);
    return result;
}

/* wakeApplications(uid) */
napi_value wake_applications(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const uint32_t uid = arguments.uint32(0);
    if (arguments.ok())
        wake_wait_pages(uid);
    return nullptr;
}

/* tryCounter(type, config): throws what a thread that opened this performance counter would be told */
napi_value try_counter(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    perf_event_attr attributes = {};
    attributes.type = arguments.uint32(0);
    attributes.config = arguments.uint64(1);
    if (!arguments.ok())
        return nullptr;
    attributes.size = sizeof(attributes);
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    const int fd = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
    if (fd < 0)
        return throw_failure(env, weft::failure(errno, "perf_event_open"));
    close(fd);
    return nullptr;
}

/* lockFile(path, forExec) -> fd, or -1 when somebody else holds it; `forExec`: a program that replaces this one holds it too */
napi_value lock_file(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const std::string path = arguments.text(0);
    const bool for_exec = arguments.uint32(1) != 0;
    if (!arguments.ok())
        return nullptr;
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | (for_exec ? 0 : O_CLOEXEC), 0600);
    if (fd < 0)
        return throw_failure(env, weft::failure(errno, path));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return make_number(env, fd);
    const int error = errno;
    close(fd);
    return error == EWOULDBLOCK ? make_number(env, -1) : throw_failure(env, weft::failure(error, path));
}

/* punchHole(fd, offset, length): the bytes read as zeros from now on and take no room; the file keeps its length */
napi_value punch_hole(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const int fd = arguments.fd(0);
    const uint64_t offset = arguments.uint64(1);
    const uint64_t length = arguments.uint64(2);
    if (!arguments.ok())
        return nullptr;
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) != 0)
        return throw_failure(env, weft::failure(errno, "a hole in fd " + std::to_string(fd)));
    return nullptr;
}

namespace {

template <typename T>
std::shared_ptr<Resource> resource_if(napi_env env, napi_value handle, Arguments &arguments) {
    bool matches = false;
    napi_check_object_type_tag(env, handle, &T::kTag, &matches);
    return matches ? arguments.resource<T>(0) : nullptr;
}

napi_value close_fd(napi_env env, Arguments &arguments) {
    const int fd = arguments.fd(1);
    if (arguments.ok() && close(fd) != 0 && errno == EBADF)
        return throw_failure(env, weft::failure(EBADF, "closing fd " + std::to_string(fd)));
    return nullptr;
}

}  // namespace

/* closeHandle(handle): of a server, a connection or a clock page. closeHandle(null, fd): a file descriptor */
napi_value close_handle(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    if (arguments.count() > 1)
        return close_fd(env, arguments);
    napi_value handle = arguments.object(0);
    if (!arguments.ok())
        return nullptr;
    std::shared_ptr<Resource> resource = resource_if<Connection>(env, handle, arguments);
    if (!resource)
        resource = resource_if<Server>(env, handle, arguments);
    if (!resource)
        resource = resource_if<Clock>(env, handle, arguments);
    if (resource)
        resource->close();
    else
        napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a handle of this module is needed");
    return nullptr;
}

}  // namespace weft_addon
