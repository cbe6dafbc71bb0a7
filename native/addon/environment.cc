#include "addon/environment.h"

#include <vector>

namespace weft_addon {

/* ---- callbacks ---- */

Callback::Callback(napi_env env, napi_value function) : env_(env) { napi_create_reference(env, function, 1, &function_); }

Callback::~Callback() { napi_delete_reference(env_, function_); }

napi_value Callback::call(std::initializer_list<napi_value> arguments) const {
    napi_value function = nullptr, global = nullptr, result = nullptr;
    if (napi_get_reference_value(env_, function_, &function) != napi_ok || napi_get_global(env_, &global) != napi_ok)
        return nullptr;
    const napi_status status = napi_make_callback(env_, nullptr, global, function, arguments.size(), arguments.begin(), &result);
    if (status == napi_ok)
        return result;
    napi_value thrown = nullptr;
    if (status == napi_pending_exception && napi_get_and_clear_last_exception(env_, &thrown) == napi_ok)
        napi_fatal_exception(env_, thrown);
    return nullptr;
}

/* ---- polls: the uv handle outlives its owner until libuv has let go of it ---- */

struct Poll::State {
    uv_poll_t handle;
    void *owner;
    Listener listener;
    Environment *environment;
};

Poll::Poll(Environment &environment, int fd, void *owner, Listener listener) : environment_(environment) {
    State *state = new State{{}, owner, listener, &environment};
    if (uv_poll_init(environment.loop(), &state->handle, fd) != 0) {
        delete state;
        return;
    }
    state->handle.data = state;
    state_ = state;
    environment.handle_opened();
    uv_poll_start(&state->handle, UV_READABLE | UV_DISCONNECT, [](uv_poll_t *handle, int status, int) {
        State *self = static_cast<State *>(handle->data);
        if (self->owner != nullptr)
            self->listener(self->owner, status < 0);
    });
}

void Poll::stop() {
    if (state_ == nullptr)
        return;
    state_->owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&state_->handle), [](uv_handle_t *handle) {
        State *self = static_cast<State *>(handle->data);
        self->environment->handle_closed();
        delete self;
    });
    state_ = nullptr;
}

Poll::~Poll() { stop(); }

/* ---- the environment ---- */

Environment *Environment::create(napi_env env) {
    Environment *self = new Environment(env);
    if (napi_get_uv_event_loop(env, &self->loop_) != napi_ok || uv_async_init(self->loop_, &self->bell_, on_bell) != 0 ||
        napi_add_async_cleanup_hook(env, on_end, self, &self->hook_) != napi_ok) {
        napi_throw_error(env, nullptr, "weft: no event loop");
        return nullptr; /* nothing is freed: the loop may know the bell */
    }
    self->bell_.data = self;
    self->handles_ = 1;
    uv_unref(reinterpret_cast<uv_handle_t *>(&self->bell_));
    return self;
}

void Environment::on_bell(uv_async_t *bell) {
    Environment *self = static_cast<Environment *>(bell->data);
    napi_handle_scope scope;
    if (self->ending_ || napi_open_handle_scope(self->env_, &scope) != napi_ok)
        return;
    const std::vector<std::shared_ptr<Resource>> open(self->open_.begin(), self->open_.end()); /* listeners may close any of them */
    for (const std::shared_ptr<Resource> &resource : open)
        resource->rung();
    napi_close_handle_scope(self->env_, scope);
}

void Environment::opened(const std::shared_ptr<Resource> &resource, bool keeps_alive) {
    open_.insert(resource);
    if (keeps_alive && bell_users_.insert(resource.get()).second && bell_users_.size() == 1)
        uv_ref(reinterpret_cast<uv_handle_t *>(&bell_));
}

void Environment::closed(const std::shared_ptr<Resource> &resource) {
    open_.erase(resource);
    if (bell_users_.erase(resource.get()) == 1 && bell_users_.empty())
        uv_unref(reinterpret_cast<uv_handle_t *>(&bell_));
}

/* The environment ends: no JavaScript runs any more. Close everything (this joins reader threads), then wait for libuv. */
void Environment::on_end(napi_async_cleanup_hook_handle, void *data) {
    Environment *self = static_cast<Environment *>(data);
    self->ending_ = true;
    while (!self->open_.empty()) {
        const std::shared_ptr<Resource> resource = *self->open_.begin();
        self->open_.erase(self->open_.begin());
        resource->close();
    }
    uv_close(reinterpret_cast<uv_handle_t *>(&self->bell_),
             [](uv_handle_t *handle) { static_cast<Environment *>(handle->data)->handle_closed(); });
}

void Environment::handle_closed() {
    if (--handles_ > 0 || !ending_)
        return;
    napi_remove_async_cleanup_hook(hook_);
    delete this;
}

}  // namespace weft_addon
