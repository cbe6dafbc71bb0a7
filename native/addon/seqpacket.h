/* Seqpacket sockets on the event loop. */
#ifndef WEFT_ADDON_SEQPACKET_H
#define WEFT_ADDON_SEQPACKET_H

#include "addon/arguments.h"
#include "addon/unix_socket.h"

namespace weft_addon {

/* receiver(message: Buffer, fds: number[]) for each message, receiver(null, []) once when the peer is gone or broke the rules. */
class Connection : public Resource {
public:
    static constexpr napi_type_tag kTag = {0x5d1fe9b1a34b4c59ull, 0x8f2ce1d0c7b64a01ull};

    /* Takes the fd over; null when it cannot be polled (the fd is closed then). */
    static std::shared_ptr<Connection> open(Environment &environment, int fd, napi_value receiver);
    /* The handle and the peer: [handle, pid, uid, gid] in `values`; false when the peer is not known. */
    bool describe(napi_value values[4]);
    int send(const uint8_t *bytes, size_t length, const std::vector<int> &fds) const;
    ~Connection() override { close(); }
    void close() override;

    /* The receiver, when it is only known after the connection was shown (server). */
    void set_receiver(napi_value receiver);
    Connection(Environment &environment, int fd);

private:
    static constexpr int kMessagesPerTurn = 32;

    void readable();
    bool deliver(size_t length, const std::vector<int> &fds);
    void peer_ended();

    int fd_;
    std::unique_ptr<Poll> poll_;
    std::unique_ptr<Callback> receiver_;
};

/* accepted(handle, pid, uid, gid) returns the receiver of the new connection. */
class Server : public Resource {
public:
    static constexpr napi_type_tag kTag = {0x5d1fe9b1a34b4c59ull, 0x8f2ce1d0c7b64a02ull};

    static std::shared_ptr<Server> open(Environment &environment, const ListeningSocket &listening, napi_value accepted);
    Server(Environment &environment, const ListeningSocket &listening) : Resource(environment), listening_(listening) {}
    ~Server() override { close(); }
    void close() override;

private:
    static constexpr int kConnectionsPerTurn = 32;

    void readable();
    void accept_one(int fd);
    void drop_one();

    ListeningSocket listening_;
    int spare_fd_ = -1; /* given up to accept and refuse when no descriptor is left; else the loop would spin */
    std::unique_ptr<Poll> poll_;
    std::unique_ptr<Callback> accepted_;
};

napi_value listen_seqpacket(napi_env env, napi_callback_info info);
napi_value open_seqpacket(napi_env env, napi_callback_info info);
napi_value send_seqpacket(napi_env env, napi_callback_info info);

}  // namespace weft_addon

#endif
