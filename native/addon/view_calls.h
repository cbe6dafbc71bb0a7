/* Decoding of traces for JavaScript: no event passes through it. */
#ifndef WEFT_ADDON_VIEW_CALLS_H
#define WEFT_ADDON_VIEW_CALLS_H

#include "addon/arguments.h"

namespace weft_addon {

napi_value view_traces(napi_env env, napi_callback_info info);
napi_value open_tail(napi_env env, napi_callback_info info);
napi_value read_tail(napi_env env, napi_callback_info info);

}  // namespace weft_addon

#endif
