#include "addon/map_calls.h"

#include <cstring>

#include "ring/counter_map.h"

namespace weft_addon {

using weft::Failure;

namespace {

/* A Uint32Array of cpuCount, slots, bits. */
weft_map_geometry geometry_of(Arguments *arguments, size_t i) {
    const std::vector<uint32_t> words = arguments->uint32s(i);
    return words.size() == 3 ? weft_map_geometry{words[0], words[1], words[2]} : weft_map_geometry{0, 0, 0};
}

template <typename T>
napi_value typed(napi_env env, napi_typedarray_type type, const std::vector<T> &values) {
    void *memory = nullptr;
    napi_value buffer = nullptr, array = nullptr;
    napi_create_arraybuffer(env, values.size() * sizeof(T), &memory, &buffer);
    if (!values.empty())
        memcpy(memory, values.data(), values.size() * sizeof(T));
    napi_create_typedarray(env, type, values.size(), buffer, 0, &array);
    return array;
}

napi_value undefined(napi_env env) {
    napi_value value = nullptr;
    napi_get_undefined(env, &value);
    return value;
}

}  // namespace

/* createMap(mapId, geometry) -> fd */
napi_value create_map(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    uint8_t id[16];
    arguments.id(0, id);
    const weft_map_geometry geometry = geometry_of(&arguments, 1);
    if (!arguments.ok())
        return nullptr;
    int fd = -1;
    const Failure bad = weft::create_map(geometry, id, &fd);
    return bad ? throw_failure(env, bad) : make_number(env, fd);
}

/* adoptMap(fd, mapId, geometry) */
napi_value adopt_map(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    uint8_t id[16];
    const int fd = arguments.fd(0);
    arguments.id(1, id);
    const weft_map_geometry geometry = geometry_of(&arguments, 2);
    if (!arguments.ok())
        return nullptr;
    const Failure bad = weft::adopt_map(fd, geometry, id);
    return bad ? throw_failure(env, bad) : undefined(env);
}

/* readMap(fd, geometry, slots, all 0|1) -> {cpus, slots, values, overflows} */
napi_value read_map(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const int fd = arguments.fd(0);
    const weft_map_geometry geometry = geometry_of(&arguments, 1);
    const uint32_t slots = arguments.uint32(2), all = arguments.uint32(3);
    if (!arguments.ok())
        return nullptr;
    weft::MapEntries entries;
    if (Failure bad = weft::read_map(fd, geometry, slots, all != 0, &entries))
        return throw_failure(env, bad);
    return make_object(env, {{"cpus", typed(env, napi_uint32_array, entries.cpus)},
                             {"slots", typed(env, napi_uint32_array, entries.slots)},
                             {"values", typed(env, napi_bigint64_array, entries.values)},
                             {"overflows", typed(env, napi_uint8_array, entries.overflows)}});
}

/* clearMap(fd, geometry, first, count) */
napi_value clear_map(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const int fd = arguments.fd(0);
    const weft_map_geometry geometry = geometry_of(&arguments, 1);
    const uint32_t first = arguments.uint32(2), count = arguments.uint32(3);
    if (!arguments.ok())
        return nullptr;
    const Failure bad = weft::clear_map(fd, geometry, first, count);
    return bad ? throw_failure(env, bad) : undefined(env);
}

}  // namespace weft_addon
