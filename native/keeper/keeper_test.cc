// What the rest of Weft relies on the keeper for, against the real binary.
#include "keeper/test_keeper.h"
#include "ring/test_cases.h"
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace weft_test;

namespace {

using Clock = std::chrono::steady_clock;

int64_t ms_since(Clock::time_point from) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - from).count();
}

bool alive(pid_t pid) { return kill(pid, 0) == 0; }

void restarts_session_daemon_with_backoff() {
    TestKeeper keeper({"flash", 0, {}, {}, "", 0});
    const int64_t at_least[] = {0, 0, 100, 200, 400};
    int64_t last = 0;
    for (const int64_t gap : at_least) {
        long long at = 0; // as the program says: when we hear of it is another matter
        CHECK_EQUAL(std::sscanf(keeper.heard().c_str(), "sessiond start at %lld", &at), 1);
        CHECK(at - last + 2 >= gap); // the program's own start lies in between: it can only be later
        last = at;
    }
}

void restarts_killed_session_daemon() {
    TestKeeper keeper;
    const pid_t first = keeper.heard_pid("sessiond start");
    kill(first, SIGKILL);
    const pid_t second = keeper.heard_pid("sessiond start");
    CHECK(second > 0 && second != first);
}

void second_keeper_refused() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    const pid_t first = keeper.pid;
    keeper.start({});
    CHECK_EQUAL(keeper.wait(), 3);
    CHECK(keeper.said().find("another keeper (process " + std::to_string(first) + ") already serves") != std::string::npos);
    CHECK_EQUAL(hello(caller).status, 0); // the first one is not disturbed
    keeper.pid = first;
}

void says_what_is_wrong_at_start() {
    TestKeeper no_log({"stay", 0, {}, {}, "/nonexistent/log", 0});
    CHECK_EQUAL(no_log.wait(), 1);
    CHECK(no_log.said().find("cannot open the log /nonexistent/log: No such file") != std::string::npos);
    TestKeeper wrong({"stay", 0, {"--bogus"}, {}, "", 0});
    CHECK_EQUAL(wrong.wait(), 2);
    CHECK(wrong.said().find("usage:") != std::string::npos);
}

void ready_after_hello() {
    char name[] = "/tmp/weft-notify-XXXXXX";
    const std::string directory = mkdtemp(name);
    sockaddr_un at = {};
    at.sun_family = AF_UNIX;
    std::snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", directory.c_str());
    const int systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    bind(systemd, reinterpret_cast<sockaddr *>(&at), sizeof at);
    int pipe_fds[2];
    CHECK_EQUAL(pipe2(pipe_fds, O_NONBLOCK), 0);
    TestKeeper keeper({"stay", 0, {"--notify-fd", std::to_string(pipe_fds[1])}, {std::string("NOTIFY_SOCKET=") + at.sun_path}, "", 0});
    close(pipe_fds[1]);
    keeper.heard();
    char text[64] = "";
    CHECK(recv(systemd, text, sizeof text, 0) < 0 && errno == EAGAIN);
    CHECK(read(pipe_fds[0], text, sizeof text) < 0 && errno == EAGAIN);
    Caller caller(keeper.sockets());
    CHECK_EQUAL(hello(caller).status, 0);
    CHECK_EQUAL(std::string(text, std::max<ssize_t>(0, recv(systemd, text, sizeof text, 0))), std::string("READY=1"));
    CHECK_EQUAL(std::string(text, std::max<ssize_t>(0, read(pipe_fds[0], text, sizeof text))), std::string("ready\n"));
    CHECK_EQUAL(read(pipe_fds[0], text, sizeof text), ssize_t{0});
    close(pipe_fds[0]);
    close(systemd);
    std::filesystem::remove_all(directory);
}

// The keeper's loop has no other reason to turn: nobody is connected, nothing is due.
void watchdog_hears() {
    char name[] = "/tmp/weft-notify-XXXXXX";
    const std::string directory = mkdtemp(name);
    sockaddr_un at = {};
    at.sun_family = AF_UNIX;
    std::snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", directory.c_str());
    const int systemd = socket(AF_UNIX, SOCK_DGRAM, 0);
    const timeval patience = {10, 0};
    setsockopt(systemd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bind(systemd, reinterpret_cast<sockaddr *>(&at), sizeof at);
    const std::string notify = std::string("NOTIFY_SOCKET=") + at.sun_path;
    {
        TestKeeper keeper({"stay", 0, {}, {notify, "WATCHDOG_USEC=200000"}, "", 0});
        for (int i = 0; i < 4; i++) {
            char text[64] = "";
            CHECK_EQUAL(std::string(text, std::max<ssize_t>(0, recv(systemd, text, sizeof text, 0))), std::string("WATCHDOG=1"));
        }
    }
    char text[64];
    while (recv(systemd, text, sizeof text, MSG_DONTWAIT) > 0) {
    }
    TestKeeper other({"stay", 0, {}, {notify, "WATCHDOG_USEC=200000", "WATCHDOG_PID=1"}, "", 0}); // it watches another process
    other.heard();
    Caller caller(other.sockets());
    CHECK_EQUAL(hello(caller).status, 0);
    const std::string first(text, std::max<ssize_t>(0, recv(systemd, text, sizeof text, 0)));
    CHECK_EQUAL(first, std::string("READY=1"));
    close(systemd);
    std::filesystem::remove_all(directory);
}

void hello_refuses_other_abi() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    const Record reply = caller.call(record_of(WEFT_KEEPER_HELLO, 0, 99));
    CHECK_EQUAL(reply.status, EPROTONOSUPPORT);
    CHECK_EQUAL(reply.number, int64_t{WEFT_KEEPER_ABI});
}

void deposits_outlive_depositor() {
    TestKeeper keeper;
    const pid_t sessiond = keeper.heard_pid("sessiond start");
    const int ring = memfd_with("ring");
    const int reader = memfd_with("reader");
    {
        Caller depositor(keeper.sockets());
        for (unsigned char id = 1; id <= 5; id++) { // gone without having read one answer
            Record deposit = record_of(WEFT_KEEPER_DEPOSIT, id, 40 + id);
            deposit.role = WEFT_ROLE_DEPOSIT + id;
            CHECK(depositor.send(&deposit, sizeof deposit, {ring, reader}));
        }
    }
    kill(sessiond, SIGKILL);
    keeper.heard_pid("sessiond start");
    Caller caller(keeper.sockets());
    for (unsigned char id = 1; id <= 5; id++) {
        std::vector<int> fds;
        const Record reply = caller.call(record_of(WEFT_KEEPER_FETCH, id), {}, &fds);
        CHECK_EQUAL(reply.status, 0);
        CHECK_EQUAL(reply.role, uint32_t{WEFT_ROLE_DEPOSIT} + id);
        CHECK_EQUAL(reply.number, int64_t{40} + id);
        CHECK_EQUAL(fds.size(), size_t{2});
        if (fds.size() == 2) {
            CHECK_EQUAL(inode_of(fds[0]), inode_of(ring));
            CHECK_EQUAL(inode_of(fds[1]), inode_of(reader));
        }
        for (const int fd : fds)
            close(fd);
    }
    close(ring);
    close(reader);
}

void deposit_replaced_and_released() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    const int first = memfd_with("1");
    const int second = memfd_with("2");
    Record deposit = record_of(WEFT_KEEPER_DEPOSIT, 9);
    deposit.role = WEFT_ROLE_DEPOSIT;
    CHECK_EQUAL(caller.call(deposit, {first}).status, 0);
    const size_t fds_before = open_fds_of(keeper.pid);
    CHECK_EQUAL(caller.call(deposit, {second}).status, 0);
    CHECK_EQUAL(open_fds_of(keeper.pid), fds_before); // the first one was closed
    std::vector<int> fds;
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_FETCH, 9), {}, &fds).status, 0);
    CHECK(fds.size() == 1 && inode_of(fds[0]) == inode_of(second));
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_RELEASE, 9)).status, 0);
    CHECK_EQUAL(open_fds_of(keeper.pid), fds_before - 1);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_RELEASE, 9)).status, ENOENT);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_FETCH, 9)).status, ENOENT);
    close(first);
    close(second);
    for (const int fd : fds)
        close(fd);
}

void spawn_reports_exit() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    hello(caller);
    const Record spawned = caller.call(keeper.program("flash", "consumer", WEFT_ROLE_CONSUMER, 3));
    CHECK_EQUAL(spawned.status, 0);
    CHECK_EQUAL(keeper.heard_pid("consumer start"), spawned.pid);
    const Record report = caller.report();
    CHECK_EQUAL(report.op, uint32_t{WEFT_KEEPER_EXITED});
    CHECK_EQUAL(report.pid, spawned.pid);
    CHECK_EQUAL(report.role, uint32_t{WEFT_ROLE_CONSUMER});
    CHECK_EQUAL(int{report.id[15]}, 3);
    CHECK_EQUAL(WEXITSTATUS(static_cast<int>(report.number)), 7);
    CHECK_EQUAL(report.restart, 0u);
}

void spawned_program_is_clean() {
    TestKeeper keeper({"stay", 0, {}, {"SECRET=of the caller", "LD_PRELOAD="}, "", 0});
    keeper.heard();
    Caller caller(keeper.sockets());
    Record program = keeper.program("describe", "consumer", WEFT_ROLE_CONSUMER, 3);
    std::memcpy(program.environment, "WEFT_X=1\0PATH=/bin\0", 20);
    const uid_t uid = getuid() == 0 ? 65534 : getuid();
    program.uid = program.gid = uid;
    CHECK_EQUAL(caller.call(program).status, 0);
    const std::string self = keeper.heard();
    const std::string number = std::to_string(uid);
    for (const std::string &part : {"uid=" + number + " gid=" + number, std::string("leader=1"), std::string("cwd=\"/\""),
                                    std::string("stdin=/dev/null"), std::string("fds=4 fd3=1"), std::string(" WEFT_X=1"),
                                    std::string(" PATH=/bin "), std::string(" HOME="), std::string(" USER="), std::string(" LANG=")})
        CHECK_EQUAL(self.find(part) != std::string::npos ? part : self, part);
    CHECK(self.find("SECRET") == std::string::npos && self.find("LD_PRELOAD") == std::string::npos);
}

void session_daemon_sees_chosen_environment() {
    TestKeeper keeper({"describe", 0, {}, {"SECRET=of the caller", "NODE_OPTIONS=-r x", "WEFT_X=1"}, "", 0});
    const std::string self = keeper.heard();
    for (const std::string &part : {std::string(" WEFT_X=1"), std::string(" PATH=")})
        CHECK_EQUAL(self.find(part) != std::string::npos ? part : self, part);
    CHECK(self.find("SECRET") == std::string::npos && self.find("NODE_OPTIONS") == std::string::npos);
}

// Compiled files are code that the session daemon runs.
void session_daemon_gets_only_a_cache_of_its_own() {
    namespace fs = std::filesystem;
    char name[] = "/tmp/weft-cache-XXXXXX";
    const std::string own = mkdtemp(name);
    const std::string open = own + "/open", link = own + "/link", strange = own + "/strange";
    fs::create_directory(open);
    fs::permissions(open, fs::perms::all);
    fs::create_directory_symlink(own, link);
    std::vector<std::pair<std::string, bool>> caches = {{own, true}, {own + "/later/cache/", true}, {open, false}, {open + "//later", false},
                                                        {link + "/", false}, {"/tmp", false}, {"relative", false}};
    if (getuid() == 0) {
        fs::create_directory(strange);
        CHECK_EQUAL(chown(strange.c_str(), 65534, 65534), 0);
        caches.insert(caches.end(), {{strange, false}, {strange + "/later", false}});
    }
    for (const auto &[path, passed] : caches) {
        TestKeeper keeper({"describe", 0, {}, {"NODE_COMPILE_CACHE=" + path}, "", 0});
        const bool seen = keeper.heard().find(" NODE_COMPILE_CACHE=" + path) != std::string::npos;
        CHECK_EQUAL(path + (seen ? " passed" : " kept"), path + (passed ? " passed" : " kept"));
    }
    fs::remove_all(own);
}

void socket_pair_connects_spawner() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    const Record spawned = caller.call(keeper.program("stay", "consumer", WEFT_ROLE_CONSUMER, 3));
    CHECK_EQUAL(keeper.heard_pid("consumer start"), spawned.pid);
    std::vector<int> fds;
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_FETCH, 3), {}, &fds).status, 0);
    CHECK_EQUAL(fds.size(), size_t{1});
    struct ucred peer = {};
    socklen_t size = sizeof peer;
    CHECK_EQUAL(getsockopt(fds.at(0), SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    CHECK_EQUAL(peer.pid, keeper.pid); // a pair bears the credentials of who made it
    CHECK_EQUAL(send(fds[0], "x", 1, MSG_NOSIGNAL), ssize_t{1});
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_KILL, 3, SIGTERM)).status, 0);
    keeper.heard_pid("consumer end");
    CHECK(comes_true([&] { return send(fds[0], "x", 1, MSG_NOSIGNAL) < 0; })); // its end is nowhere else
    close(fds[0]);
}

void restarts_what_was_asked_for() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    hello(caller);
    Record bus = keeper.program("stay", "bus", WEFT_ROLE_BUS, 2);
    bus.restart = 1;
    const Record spawned = caller.call(bus);
    keeper.heard_pid("bus start");
    CHECK_EQUAL(caller.call(bus).status, EEXIST);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_KILL, 2, SIGKILL)).status, 0);
    const Record report = caller.report();
    CHECK_EQUAL(report.pid, spawned.pid);
    CHECK_EQUAL(report.restart, 1u);
    CHECK_EQUAL(WTERMSIG(static_cast<int>(report.number)), SIGKILL);
    const pid_t again = keeper.heard_pid("bus start");
    CHECK(again > 0 && again != spawned.pid);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_FORGET, 2)).status, 0);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_KILL, 2, SIGTERM)).status, ENOENT);
    CHECK(alive(again)); // left alone
    kill(again, SIGTERM);
    CHECK_EQUAL(keeper.heard_pid("bus end"), again);
    CHECK(comes_true([&] { return !alive(again); })); // and still reaped
}

void lists_what_it_holds() {
    TestKeeper keeper;
    const pid_t sessiond = keeper.heard_pid("sessiond start");
    Caller caller(keeper.sockets());
    const int fd = memfd_with("x");
    Record deposit = record_of(WEFT_KEEPER_DEPOSIT, 7, 70);
    deposit.role = WEFT_ROLE_DEPOSIT + 1;
    caller.call(deposit, {fd});
    const Record spawned = caller.call(keeper.program("stay", "consumer", WEFT_ROLE_CONSUMER, 3));
    const Record first = caller.call(record_of(WEFT_KEEPER_LIST, 0, 0));
    CHECK(first.id[0] == 7 && first.role == WEFT_ROLE_DEPOSIT + 1 && first.number == 70 && first.pid == 0);
    const Record second = caller.call(record_of(WEFT_KEEPER_LIST, 0, 1)); // the socket of the consumer
    CHECK(second.id[0] == 3 && second.role == WEFT_ROLE_CONSUMER && second.pid == 0);
    const Record third = caller.call(record_of(WEFT_KEEPER_LIST, 0, 2));
    CHECK(third.role == WEFT_ROLE_SESSIOND && third.pid == sessiond && third.restart == 1);
    const Record fourth = caller.call(record_of(WEFT_KEEPER_LIST, 0, 3));
    CHECK(fourth.id[0] == 3 && fourth.role == WEFT_ROLE_CONSUMER && fourth.pid == spawned.pid && fourth.uid == getuid());
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_LIST, 0, 4)).status, ENOENT);
    close(fd);
}

void adopts() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    hello(caller);
    const pid_t orphan = fork();
    if (orphan == 0) {
        pause();
        _exit(0);
    }
    Record adopt = keeper.program("stay", "bus", WEFT_ROLE_BUS, 2);
    adopt.op = WEFT_KEEPER_ADOPT;
    adopt.restart = 1;
    adopt.pid = orphan;
    CHECK_EQUAL(caller.call(adopt).status, 0);
    CHECK_EQUAL(caller.call(adopt).status, 0); // the same again: nothing to do
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_KILL, 2, SIGKILL)).status, 0);
    const Record report = caller.report();
    CHECK_EQUAL(report.pid, orphan);
    CHECK_EQUAL(report.number, int64_t{-1});
    CHECK_EQUAL(report.restart, 1u);
    CHECK(keeper.heard_pid("bus start") > 0); // now it is the keeper's own child
    waitpid(orphan, nullptr, 0);
    adopt.pid = orphan; // dead
    std::memset(adopt.id, 5, sizeof adopt.id);
    CHECK_EQUAL(caller.call(adopt).status, ESRCH);
}

void keeper_killed_all_else_lives() {
    TestKeeper keeper;
    const pid_t sessiond = keeper.heard_pid("sessiond start");
    pid_t consumer = -1;
    {
        Caller caller(keeper.sockets());
        consumer = caller.call(keeper.program("stay", "consumer", WEFT_ROLE_CONSUMER, 3)).pid;
        keeper.heard_pid("consumer start");
    }
    kill(keeper.pid, SIGKILL);
    CHECK_EQUAL(keeper.wait(), 128 + SIGKILL);
    CHECK(alive(sessiond) && alive(consumer));
    keeper.start({"stay", 0, {"--sessiond", std::to_string(sessiond)}, {}, "", 0});
    CHECK(comes_true([&] { return Caller(keeper.sockets()).fd >= 0; }));
    Caller caller(keeper.sockets());
    const Record listed = caller.call(record_of(WEFT_KEEPER_LIST, 0, 0));
    CHECK(listed.role == WEFT_ROLE_SESSIOND && listed.pid == sessiond); // no second one was started
    Record adopt = record_of(WEFT_KEEPER_ADOPT, 3);
    adopt.role = WEFT_ROLE_CONSUMER;
    adopt.pid = consumer;
    CHECK_EQUAL(caller.call(adopt).status, 0);
    kill(sessiond, SIGKILL);
    const pid_t next = keeper.heard_pid("sessiond start");
    CHECK(next > 0 && next != sessiond);
    kill(keeper.pid, SIGTERM); // the adopted end in order, too
    CHECK_EQUAL(keeper.heard_pid("sessiond end"), next);
    CHECK_EQUAL(keeper.heard_pid("consumer end"), consumer);
    CHECK_EQUAL(keeper.wait(), 0);
}

void shuts_down_in_order() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    Record bus = keeper.program("stay", "bus", WEFT_ROLE_BUS, 2);
    bus.restart = 1;
    caller.call(bus);
    keeper.heard_pid("bus start");
    caller.call(keeper.program("stay", "consumer", WEFT_ROLE_CONSUMER, 3));
    keeper.heard_pid("consumer start");
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_SHUTDOWN)).status, 0);
    CHECK(keeper.heard_pid("sessiond end") > 0);
    CHECK(keeper.heard_pid("consumer end") > 0);
    CHECK(keeper.heard_pid("bus end") > 0);
    CHECK_EQUAL(keeper.wait(), 0);
    CHECK(!std::filesystem::exists(keeper.sockets()));
}

void kills_what_does_not_end() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    const Record spawned = caller.call(keeper.program("stubborn", "consumer", WEFT_ROLE_CONSUMER, 3));
    keeper.heard_pid("consumer start");
    keeper.heard_pid("consumer deaf");
    const auto from = Clock::now();
    kill(keeper.pid, SIGTERM);
    CHECK(comes_true([&] { return caller.call(keeper.program("stay", "late", WEFT_ROLE_CONSUMER, 4)).status == ESHUTDOWN; }));
    CHECK_EQUAL(keeper.wait(), 0);
    CHECK(ms_since(from) >= 2900);
    CHECK(!alive(spawned.pid));
}

void reaps_orphans() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    caller.call(keeper.program("orphan", "consumer", WEFT_ROLE_CONSUMER, 3));
    keeper.heard_pid("consumer start");
    const pid_t orphan = keeper.heard_pid("consumer orphan");
    CHECK(orphan > 0);
    CHECK(comes_true([&] { return !alive(orphan); })); // a zombie would answer
}

void hangup_ignored() {
    TestKeeper keeper;
    keeper.heard();
    kill(keeper.pid, SIGHUP);
    Caller caller(keeper.sockets());
    CHECK_EQUAL(hello(caller).status, 0);
}

} // namespace

std::vector<Case> hostile_cases();
std::vector<Case> vault_cases();

int main(int argc, char **argv) {
    if (argc > 1 && std::strcmp(argv[1], "program") == 0)
        return run_as_program(argc, argv);
    std::vector<Case> cases = {
        {"keeper: a session daemon that keeps ending is started again after 0, 100, 200, 400 ms", restarts_session_daemon_with_backoff},
        {"keeper: a killed session daemon comes back", restarts_killed_session_daemon},
        {"keeper: a second keeper of a directory is refused with status 3 and a sentence", second_keeper_refused},
        {"keeper: a log that cannot be opened and wrong usage are said on stderr", says_what_is_wrong_at_start},
        {"keeper: systemd and the starter hear `ready` when the session daemon has said hello", ready_after_hello},
        {"keeper: a watching systemd hears that the loop turns, one that watches another process hears nothing", watchdog_hears},
        {"keeper: hello of another version is refused with the keeper's own", hello_refuses_other_abi},
        {"keeper: deposited fds outlive the depositor and the session daemon, and are the same files", deposits_outlive_depositor},
        {"keeper: a deposit is replaced by the next of its id, closed on release", deposit_replaced_and_released},
        {"keeper: the end of a spawned program is reported with pid and status", spawn_reports_exit},
        {"keeper: a spawned program has its uid, a session of its own, a clean environment, fds 0 to 3", spawned_program_is_clean},
        {"keeper: the session daemon sees the chosen part of the keeper's environment", session_daemon_sees_chosen_environment},
        {"keeper: a cache of compiled files that others may write is not passed on", session_daemon_gets_only_a_cache_of_its_own},
        {"keeper: fd 3 of a spawned program and the deposit are two ends of one socket", socket_pair_connects_spawner},
        {"keeper: restart=1 starts a program again, FORGET leaves it alone", restarts_what_was_asked_for},
        {"keeper: LIST gives deposits, then processes, then ENOENT", lists_what_it_holds},
        {"keeper: an adopted process is watched, reported and followed by the keeper's own", adopts},
        {"keeper: killed, it takes nobody along; the next one adopts session daemon and consumer", keeper_killed_all_else_lives},
        {"keeper: SHUTDOWN ends session daemon, consumers, bus in this order", shuts_down_in_order},
        {"keeper: what ignores SIGTERM is killed after its grace", kills_what_does_not_end},
        {"keeper: orphans are reaped", reaps_orphans},
        {"keeper: SIGHUP changes nothing", hangup_ignored},
    };
    for (const std::vector<Case> &more : {vault_cases(), hostile_cases()})
        cases.insert(cases.end(), more.begin(), more.end());
    return run_cases(cases, argc, argv);
}
