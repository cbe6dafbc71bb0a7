#include "addon/arguments.h"

#include <climits>
#include <cstring>

namespace weft_addon {

Arguments::Arguments(napi_env env, napi_callback_info info) : env_(env) {
    void *data = nullptr;
    ok_ = napi_get_cb_info(env, info, &count_, values_, nullptr, &data) == napi_ok;
    environment_ = static_cast<Environment *>(data);
}

void Arguments::need(bool holds, const char *what) {
    if (holds || !ok_)
        return;
    ok_ = false;
    napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", what);
}

/* napi_get_cb_info fills missing arguments with undefined. */
napi_value Arguments::at(size_t i) { return values_[i]; }

uint32_t Arguments::uint32(size_t i) {
    double value = -1;
    need(napi_get_value_double(env_, at(i), &value) == napi_ok && value >= 0 && value <= UINT32_MAX, "an unsigned number is needed");
    return ok_ ? static_cast<uint32_t>(value) : 0;
}

int Arguments::fd(size_t i) {
    const uint32_t value = uint32(i);
    need(value <= INT_MAX, "a file descriptor is needed");
    return static_cast<int>(value);
}

uint64_t Arguments::uint64(size_t i) {
    uint64_t value = 0;
    bool lossless = false;
    need(napi_get_value_bigint_uint64(env_, at(i), &value, &lossless) == napi_ok && lossless, "an unsigned bigint is needed");
    return value;
}

std::string Arguments::text(size_t i) {
    size_t length = 0;
    need(napi_get_value_string_utf8(env_, at(i), nullptr, 0, &length) == napi_ok, "a string is needed");
    if (!ok_)
        return "";
    std::string value(length + 1, '\0');
    napi_get_value_string_utf8(env_, at(i), &value[0], value.size(), &length);
    value.resize(length);
    need(value.find('\0') == std::string::npos, "a string without NUL is needed");
    return value;
}

napi_value Arguments::function(size_t i) {
    napi_valuetype type = napi_undefined;
    need(napi_typeof(env_, at(i), &type) == napi_ok && type == napi_function, "a function is needed");
    return at(i);
}

napi_value Arguments::object(size_t i) {
    napi_valuetype type = napi_undefined;
    need(napi_typeof(env_, at(i), &type) == napi_ok && type == napi_object, "an object is needed");
    return at(i);
}

bool Arguments::is_number(size_t i) const {
    napi_valuetype type = napi_undefined;
    return napi_typeof(env_, values_[i], &type) == napi_ok && type == napi_number;
}

const uint8_t *Arguments::bytes(size_t i, size_t *length) {
    napi_typedarray_type type = napi_int8_array;
    void *data = nullptr;
    *length = 0;
    bool is = false;
    need(napi_is_typedarray(env_, at(i), &is) == napi_ok && is, "a Uint8Array is needed");
    if (ok_)
        need(napi_get_typedarray_info(env_, at(i), &type, length, &data, nullptr, nullptr) == napi_ok && type == napi_uint8_array,
             "a Uint8Array is needed");
    return static_cast<const uint8_t *>(data);
}

void Arguments::id(size_t i, uint8_t out[16]) {
    size_t length = 0;
    const uint8_t *data = bytes(i, &length);
    need(length == 16, "an id of 16 bytes is needed");
    if (ok_)
        std::memcpy(out, data, 16);
}

std::vector<uint32_t> Arguments::uint32s(size_t i) {
    napi_typedarray_type type = napi_int8_array;
    void *data = nullptr;
    size_t length = 0;
    bool is = false;
    need(napi_is_typedarray(env_, at(i), &is) == napi_ok && is, "a Uint32Array is needed");
    if (ok_)
        need(napi_get_typedarray_info(env_, at(i), &type, &length, &data, nullptr, nullptr) == napi_ok && type == napi_uint32_array,
             "a Uint32Array is needed");
    if (!ok_ || length == 0)
        return {};
    const uint32_t *values = static_cast<const uint32_t *>(data);
    return std::vector<uint32_t>(values, values + length);
}

weft_geometry Arguments::geometry(size_t i) {
    const std::vector<uint32_t> values = uint32s(i);
    need(values.size() == 6 && values[3] <= UINT8_MAX && values[4] <= UINT8_MAX && values[5] <= UINT8_MAX, "a geometry is needed");
    if (!ok_)
        return {};
    return {values[0], values[1], values[2], static_cast<uint8_t>(values[3]), static_cast<uint8_t>(values[4]),
            static_cast<uint8_t>(values[5]), 0};
}

std::shared_ptr<Resource> Arguments::resource_of(size_t i, const napi_type_tag &tag) {
    bool matches = false;
    void *wrapped = nullptr;
    napi_valuetype type = napi_undefined;
    need(napi_typeof(env_, at(i), &type) == napi_ok && type == napi_object &&
             napi_check_object_type_tag(env_, at(i), &tag, &matches) == napi_ok && matches &&
             napi_unwrap(env_, at(i), &wrapped) == napi_ok,
         "a handle of this module is needed");
    return ok_ ? *static_cast<std::shared_ptr<Resource> *>(wrapped) : nullptr;
}

napi_value make_handle(napi_env env, const std::shared_ptr<Resource> &resource, const napi_type_tag &tag) {
    napi_value object = nullptr;
    auto *share = new std::shared_ptr<Resource>(resource);
    napi_create_object(env, &object);
    napi_type_tag_object(env, object, &tag);
    napi_wrap(env, object, share, [](napi_env, void *data, void *) { delete static_cast<std::shared_ptr<Resource> *>(data); }, nullptr,
              nullptr);
    return object;
}

napi_value make_number(napi_env env, double value) {
    napi_value result = nullptr;
    napi_create_double(env, value, &result);
    return result;
}

napi_value make_bigint(napi_env env, uint64_t value) {
    napi_value result = nullptr;
    napi_create_bigint_uint64(env, value, &result);
    return result;
}

napi_value make_text(napi_env env, const std::string &value) {
    napi_value result = nullptr;
    napi_create_string_utf8(env, value.data(), value.size(), &result);
    return result;
}

napi_value make_object(napi_env env, std::initializer_list<std::pair<const char *, napi_value>> properties) {
    napi_value object = nullptr;
    napi_create_object(env, &object);
    for (const auto &[name, value] : properties)
        napi_set_named_property(env, object, name, value);
    return object;
}

std::string error_name(int error) {
    const char *name = strerrorname_np(error);
    return name != nullptr ? name : "E" + std::to_string(error);
}

napi_value make_error(napi_env env, const weft::Failure &failure) {
    napi_value error = nullptr;
    napi_create_error(env, make_text(env, error_name(failure.error)), make_text(env, failure.message), &error);
    return error;
}

napi_value throw_failure(napi_env env, const weft::Failure &failure) {
    napi_throw(env, make_error(env, failure));
    return nullptr;
}

}  // namespace weft_addon
