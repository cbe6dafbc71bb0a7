#include "addon/view_calls.h"

#include <cerrno>
#include <memory>

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

}  // namespace weft_addon
