/* The rest of what the daemon needs of the system: its clock page, its lock, waking applications, holes in spools. */
#ifndef WEFT_ADDON_SYSTEM_CALLS_H
#define WEFT_ADDON_SYSTEM_CALLS_H

#include "addon/arguments.h"
#include "ring/clock_page.h"

namespace weft_addon {

class Clock : public Resource {
public:
    static constexpr napi_type_tag kTag = {0x5d1fe9b1a34b4c59ull, 0x8f2ce1d0c7b64a04ull};

    Clock(Environment &environment, std::unique_ptr<weft::ClockPage> page) : Resource(environment), page_(std::move(page)) {}
    void close() override;
    const weft::ClockPage *page() const { return page_.get(); }

private:
    std::unique_ptr<weft::ClockPage> page_;
};

napi_value open_clock_page(napi_env env, napi_callback_info info);
napi_value read_clock(napi_env env, napi_callback_info info);
napi_value clock_offset(napi_env env, napi_callback_info info);
napi_value wake_applications(napi_env env, napi_callback_info info);
napi_value try_counter(napi_env env, napi_callback_info info);
napi_value lock_file(napi_env env, napi_callback_info info);
napi_value punch_hole(napi_env env, napi_callback_info info);
napi_value close_handle(napi_env env, napi_callback_info info);

}  // namespace weft_addon

#endif
