/* Snapshots as JavaScript asks for them: each in a thread of its own, beside the reader's and never on the loop. */
#ifndef WEFT_ADDON_SNAPSHOT_CALLS_H
#define WEFT_ADDON_SNAPSHOT_CALLS_H

#include <atomic>
#include <thread>
#include <vector>

#include "addon/arguments.h"
#include "ring/reader_thread.h"
#include "ring/snapshot.h"

namespace weft_addon {

/* The snapshots of one reader that are under way. */
class Snapshots {
public:
    explicit Snapshots(Environment &environment) : environment_(environment) {}
    ~Snapshots() { join(); }
    Snapshots(const Snapshots &) = delete;

    /* A promise of [packets, bytes, events, begin, end, refused]. */
    napi_value start(const weft::ReaderOptions &reader, weft::SnapshotOptions options);
    /* On the loop: settles those that are done. */
    void rung();
    /* Waits for all of them, and settles them. */
    void finish();

private:
    struct Job {
        weft::SnapshotOptions options;
        int ring_fd = -1, reader_fd = -1; /* its own, and its own map: the reader may be closed meanwhile */
        weft::SetMap map;
        std::vector<weft::RingTarget> targets;
        weft::SnapshotResult result;
        weft::Failure failure;
        std::atomic<bool> done{false};
        napi_deferred promise = nullptr;
        std::thread thread;
        ~Job();
    };

    void join();
    weft::Failure begin(const weft::ReaderOptions &reader, Job *job);
    void settle(const Job &job) const;

    Environment &environment_;
    std::vector<std::unique_ptr<Job>> jobs_;
};

}  // namespace weft_addon

#endif
