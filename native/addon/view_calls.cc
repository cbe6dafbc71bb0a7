#include "addon/view_calls.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include "ctf/tail.h"
#include "ctf/view.h"

namespace weft_addon {

namespace {

struct Work {
    napi_async_work work = nullptr;
    napi_deferred promise = nullptr;
    weft::ctf::ViewPlan plan;
    weft::ctf::ViewResult result;
};

void put(napi_env env, napi_value list, napi_value value) {
    uint32_t length = 0;
    napi_get_array_length(env, list, &length);
    napi_set_element(env, list, length, value);
}

napi_value make_list(napi_env env) {
    napi_value list = nullptr;
    napi_create_array(env, &list);
    return list;
}

napi_value make_signed(napi_env env, int64_t value) {
    napi_value made = nullptr;
    napi_create_bigint_int64(env, value, &made);
    return made;
}

napi_value result_of(napi_env env, const weft::ctf::ViewResult &result) {
    napi_value list = make_list(env), losses = make_list(env), faults = make_list(env);
    for (const weft::ctf::Loss &one : result.losses) {
        put(env, losses, make_text(env, one.path));
        put(env, losses, make_bigint(env, one.events));
        put(env, losses, make_bigint(env, one.packets));
        put(env, losses, make_signed(env, one.begin));
        put(env, losses, make_signed(env, one.end));
    }
    for (const weft::ctf::ViewFault &one : result.faults) {
        put(env, faults, make_text(env, one.path));
        put(env, faults, make_bigint(env, one.offset));
        put(env, faults, make_text(env, one.message));
    }
    put(env, list, make_bigint(env, result.events));
    put(env, list, losses);
    put(env, list, faults);
    put(env, list, make_text(env, result.output ? error_name(result.output.error) : ""));
    put(env, list, make_text(env, result.output.message));
    return list;
}

void execute(napi_env, void *data) {
    Work *work = static_cast<Work *>(data);
    weft::ctf::run_view(&work->plan, &work->result);
}

void complete(napi_env env, napi_status, void *data) {
    const std::unique_ptr<Work> work(static_cast<Work *>(data));
    napi_resolve_deferred(env, work->promise, result_of(env, work->result));
    napi_delete_async_work(env, work->work);
}

}  // namespace

/* viewTraces(plan) -> promise of [events, losses, faults, errno name, message] */
napi_value view_traces(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    size_t length = 0;
    const uint8_t *bytes = arguments.bytes(0, &length);
    if (!arguments.ok())
        return nullptr;
    auto work = std::make_unique<Work>();
    if (!weft::ctf::read_plan(bytes, length, &work->plan))
        return throw_failure(env, {EINVAL, "these bytes are no plan"});
    napi_value promise = nullptr;
    napi_create_promise(env, &work->promise, &promise);
    napi_create_async_work(env, nullptr, make_text(env, "weft-view"), execute, complete, work.get(), &work->work);
    napi_queue_async_work(env, work.release()->work);
    return promise;
}

namespace {

/* One question at a time: the wrapper (index.ts) waits for the answer before it asks again. */
class TailHandle : public Resource {
public:
    static constexpr napi_type_tag kTag = {0x6c1f8a0e53b94d27, 0x9d0b7c36e2f14a85};
    explicit TailHandle(Environment &environment) : Resource(environment) {}
    void close() override {}
    weft::ctf::Tail tail;
    bool busy = false;
};

struct TailWork {
    napi_async_work work = nullptr;
    napi_deferred promise = nullptr;
    std::shared_ptr<TailHandle> handle;
    std::vector<std::pair<std::string, bool>> files;
    uint64_t limit = 0;
    weft::ctf::TailNews news;
};

void execute_tail(napi_env, void *data) {
    TailWork *work = static_cast<TailWork *>(data);
    for (const auto &one : work->files)
        work->handle->tail.follow(one.first, one.second);
    work->handle->tail.read(work->limit, &work->news);
}

void complete_tail(napi_env env, napi_status, void *data) {
    const std::unique_ptr<TailWork> work(static_cast<TailWork *>(data));
    work->handle->busy = false;
    napi_value list = make_list(env), records = make_list(env), faults = make_list(env);
    uint32_t at = 0;
    for (const weft::ctf::TailRecord &one : work->news.records) {
        napi_set_element(env, records, at++, make_signed(env, one.time));
        for (const std::string *text : {&one.name, &one.text, &one.json})
            napi_set_element(env, records, at++, make_text(env, *text));
    }
    for (const std::string &one : work->news.faults)
        put(env, faults, make_text(env, one));
    put(env, list, records);
    put(env, list, make_number(env, static_cast<double>(work->news.left_out)));
    put(env, list, make_number(env, static_cast<double>(work->news.packets_left_out)));
    put(env, list, faults);
    napi_resolve_deferred(env, work->promise, list);
    napi_delete_async_work(env, work->work);
}

}  // namespace

/* openTail(handle or null, table) -> handle, whose files go on where they were */
napi_value open_tail(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    size_t length = 0;
    const uint8_t *bytes = arguments.bytes(0, &length);
    const std::shared_ptr<TailHandle> known = arguments.count() > 1 ? arguments.resource<TailHandle>(1) : nullptr;
    if (!arguments.ok())
        return nullptr;
    if (known && known->busy)
        return throw_failure(env, {EBUSY, "it is being read"});
    const auto handle = known ? known : std::make_shared<TailHandle>(arguments.environment());
    if (!handle->tail.lay_out(bytes, length))
        return throw_failure(env, {EINVAL, "these bytes are no table"});
    return make_handle(env, handle, TailHandle::kTag);
}

/* readTail(handle, limit, files from now on, files from their start; a NUL between two) -> promise of [records, left out, packets left out, faults] */
napi_value read_tail(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    auto work = std::make_unique<TailWork>();
    work->handle = arguments.resource<TailHandle>(0);
    work->limit = arguments.uint32(1);
    for (const bool from_start : {false, true}) {
        size_t length = 0;
        const uint8_t *bytes = arguments.bytes(from_start ? 3 : 2, &length);
        const std::string paths(reinterpret_cast<const char *>(bytes), bytes == nullptr ? 0 : length);
        for (size_t from = 0, to; from < paths.size(); from = to + 1) {
            to = std::min(paths.find('\0', from), paths.size());
            work->files.emplace_back(paths.substr(from, to - from), from_start);
        }
    }
    if (!arguments.ok())
        return nullptr;
    if (work->handle->busy)
        return throw_failure(env, {EBUSY, "it is being read"});
    work->handle->busy = true;
    napi_value promise = nullptr;
    napi_create_promise(env, &work->promise, &promise);
    napi_create_async_work(env, nullptr, make_text(env, "weft-tail"), execute_tail, complete_tail, work.get(), &work->work);
    napi_queue_async_work(env, work.release()->work);
    return promise;
}

}  // namespace weft_addon
