#include "addon/seqpacket.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace weft_addon {

using weft::Failure;

/* ---- connections ---- */

Connection::Connection(Environment &environment, int fd) : Resource(environment), fd_(fd) {
    poll_.reset(new Poll(environment, fd, this, [](void *self, bool) {
        /* A listener may drop the last reference. */
        const std::shared_ptr<Resource> keep = static_cast<Connection *>(self)->shared_from_this();
        static_cast<Connection *>(self)->readable();
    }));
}

std::shared_ptr<Connection> Connection::open(Environment &environment, int fd, napi_value receiver) {
    const auto connection = std::make_shared<Connection>(environment, fd);
    if (!connection->poll_->started())
        return nullptr;
    environment.opened(connection, false);
    if (receiver != nullptr)
        connection->set_receiver(receiver);
    return connection;
}

void Connection::set_receiver(napi_value receiver) { receiver_.reset(new Callback(environment_.env(), receiver)); }

bool Connection::describe(napi_value values[4]) {
    ucred peer;
    if (fd_ < 0 || peer_credentials(fd_, &peer))
        return false;
    napi_env env = environment_.env();
    values[0] = make_handle(env, shared_from_this(), kTag);
    values[1] = make_number(env, peer.pid);
    values[2] = make_number(env, peer.uid);
    values[3] = make_number(env, peer.gid);
    return true;
}

int Connection::send(const uint8_t *bytes, size_t length, const std::vector<int> &fds) const {
    return fd_ < 0 ? EPIPE : send_message(fd_, bytes, length, fds);
}

void Connection::close() {
    if (fd_ < 0)
        return;
    poll_->stop();
    ::close(std::exchange(fd_, -1));
    receiver_.reset();
    if (const std::shared_ptr<Resource> self = weak_from_this().lock())
        environment_.closed(self);
}

void Connection::readable() {
    static thread_local uint8_t buffer[kMessageMax];
    for (int turn = 0; turn < kMessagesPerTurn && fd_ >= 0; turn++) {
        size_t length = 0;
        std::vector<int> fds;
        const Received received = receive_message(fd_, buffer, &length, &fds);
        if (received == Received::kNothing)
            return;
        if (received != Received::kMessage)
            return peer_ended();
        napi_handle_scope scope;
        napi_env env = environment_.env();
        napi_open_handle_scope(env, &scope);
        napi_value message = nullptr, list = nullptr;
        napi_create_buffer_copy(env, length, buffer, nullptr, &message);
        napi_create_array(env, &list);
        for (uint32_t i = 0; i < fds.size(); i++)
            napi_set_element(env, list, i, make_number(env, fds[i]));
        if (receiver_)
            receiver_->call({message, list});
        napi_close_handle_scope(env, scope);
    }
}

void Connection::peer_ended() {
    const std::unique_ptr<Callback> receiver = std::move(receiver_);
    close();
    napi_handle_scope scope;
    napi_env env = environment_.env();
    napi_open_handle_scope(env, &scope);
    napi_value nothing = nullptr, list = nullptr;
    napi_get_null(env, &nothing);
    napi_create_array(env, &list);
    if (receiver)
        receiver->call({nothing, list});
    napi_close_handle_scope(env, scope);
}

/* ---- servers ---- */

std::shared_ptr<Server> Server::open(Environment &environment, const ListeningSocket &listening, napi_value accepted) {
    const auto server = std::make_shared<Server>(environment, listening);
    server->accepted_.reset(new Callback(environment.env(), accepted));
    server->spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    server->poll_.reset(new Poll(environment, listening.fd, server.get(), [](void *self, bool) {
        const std::shared_ptr<Resource> keep = static_cast<Server *>(self)->shared_from_this();
        static_cast<Server *>(self)->readable();
    }));
    if (!server->poll_->started())
        return nullptr;
    environment.opened(server, false);
    return server;
}

void Server::close() {
    if (listening_.fd < 0)
        return;
    if (poll_)
        poll_->stop();
    close_listening(listening_);
    listening_.fd = -1;
    if (spare_fd_ >= 0)
        ::close(std::exchange(spare_fd_, -1));
    accepted_.reset();
    if (const std::shared_ptr<Resource> self = weak_from_this().lock())
        environment_.closed(self);
}

void Server::readable() {
    for (int turn = 0; turn < kConnectionsPerTurn && listening_.fd >= 0; turn++) {
        const int fd = accept4(listening_.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            accept_one(fd);
        else if (errno == EMFILE || errno == ENFILE)
            return drop_one();
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

void Server::drop_one() {
    ::close(std::exchange(spare_fd_, -1));
    const int fd = accept4(listening_.fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0)
        ::close(fd);
    spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void Server::accept_one(int fd) {
    napi_env env = environment_.env();
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    napi_value values[4];
    const std::shared_ptr<Connection> connection = Connection::open(environment_, fd, nullptr);
    if (connection && !connection->describe(values)) {
        connection->close();
    } else if (connection) {
        napi_value receiver = accepted_->call({values[0], values[1], values[2], values[3]});
        napi_valuetype type = napi_undefined;
        if (receiver != nullptr && napi_typeof(env, receiver, &type) == napi_ok && type == napi_function)
            connection->set_receiver(receiver);
        else
            connection->close();
    }
    napi_close_handle_scope(env, scope);
}

/* ---- calls ---- */

/* listenSeqpacket(path, mode, gid or -1 as 2^32-1, accepted) -> handle */
napi_value listen_seqpacket(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const std::string path = arguments.text(0);
    const uint32_t mode = arguments.uint32(1);
    const uint32_t gid = arguments.uint32(2);
    napi_value accepted = arguments.function(3);
    if (!arguments.ok())
        return nullptr;
    ListeningSocket listening;
    if (Failure bad = listen_socket(path, mode & 0777, gid == UINT32_MAX ? -1 : int64_t{gid}, &listening))
        return throw_failure(env, bad);
    const std::shared_ptr<Server> server = Server::open(arguments.environment(), listening, accepted);
    if (!server)
        return throw_failure(env, {EBADF, path + ": cannot be watched"});
    return make_handle(env, server, Server::kTag);
}

/* openSeqpacket(path or fd, receiver) -> [handle, pid, uid, gid]; an fd is taken over, also when this throws */
napi_value open_seqpacket(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const bool adopted = arguments.is_number(0);
    int fd = adopted ? arguments.fd(0) : -1;
    const std::string path = adopted ? "" : arguments.text(0);
    napi_value receiver = arguments.function(1);
    if (!arguments.ok())
        return nullptr;
    if (Failure bad = adopted ? adopt_socket(fd) : connect_socket(path, &fd)) {
        if (adopted)
            close(fd);
        return throw_failure(env, bad);
    }
    napi_value values[4], list = nullptr;
    const std::shared_ptr<Connection> connection = Connection::open(arguments.environment(), fd, receiver);
    if (!connection || !connection->describe(values))
        return throw_failure(env, {EBADF, "the socket cannot be watched"});
    napi_create_array_with_length(env, 4, &list);
    for (uint32_t i = 0; i < 4; i++)
        napi_set_element(env, list, i, values[i]);
    return list;
}

/* sendSeqpacket(handle, message, fds: Uint32Array) -> boolean */
napi_value send_seqpacket(napi_env env, napi_callback_info info) {
    Arguments arguments(env, info);
    const std::shared_ptr<Connection> connection = arguments.resource<Connection>(0);
    size_t length = 0;
    const uint8_t *bytes = arguments.bytes(1, &length);
    const std::vector<uint32_t> values = arguments.uint32s(2);
    if (!arguments.ok())
        return nullptr;
    if (length == 0 || length > kMessageMax || values.size() > kFdsMax)
        return throw_failure(env, {EMSGSIZE, "a message has 1 to " + std::to_string(kMessageMax) + " bytes and at most " +
                                                 std::to_string(kFdsMax) + " fds"});
    const int error = connection->send(bytes, length, std::vector<int>(values.begin(), values.end()));
    if (error != 0 && error != EAGAIN && error != EPIPE)
        return throw_failure(env, weft::failure(error, "sending a message"));
    napi_value sent = nullptr;
    napi_get_boolean(env, error == 0, &sent);
    return sent;
}

}  // namespace weft_addon
