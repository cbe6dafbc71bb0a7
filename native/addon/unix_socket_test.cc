/* Seqpacket sockets and wait pages against peers and users that do not keep to the rules. */
#include "addon/unix_socket.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "addon/wait_pages.h"
#include "ring/test_cases.h"

using namespace weft_addon;
using namespace weft_test;

namespace {

class Folder {
public:
    Folder() {
        char pattern[] = "/tmp/weft-socket-XXXXXX";
        path = mkdtemp(pattern);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

struct Pair {
    Pair() { CHECK_EQUAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0); }
    ~Pair() { close(ends[0]), close(ends[1]); }
    int ends[2];
    uint8_t buffer[kMessageMax];
    size_t length = 0;
    std::vector<int> fds;
    Received receive() { return receive_message(ends[1], buffer, &length, &fds); }
};

size_t open_fds() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<size_t>(std::distance(begin(all), end(all)));
}

void a_message_arrives_whole_with_its_fds() {
    Pair pair;
    const std::vector<uint8_t> message(kMessageMax, 7);
    CHECK_EQUAL(send_message(pair.ends[0], message.data(), message.size(), {0, 1, 2}), 0);
    CHECK(pair.receive() == Received::kMessage);
    CHECK_EQUAL(pair.length, kMessageMax);
    CHECK_EQUAL(pair.fds.size(), size_t{3});
    for (const int fd : pair.fds) {
        CHECK_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(fd);
    }
    CHECK(pair.receive() == Received::kNothing);
}

void a_message_that_is_too_long_cuts_the_peer_off_and_closes_its_fds() {
    Pair pair;
    const size_t before = open_fds();
    const std::vector<uint8_t> message(kMessageMax + 1, 7);
    CHECK_EQUAL(send_message(pair.ends[0], message.data(), message.size(), {0, 1}), 0);
    CHECK(pair.receive() == Received::kBroken);
    CHECK_EQUAL(open_fds(), before);
}

void fds_that_find_no_room_cut_the_peer_off() {
    Pair pair;
    const size_t before = open_fds();
    rlimit limit, tight;
    getrlimit(RLIMIT_NOFILE, &limit);
    const uint8_t byte = 1;
    CHECK_EQUAL(send_message(pair.ends[0], &byte, 1, std::vector<int>(40, 0)), 0);
    tight = {before + 10, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    CHECK(pair.receive() == Received::kBroken);
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK_EQUAL(open_fds(), before);
}

void a_peer_that_does_not_read_is_told_apart_from_one_that_is_gone() {
    Pair pair;
    const uint8_t byte = 1;
    int error = 0;
    for (int i = 0; i < 100000 && error == 0; i++)
        error = send_message(pair.ends[0], &byte, 1, {});
    CHECK_EQUAL(error, EAGAIN);
    close(pair.ends[1]);
    CHECK_EQUAL(send_message(pair.ends[0], &byte, 1, {}), EPIPE);
    pair.ends[1] = dup(0);
}

void a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    const Folder folder;
    const std::string path = folder.path + "/apps.sock";
    ListeningSocket first, second;
    CHECK(!listen_socket(path, 0600, -1, &first));
    CHECK_EQUAL(listen_socket(path, 0600, -1, &second).error, EADDRINUSE);
    close(first.fd); /* as when its process was killed */
    CHECK(!listen_socket(path, 0666, -1, &second));
    struct stat status;
    CHECK_EQUAL(stat(path.c_str(), &status), 0);
    CHECK_EQUAL(status.st_mode & 0777, 0666u);
    close_listening(second);
    CHECK_EQUAL(stat(path.c_str(), &status), -1);
    close(open(path.c_str(), O_CREAT | O_WRONLY, 0600));
    CHECK_EQUAL(listen_socket(path, 0600, -1, &second).error, EEXIST);
}

void closing_leaves_the_socket_file_of_a_successor_alone() {
    const Folder folder;
    const std::string path = folder.path + "/apps.sock";
    ListeningSocket first, second;
    CHECK(!listen_socket(path, 0600, -1, &first));
    unlink(path.c_str());
    CHECK(!listen_socket(path, 0600, -1, &second));
    close_listening(first);
    int fd = -1;
    CHECK(!connect_socket(path, &fd));
    close(fd);
    close_listening(second);
}

void a_path_longer_than_an_address_works() {
    const Folder folder;
    const std::string deep = folder.path + "/" + std::string(150, 'd');
    std::filesystem::create_directory(deep);
    ListeningSocket listening;
    CHECK(!listen_socket(deep + "/apps.sock", 0600, -1, &listening));
    int fd = -1;
    CHECK(!connect_socket(deep + "/apps.sock", &fd));
    close(fd);
    close_listening(listening);
    CHECK(!std::filesystem::exists(deep + "/apps.sock"));
    CHECK_EQUAL(connect_socket(deep + "/apps.sock", &fd).error, ENOENT);
}

void only_a_seqpacket_socket_is_adopted() {
    int ends[2];
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQUAL(adopt_socket(ends[0]).error, EPROTOTYPE);
    close(ends[0]), close(ends[1]);
    CHECK_EQUAL(adopt_socket(0).error, ENOTSOCK);
    Pair pair;
    CHECK(!adopt_socket(pair.ends[0]));
    CHECK_EQUAL(fcntl(pair.ends[0], F_GETFD), FD_CLOEXEC);
}

std::string make_page(const Folder &folder, const std::string &name, off_t bytes) {
    const std::string path = folder.path + "/weft-wait-" + name;
    const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    CHECK_EQUAL(ftruncate(fd, bytes), 0);
    close(fd);
    return path;
}

void who_waits_on_a_page_is_woken() {
    const Folder folder;
    const uid_t uid = geteuid();
    const std::string path = make_page(folder, std::to_string(uid), 4096);
    const int fd = open(path.c_str(), O_RDWR);
    auto *word = static_cast<uint32_t *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    std::thread waiter([word] {
        while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
            syscall(SYS_futex, word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
    });
    CHECK_EQUAL(wake_wait_pages(uid, folder.path), 1u);
    waiter.join();
    munmap(word, 4096);
    close(fd);
}

void pages_that_are_not_what_their_name_says_are_passed_over() {
    const Folder folder;
    const std::string own = std::to_string(geteuid());
    make_page(folder, own, 100);
    CHECK_EQUAL(wake_wait_pages(geteuid(), folder.path), 0u); /* wrong size */
    unlink((folder.path + "/weft-wait-" + own).c_str());
    CHECK_EQUAL(symlink(make_page(folder, "x", 4096).c_str(), (folder.path + "/weft-wait-" + own).c_str()), 0);
    CHECK_EQUAL(wake_wait_pages(geteuid(), folder.path), 0u); /* a link */
    if (geteuid() != 0)
        return;
    make_page(folder, "4242", 4096); /* root's, under another user's name */
    make_page(folder, "007", 4096);
    CHECK_EQUAL(mkfifo((folder.path + "/weft-wait-55").c_str(), 0666), 0);
    CHECK_EQUAL(wake_wait_pages(0, folder.path), 0u);
    CHECK_EQUAL(chown((folder.path + "/weft-wait-4242").c_str(), 4242, 4242), 0);
    CHECK_EQUAL(wake_wait_pages(0, folder.path), 1u);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"a message arrives whole with its fds", a_message_arrives_whole_with_its_fds},
            {"a message that is too long cuts the peer off and closes its fds",
             a_message_that_is_too_long_cuts_the_peer_off_and_closes_its_fds},
            {"fds that find no room cut the peer off", fds_that_find_no_room_cut_the_peer_off},
            {"a peer that does not read is told apart from one that is gone",
             a_peer_that_does_not_read_is_told_apart_from_one_that_is_gone},
            {"a stale socket file is replaced and a live one is not", a_stale_socket_file_is_replaced_and_a_live_one_is_not},
            {"closing leaves the socket file of a successor alone", closing_leaves_the_socket_file_of_a_successor_alone},
            {"a path longer than an address works", a_path_longer_than_an_address_works},
            {"only a seqpacket socket is adopted", only_a_seqpacket_socket_is_adopted},
            {"who waits on a page is woken", who_waits_on_a_page_is_woken},
            {"pages that are not what their name says are passed over", pages_that_are_not_what_their_name_says_are_passed_over},
        },
        argc, argv);
}
