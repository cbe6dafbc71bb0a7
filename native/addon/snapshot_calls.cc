#include "addon/snapshot_calls.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weft_addon {

using weft::Failure;

Snapshots::Job::~Job() {
    if (thread.joinable())
        thread.join();
    for (const int fd : {ring_fd, reader_fd})
        if (fd >= 0)
            ::close(fd);
}

Failure Snapshots::begin(const weft::ReaderOptions &reader, Job *job) {
    job->ring_fd = fcntl(reader.ring_fd, F_DUPFD_CLOEXEC, 3);
    job->reader_fd = fcntl(reader.reader_fd, F_DUPFD_CLOEXEC, 3);
    if (job->ring_fd < 0 || job->reader_fd < 0)
        return weft::failure(errno, "ring memory");
    if (Failure bad = job->map.open(reader.geometry, job->ring_fd, job->reader_fd, reader.ring_id, true))
        return bad;
    job->targets = weft::snapshot_targets(job->map); /* now, not when the thread gets a processor */
    sigset_t all, before; /* signals are the main thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    job->thread = std::thread([this, job] {
        pthread_setname_np(pthread_self(), "weft-snapshot");
        job->failure = weft::take_snapshot(job->map, job->ring_fd, job->targets, job->options, &job->result);
        job->done.store(true);
        environment_.ring();
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return {};
}

napi_value Snapshots::start(const weft::ReaderOptions &reader, weft::SnapshotOptions options) {
    napi_env env = environment_.env();
    auto job = std::make_unique<Job>();
    job->options = std::move(options);
    std::copy(std::begin(reader.uuid), std::end(reader.uuid), job->options.uuid);
    job->options.stream_class_id = reader.stream_class_id;
    job->options.stream_instance_base = reader.stream_instance_base;
    napi_value promise = nullptr;
    napi_create_promise(env, &job->promise, &promise);
    if (Failure bad = begin(reader, job.get()))
        napi_reject_deferred(env, job->promise, make_error(env, bad));
    else
        jobs_.push_back(std::move(job));
    return promise;
}

void Snapshots::settle(const Job &job) const {
    napi_env env = environment_.env();
    if (job.failure) {
        napi_reject_deferred(env, job.promise, make_error(env, job.failure));
        return;
    }
    napi_value list = nullptr;
    napi_create_array(env, &list);
    const weft::SnapshotResult &r = job.result;
    uint32_t at = 0;
    for (const uint64_t value : {r.packets, r.bytes, r.events, r.begin, r.end, r.refused})
        napi_set_element(env, list, at++, make_bigint(env, value));
    napi_resolve_deferred(env, job.promise, list);
}

void Snapshots::rung() {
    const auto done = std::partition(jobs_.begin(), jobs_.end(), [](const std::unique_ptr<Job> &job) { return !job->done.load(); });
    const std::vector<std::unique_ptr<Job>> ended(std::make_move_iterator(done), std::make_move_iterator(jobs_.end()));
    jobs_.erase(done, jobs_.end());
    for (const std::unique_ptr<Job> &job : ended)
        settle(*job);
}

void Snapshots::join() {
    for (const std::unique_ptr<Job> &job : jobs_)
        if (job->thread.joinable())
            job->thread.join();
}

void Snapshots::finish() {
    join();
    rung();
}

}  // namespace weft_addon
