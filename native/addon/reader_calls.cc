#include "addon/reader_calls.h"

#include <cerrno>
#include <utility>

#include "ring/crash_files.h"

namespace weft_addon {

using weft::Failure;
using weft::Plan;

/* ---- readers ---- */

Failure Reader::open(Environment &environment, const weft::ReaderOptions &options, napi_value listener,
                     std::shared_ptr<Reader> *out) {
    const auto reader = std::make_shared<Reader>(environment);
    if (Failure bad = weft::ReaderThread::start(options, [&environment] { environment.ring(); }, &reader->thread_))
        return bad;
    reader->listener_.reset(new Callback(environment.env(), listener));
    environment.opened(reader, true);
    *out = reader;
    return {};
}

/* Ends and joins the thread: at most one batch later. Promises of an environment that ends are never settled. */
void Reader::close() {
    if (!thread_)
        return;
    thread_.reset();
    listener_.reset();
    if (const std::shared_ptr<Resource> self = weak_from_this().lock())
        environment_.closed(self);
}

napi_value Reader::make_stats() const {
    napi_env env = environment_.env();
    auto *share = new std::shared_ptr<uint64_t>(thread_->stats());
    const size_t values = thread_->stats_count();
    napi_value buffer = nullptr, array = nullptr;
    napi_create_external_arraybuffer(
        env, share->get(), values * sizeof(uint64_t),
        [](napi_env, void *, void *data) { delete static_cast<std::shared_ptr<uint64_t> *>(data); }, share, &buffer);
    napi_create_typedarray(env, napi_biguint64_array, values, buffer, 0, &array);
    return array;
}

void Reader::set_plan(Plan plan) {
    if (thread_)
        thread_->set_plan(plan);
}

void Reader::freeze(uint64_t for_ns) {
    if (thread_)
        thread_->freeze(for_ns);
}

napi_value Reader::flush() {
    return wait_for(&flushes_, [this] { return thread_->flush(); });
}

napi_value Reader::rotate(weft::Rotation rotation) {
    return wait_for(&jobs_, [&] { return thread_->rotate(std::move(rotation)); });
}

napi_value Reader::clear() {
    return wait_for(&jobs_, [this] { return thread_->clear(); });
}

napi_value Reader::reclaim(weft::Reclaiming reclaiming) {
    return wait_for(&jobs_, [&] { return thread_->reclaim(reclaiming); });
}

napi_value Reader::wait_for(std::deque<Waiting> *list, const std::function<uint64_t()> &begin) {
    napi_env env = environment_.env();
    napi_deferred deferred = nullptr;
    napi_value promise = nullptr;
    napi_create_promise(env, &deferred, &promise);
    if (thread_ && ends_.empty())
        list->push_back({begin(), deferred});
    else
        napi_reject_deferred(env, deferred, make_error(env, {EBADF, "the reader is closed"}));
    return promise;
}

napi_value Reader::snapshot(weft::SnapshotOptions options) {
    if (!thread_)
        return throw_failure(environment_.env(), {EBADF, "the reader is closed"});
    return snapshots_.start(thread_->options(), std::move(options));
}

napi_value Reader::end() {
    napi_env env = environment_.env();
    napi_deferred deferred = nullptr;
    napi_value promise = nullptr, undefined = nullptr;
    napi_create_promise(env, &deferred, &promise);
    napi_get_undefined(env, &undefined);
    if (!thread_) {
        napi_resolve_deferred(env, deferred, undefined);
        return promise;
    }
    ends_.push_back(deferred);
    thread_->end();
    return promise;
}

void Reader::rung() {
    if (!thread_)
        return;
    snapshots_.rung();
    const weft::ReaderNews news = thread_->news();
    if (!news.rings.empty())
        tell(news);
    for (const weft::Done &done : news.flushes)
        settle(&flushes_, done);
    for (const weft::Done &done : news.jobs)
        settle(&jobs_, done);
    if (news.ended)
        ended();
}

/* With [reclaimed, pending], which mean something to who asked for that. */
void Reader::settle(std::deque<Waiting> *list, const weft::Done &done) {
    napi_env env = environment_.env();
    while (!list->empty() && list->front().ticket <= done.ticket) {
        const napi_deferred promise = list->front().promise;
        list->pop_front();
        if (done.failure) {
            napi_reject_deferred(env, promise, make_error(env, done.failure));
            continue;
        }
        napi_value counts = nullptr;
        napi_create_array(env, &counts);
        napi_set_element(env, counts, 0, make_number(env, static_cast<double>(done.reclaimed)));
        napi_set_element(env, counts, 1, make_number(env, static_cast<double>(done.pending)));
        napi_resolve_deferred(env, promise, counts);
    }
}

void Reader::ended() {
    napi_env env = environment_.env();
    settle(&flushes_, {UINT64_MAX, {ECANCELED, "the reader was closed before it could flush"}});
    settle(&jobs_, {UINT64_MAX, {ECANCELED, "the reader was closed before it had done it"}});
    snapshots_.finish();
    close();
    napi_value undefined = nullptr;
    napi_get_undefined(env, &undefined);
    for (const napi_deferred promise : std::exchange(ends_, {}))
        napi_resolve_deferred(env, promise, undefined);
}

namespace {

void push(napi_env env, napi_value list, napi_value value) {
    uint32_t length = 0;
    napi_get_array_length(env, list, &length);
    napi_set_element(env, list, length, value);
}

void push_streams(napi_env env, napi_value list, const weft::RingNews &ring) {
    for (napi_value value : {make_number(env, ring.cpu), make_bigint(env, ring.first), make_number(env, static_cast<double>(ring.packets)),
                             make_number(env, static_cast<double>(ring.bytes)), make_bigint(env, ring.events),
                             make_bigint(env, ring.begin), make_bigint(env, ring.end), make_bigint(env, ring.lost)})
        push(env, list, value);
}

void push_other(napi_env env, napi_value list, const char *kind, uint32_t cpu, const std::string &text, const std::string &message) {
    for (napi_value value : {make_text(env, kind), make_number(env, cpu), make_text(env, text), make_text(env, message)})
        push(env, list, value);
}

}  // namespace

void Reader::tell(const weft::ReaderNews &news) {
    napi_env env = environment_.env();
    napi_value streams = nullptr, others = nullptr;
    napi_create_array(env, &streams);
    napi_create_array(env, &others);
    for (const weft::RingNews &ring : news.rings) {
        if (ring.packets > 0)
            push_streams(env, streams, ring);
        if (ring.failed)
            push_other(env, others, "write-failed", ring.cpu, error_name(ring.failed.error), ring.failed.message);
        if (ring.resumed)
            push_other(env, others, "write-resumed", ring.cpu, "", "");
        if (ring.cut_late)
            push_other(env, others, "cut-late", ring.cpu, "", "");
        if (ring.corrupt != weft::Cause::kNone)
            push_other(env, others, "corrupt", ring.cpu, weft::cause_name(ring.corrupt), "");
    }
    listener_->call({streams, others});
}

namespace {

/* False: there is no such plan, and an exception is pending. */
bool plan_named(napi_env env, const std::string &name, Plan *plan) {
    const bool known = name == "append" || name == "hold" || name == "count";
    *plan = name == "hold" ? Plan::kHold : name == "count" ? Plan::kCount : Plan::kAppend;
    if (!known)
        napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", ("no such plan: " + name).c_str());
    return known;
}

}  // namespace

/* startReader(ringFd, readerFd, ringId, geometry, directory, prefix, uuid, streamClassId, instanceBase, readTimerNs, switchTimerNs,
 * chunk, previousChunk, previousDirectory, tracefileSize, tracefileCount, listener, plan, reclaim, reclaimAgeNs, live) -> [handle, stats]; the fds are the reader's unless this throws */
napi_value start_reader(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    weft::ReaderOptions options;
    options.ring_fd = arguments.fd(0);
    options.reader_fd = arguments.fd(1);
    arguments.id(2, options.ring_id);
    options.geometry = arguments.geometry(3);
    options.directory = arguments.text(4);
    options.file_prefix = arguments.text(5);
    arguments.id(6, options.uuid);
    options.stream_class_id = arguments.uint32(7);
    options.stream_instance_base = arguments.uint64(8);
    options.read_timer_ns = arguments.uint64(9);
    options.switch_timer_ns = arguments.uint64(10);
    options.chunk = arguments.uint64(11);
    options.previous_chunk = arguments.uint64(12);
    options.previous_directory = arguments.text(13);
    options.tracefiles = {arguments.uint64(14), arguments.uint64(15)};
    napi_value listener = arguments.function(16);
    const std::string plan = arguments.text(17);
    options.reclaim_consumed = arguments.text(18) == "consumed";
    options.reclaim_age_ns = arguments.uint64(19);
    options.live = arguments.uint32(20) != 0;
    if (!arguments.ok() || !plan_named(env, plan, &options.plan))
        return nullptr;
    std::shared_ptr<Reader> reader;
    if (Failure bad = Reader::open(arguments.environment(), options, listener, &reader))
        return throw_failure(env, bad);
    napi_value list = nullptr;
    napi_create_array(env, &list);
    push(env, list, make_handle(env, reader, Reader::kTag));
    push(env, list, reader->make_stats());
    return list;
}

namespace {

/* ... 'snapshot', directory, filePrefix, maxStreamBytes) */
napi_value take_snapshot(Arguments &arguments, Reader &reader) {
    weft::SnapshotOptions options;
    options.directory = arguments.text(2);
    options.file_prefix = arguments.text(3);
    options.max_stream_bytes = arguments.uint64(4);
    return arguments.ok() ? reader.snapshot(std::move(options)) : nullptr;
}

napi_value reclaim_with(Reader &reader, Arguments &arguments) {
    const weft::Reclaiming reclaiming{arguments.uint64(2), arguments.uint32(3) != 0};
    return arguments.ok() ? reader.reclaim(reclaiming) : nullptr;
}

napi_value rotate_reader(Reader &reader, Arguments &arguments) {
    weft::Rotation rotation;
    rotation.chunk = arguments.uint64(2);
    rotation.directory = arguments.text(3);
    rotation.at = arguments.uint64(4);
    size_t length = 0;
    const uint8_t *layout = arguments.bytes(5, &length);
    if (!arguments.ok())
        return nullptr;
    if (!rotation.layout.parse(layout, length))
        return throw_failure(arguments.env(), {EINVAL, "layout: not what encodeLayout makes"});
    return reader.rotate(std::move(rotation));
}

}  // namespace

/* controlReader(handle, 'append' | 'hold' | 'count' | 'flush' | 'clear' | 'close'), (handle, 'rotate', chunk, directory, at, layout),
 * (handle, 'reclaim', ageNs, wait) -> [reclaimed, pending], (handle, 'snapshot', directory, filePrefix, maxStreamBytes) or (handle, 'freeze', ns) */
napi_value control_reader(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const std::shared_ptr<Reader> reader = arguments.resource<Reader>(0);
    const std::string what = arguments.text(1);
    if (!arguments.ok())
        return nullptr;
    if (what == "flush")
        return reader->flush();
    if (what == "clear")
        return reader->clear();
    if (what == "reclaim")
        return reclaim_with(*reader, arguments);
    if (what == "rotate")
        return rotate_reader(*reader, arguments);
    if (what == "close")
        return reader->end();
    if (what == "snapshot")
        return take_snapshot(arguments, *reader);
    if (what == "freeze") {
        const uint64_t for_ns = arguments.uint64(2);
        if (arguments.ok())
            reader->freeze(for_ns);
        return nullptr;
    }
    Plan plan;
    if (plan_named(env, what, &plan))
        reader->set_plan(plan);
    return nullptr;
}

/* ---- ring sets ---- */

namespace {

napi_value describe(napi_env env, const weft::RingSetFds &fds) {
    return make_object(env, {{"ringFd", make_number(env, fds.ring)},
                             {"readerFd", make_number(env, fds.reader)},
                             {"readerFdReadOnly", make_number(env, fds.reader_read_only)},
                             {"allocatedBytes", make_number(env, static_cast<double>(fds.allocated))}});
}

}  // namespace

/* createRingSet(ringId, geometry, cpus, path) */
napi_value create_ring_set(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    uint8_t ring_id[16];
    arguments.id(0, ring_id);
    const weft_geometry geometry = arguments.geometry(1);
    const std::vector<uint32_t> cpus = arguments.uint32s(2);
    const std::string path = arguments.text(3);
    if (!arguments.ok())
        return nullptr;
    weft::RingSetFds fds;
    const Failure bad = weft::create_ring_set(geometry, ring_id, cpus, &fds, path);
    return bad ? throw_failure(env, bad) : describe(env, fds);
}

/* extractRings(ringId, geometry, ringFd, readerFd, directory, filePrefix, uuid, streamClassId, streamInstanceBase, what)
 * -> [packets, bytes, events, begin, end, refused] */
napi_value extract_rings(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    uint8_t ring_id[16];
    arguments.id(0, ring_id);
    const weft_geometry geometry = arguments.geometry(1);
    const int ring_fd = arguments.fd(2), reader_fd = arguments.fd(3);
    weft::SnapshotOptions options;
    options.directory = arguments.text(4);
    options.file_prefix = arguments.text(5);
    arguments.id(6, options.uuid);
    options.stream_class_id = arguments.uint32(7);
    options.stream_instance_base = arguments.uint64(8);
    options.unread = arguments.text(9) == "unread";
    if (!arguments.ok())
        return nullptr;
    weft::SnapshotResult result;
    if (Failure bad = weft::extract_rings(geometry, ring_id, ring_fd, reader_fd, options, &result))
        return throw_failure(env, bad);
    napi_value list = nullptr;
    napi_create_array(env, &list);
    for (const uint64_t value : {result.packets, result.bytes, result.events, result.begin, result.end, result.refused})
        push(env, list, make_bigint(env, value));
    return list;
}

/* adoptRingSet(ringId, geometry, ringFd, readerFd) */
napi_value adopt_ring_set(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    uint8_t ring_id[16];
    arguments.id(0, ring_id);
    const weft_geometry geometry = arguments.geometry(1);
    weft::RingSetFds fds;
    fds.ring = arguments.fd(2);
    fds.reader = arguments.fd(3);
    if (!arguments.ok())
        return nullptr;
    const Failure bad = weft::adopt_ring_set(geometry, ring_id, &fds);
    return bad ? throw_failure(env, bad) : describe(env, fds);
}

/* allocateRing(ringFd, geometry, cpu) -> bytes; 0: it was there */
napi_value allocate_ring(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const int fd = arguments.fd(0);
    const weft_geometry geometry = arguments.geometry(1);
    const uint32_t cpu = arguments.uint32(2);
    if (!arguments.ok())
        return nullptr;
    uint64_t allocated = 0;
    const Failure bad = weft::allocate_ring(fd, geometry, cpu, &allocated);
    return bad ? throw_failure(env, bad) : make_number(env, static_cast<double>(allocated));
}

/* releaseLocks(ringFd, geometry, applicationId) -> number */
napi_value release_locks(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const int fd = arguments.fd(0);
    const weft_geometry geometry = arguments.geometry(1);
    const uint32_t application = arguments.uint32(2);
    if (!arguments.ok())
        return nullptr;
    uint32_t released = 0;
    const Failure bad = weft::release_locks(fd, geometry, application, &released);
    return bad ? throw_failure(env, bad) : make_number(env, released);
}

/* ringUsage(ringFd, readerFd, geometry) -> bigint[]: bytes that wait in the fullest ring, then the memory of each CPU's ring */
napi_value ring_usage(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const int ring_fd = arguments.fd(0), reader_fd = arguments.fd(1);
    const weft_geometry geometry = arguments.geometry(2);
    if (!arguments.ok())
        return nullptr;
    uint64_t waiting = 0;
    std::vector<uint64_t> memory;
    if (Failure bad = weft::ring_usage(ring_fd, reader_fd, geometry, &waiting))
        return throw_failure(env, bad);
    if (Failure bad = weft::ring_memory(ring_fd, reader_fd, geometry, &memory))
        return throw_failure(env, bad);
    napi_value list = nullptr;
    napi_create_array(env, &list);
    push(env, list, make_bigint(env, waiting));
    for (const uint64_t bytes : memory)
        push(env, list, make_bigint(env, bytes));
    return list;
}

/* ringTotals(ringFd, readerFd, geometry) -> bigint[], in the order of STATS_FIELDS */
napi_value ring_totals(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const int ring_fd = arguments.fd(0), reader_fd = arguments.fd(1);
    const weft_geometry geometry = arguments.geometry(2);
    if (!arguments.ok())
        return nullptr;
    weft::RingTotals totals;
    if (Failure bad = weft::ring_totals(ring_fd, reader_fd, geometry, &totals))
        return throw_failure(env, bad);
    napi_value list = nullptr;
    napi_create_array(env, &list);
    for (const uint64_t value : {totals.packets, totals.events, totals.bytes, totals.lost[WEFT_LOST_FULL], totals.lost[WEFT_LOST_TOO_BIG],
                                 totals.lost[WEFT_LOST_RESTARTS], totals.lost[WEFT_LOST_NESTED], totals.lost[WEFT_LOST_CONTENDED],
                                 totals.lost[WEFT_LOST_NO_MEMORY], totals.lost[WEFT_LOST_FROZEN], totals.overwritten, totals.position, totals.consumed})
        push(env, list, make_bigint(env, value));
    return list;
}

}  // namespace weft_addon
