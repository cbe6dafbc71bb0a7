/*
 * What the addon keeps per JavaScript environment (main thread, each worker): its event loop, one uv_async that reader threads ring,
 * and everything that is open, so that an environment's end closes it.
 *
 * Node-API is used directly where JavaScript runs: a listener may throw anything, or end the worker.
 */
#ifndef WEFT_ADDON_ENVIRONMENT_H
#define WEFT_ADDON_ENVIRONMENT_H

#include <node_api.h>
#include <uv.h>

#include <initializer_list>
#include <memory>
#include <set>
#include <string>

#include "ring/failure.h"

namespace weft_addon {

class Environment;

/* A native object that JavaScript holds a handle of. Lives while it is open or JavaScript can reach it. */
class Resource : public std::enable_shared_from_this<Resource> {
public:
    explicit Resource(Environment &environment) : environment_(environment) {}
    virtual ~Resource() = default;
    /* Ends it; more than once does no harm. */
    virtual void close() = 0;
    /* Called on the loop after somebody rang Environment::ring(). */
    virtual void rung() {}

protected:
    Environment &environment_;
};

/* A JavaScript function kept for later. Exceptions that it throws are uncaught exceptions of the process. */
class Callback {
public:
    Callback(napi_env env, napi_value function);
    ~Callback();
    Callback(const Callback &) = delete;
    /* Needs an open handle scope. Null when it threw. */
    napi_value call(std::initializer_list<napi_value> arguments) const;

private:
    napi_env env_;
    napi_ref function_ = nullptr;
};

/* Readiness of an fd that stays the owner's. */
class Poll {
public:
    using Listener = void (*)(void *owner, bool broken);
    Poll(Environment &environment, int fd, void *owner, Listener listener);
    ~Poll();
    Poll(const Poll &) = delete;
    bool started() const { return state_ != nullptr; }
    /* After this the fd may be closed and the listener is called no more. */
    void stop();

private:
    struct State;
    Environment &environment_;
    State *state_ = nullptr;
};

class Environment {
public:
    /* Null with an exception pending when the environment cannot be set up. */
    static Environment *create(napi_env env);

    napi_env env() const { return env_; }
    uv_loop_t *loop() const { return loop_; }

    /* Any thread, any number of times: rung() of all open resources follows on the loop. */
    void ring() { uv_async_send(&bell_); }
    void opened(const std::shared_ptr<Resource> &resource, bool keeps_alive);
    void closed(const std::shared_ptr<Resource> &resource);

    void handle_opened() { handles_++; }
    void handle_closed();

private:
    explicit Environment(napi_env env) : env_(env) {}
    static void on_bell(uv_async_t *bell);
    static void on_end(napi_async_cleanup_hook_handle hook, void *self);

    napi_env env_;
    uv_loop_t *loop_ = nullptr;
    uv_async_t bell_{};
    std::set<std::shared_ptr<Resource>> open_;
    std::set<Resource *> bell_users_;
    unsigned handles_ = 0; /* uv handles that are not yet closed */
    napi_async_cleanup_hook_handle hook_ = nullptr;
    bool ending_ = false;
};

}  // namespace weft_addon

#endif
