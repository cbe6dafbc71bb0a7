/* Between JavaScript values and C++ ones. The wrapper (index.ts) has normalised everything; what is checked here is what memory
 * safety needs, and a wrong type is a TypeError. */
#ifndef WEFT_ADDON_ARGUMENTS_H
#define WEFT_ADDON_ARGUMENTS_H

#include <node_api.h>

#include <string>
#include <vector>

#include "addon/environment.h"
#include "ring/layout.h"

namespace weft_addon {

/* The arguments of one call. Once a getter failed an exception is pending and ok() is false. */
class Arguments {
public:
    Arguments(napi_env env, napi_callback_info info);

    bool ok() const { return ok_; }
    napi_env env() const { return env_; }
    Environment &environment() const { return *environment_; }
    size_t count() const { return count_; }

    uint32_t uint32(size_t i);
    int fd(size_t i);
    uint64_t uint64(size_t i); /* a bigint */
    std::string text(size_t i);
    napi_value function(size_t i);
    napi_value object(size_t i);
    /* Exactly 16 bytes. */
    void id(size_t i, uint8_t out[16]);
    /* The bytes stay valid during the call. */
    const uint8_t *bytes(size_t i, size_t *length);
    std::vector<uint32_t> uint32s(size_t i); /* a Uint32Array */
    weft_geometry geometry(size_t i);        /* a Uint32Array of cpuCount, subbufSize, subbufCount, mode, sync, allocation */
    bool is_number(size_t i) const;

    /* The native object of a handle made by make_handle(); null with an exception pending for anything else. */
    template <typename T>
    std::shared_ptr<T> resource(size_t i) {
        return std::static_pointer_cast<T>(resource_of(i, T::kTag));
    }

private:
    static constexpr size_t kMost = 21;

    std::shared_ptr<Resource> resource_of(size_t i, const napi_type_tag &tag);
    void need(bool holds, const char *what);
    napi_value at(size_t i);

    napi_env env_;
    Environment *environment_ = nullptr;
    napi_value values_[kMost];
    size_t count_ = kMost;
    bool ok_ = true;
};

/* A JavaScript object that owns a share of `resource`. */
napi_value make_handle(napi_env env, const std::shared_ptr<Resource> &resource, const napi_type_tag &tag);

napi_value make_number(napi_env env, double value);
napi_value make_bigint(napi_env env, uint64_t value);
napi_value make_text(napi_env env, const std::string &value);
napi_value make_object(napi_env env, std::initializer_list<std::pair<const char *, napi_value>> properties);
napi_value make_error(napi_env env, const weft::Failure &failure);

/* Throws an Error with `code` (an errno name); returns null. */
napi_value throw_failure(napi_env env, const weft::Failure &failure);
std::string error_name(int error);

}  // namespace weft_addon

#endif
