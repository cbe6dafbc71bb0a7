/* Counter maps, as JavaScript calls them. */
#ifndef WEFT_ADDON_MAP_CALLS_H
#define WEFT_ADDON_MAP_CALLS_H

#include "addon/arguments.h"

namespace weft_addon {

napi_value create_map(napi_env env, napi_callback_info info);
napi_value adopt_map(napi_env env, napi_callback_info info);
napi_value read_map(napi_env env, napi_callback_info info);
napi_value clear_map(napi_env env, napi_callback_info info);

}  // namespace weft_addon

#endif
