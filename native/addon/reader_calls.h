/* Reader threads and ring sets, as JavaScript calls them. */
#ifndef WEFT_ADDON_READER_CALLS_H
#define WEFT_ADDON_READER_CALLS_H

#include <deque>

#include "addon/arguments.h"
#include "addon/snapshot_calls.h"
#include "ring/reader_thread.h"
#include "ring/ring_set.h"

namespace weft_addon {

/*
 * listener(streams, others): streams is null or a flat array of [cpu, first, packets, bytes, events, begin, end, lost] per ring;
 * others is an array of [kind, cpu, text, message].
 */
class Reader : public Resource {
public:
    static constexpr napi_type_tag kTag = {0x5d1fe9b1a34b4c59ull, 0x8f2ce1d0c7b64a03ull};

    static weft::Failure open(Environment &environment, const weft::ReaderOptions &options, napi_value listener,
                              std::shared_ptr<Reader> *reader);
    explicit Reader(Environment &environment) : Resource(environment), snapshots_(environment) {}
    ~Reader() override { close(); }
    void close() override;
    void rung() override;

    /* A BigUint64Array over the thread's own counters. */
    napi_value make_stats() const;
    void set_plan(weft::Plan plan);
    void freeze(uint64_t for_ns);
    napi_value flush();
    napi_value snapshot(weft::SnapshotOptions options);
    napi_value rotate(weft::Rotation rotation);
    napi_value clear();
    napi_value reclaim(weft::Reclaiming reclaiming);
    napi_value end();

private:
    struct Waiting {
        uint64_t ticket;
        napi_deferred promise;
    };

    void tell(const weft::ReaderNews &news);
    /* Starts something whose end will be told with the ticket that `begin` returns. */
    napi_value wait_for(std::deque<Waiting> *list, const std::function<uint64_t()> &begin);
    void settle(std::deque<Waiting> *list, const weft::Done &done);
    void ended();

    std::unique_ptr<weft::ReaderThread> thread_;
    std::unique_ptr<Callback> listener_;
    std::deque<Waiting> flushes_;
    std::deque<Waiting> jobs_;
    std::vector<napi_deferred> ends_;
    Snapshots snapshots_;
};

napi_value create_ring_set(napi_env env, napi_callback_info info);
napi_value extract_rings(napi_env env, napi_callback_info info);
napi_value adopt_ring_set(napi_env env, napi_callback_info info);
napi_value allocate_ring(napi_env env, napi_callback_info info);
napi_value release_locks(napi_env env, napi_callback_info info);
napi_value ring_totals(napi_env env, napi_callback_info info);
napi_value ring_usage(napi_env env, napi_callback_info info);
napi_value start_reader(napi_env env, napi_callback_info info);
napi_value control_reader(napi_env env, napi_callback_info info);

}  // namespace weft_addon

#endif
