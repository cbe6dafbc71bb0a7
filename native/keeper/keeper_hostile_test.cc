// Callers that send anything, do not read, or are somebody else.
#include "keeper/test_keeper.h"
#include "ring/test_cases.h"
#include <cerrno>
#include <csignal>
#include <memory>
#include <sys/wait.h>
#include <unistd.h>

using namespace weft_test;

namespace {

constexpr uid_t somebody = 65534;

void wrong_sizes_close_the_connection() {
    TestKeeper keeper;
    keeper.heard();
    const std::vector<char> bytes(sizeof(Record) + 1, 'x');
    const int fd = memfd_with("x");
    Caller settled(keeper.sockets()); // answered: the keeper is past its start
    settled.call(record_of(WEFT_KEEPER_LIST));
    const size_t fds_before = open_fds_of(keeper.pid);
    for (const size_t size : {size_t{1}, sizeof(Record) - 1, sizeof(Record) + 1}) {
        Caller caller(keeper.sockets());
        Record record;
        CHECK(caller.send(bytes.data(), size, {fd}));
        CHECK(!caller.receive(record));
    }
    CHECK_EQUAL(open_fds_of(keeper.pid), fds_before); // the fds that came along were closed
    close(fd);
}

void wrong_fds_are_refused_and_closed() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    const int fd = memfd_with("x");
    caller.call(record_of(WEFT_KEEPER_HELLO, 0, WEFT_KEEPER_ABI));
    const size_t fds_before = open_fds_of(keeper.pid);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_DEPOSIT, 1)).status, EINVAL);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_DEPOSIT, 1), {fd, fd, fd}).status, EINVAL);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_DEPOSIT, 1), {fd, fd, fd, fd, fd, fd}).status, EINVAL);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_LIST), {fd}).status, EINVAL);
    CHECK_EQUAL(open_fds_of(keeper.pid), fds_before);
    close(fd);
}

void nonsense_is_einval() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    for (const unsigned op : {0u, 11u, 32u, 0xffffffffu})
        CHECK_EQUAL(caller.call(record_of(op)).status, EINVAL);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_LIST, 0, -1)).status, EINVAL);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_LIST, 0, INT64_MAX)).status, ENOENT);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_KILL, 0, 0)).status, EINVAL);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_KILL, 0, int64_t{1} << 40)).status, EINVAL);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_KILL, 77, SIGTERM)).status, ENOENT);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_FORGET, 77)).status, ENOENT);
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_FORGET, 0)).status, EPERM); // the session daemon's own entry
}

void spawn_checks_every_field() {
    TestKeeper keeper;
    keeper.heard();
    Caller caller(keeper.sockets());
    const Record good = keeper.program("stay", "consumer", WEFT_ROLE_CONSUMER, 3);
    const auto refused = [&](const char *what, void (*spoil)(Record &), int wanted) {
        Record bad = good;
        spoil(bad);
        const int status = caller.call(bad).status;
        check(status == wanted, what, __FILE__, __LINE__, "status " + std::to_string(status));
    };
    refused("unended arguments", [](Record &r) { std::memset(r.arguments, 'a', sizeof r.arguments); r.arguments[0] = '/'; }, EINVAL);
    refused("no empty string at the end", [](Record &r) { std::memset(r.arguments, 'a', sizeof r.arguments);
        r.arguments[0] = '/'; r.arguments[sizeof r.arguments - 1] = 0; }, EINVAL);
    refused("no arguments", [](Record &r) { r.arguments[0] = 0; }, EINVAL);
    refused("relative program", [](Record &r) { r.arguments[0] = 'x'; }, EINVAL);
    refused("unended log", [](Record &r) { std::memset(r.log, '/', sizeof r.log); }, EINVAL);
    refused("relative log", [](Record &r) { r.log[0] = 'l'; }, EINVAL);
    refused("environment without =", [](Record &r) { std::strcpy(r.environment, "NAME"); }, EINVAL);
    refused("environment without name", [](Record &r) { std::strcpy(r.environment, "=value"); }, EINVAL);
    refused("unended environment", [](Record &r) { std::memset(r.environment, '=', sizeof r.environment); }, EINVAL);
    refused("a second session daemon", [](Record &r) { r.role = WEFT_ROLE_SESSIOND; }, EINVAL);
    refused("no role", [](Record &r) { r.role = 0; }, EINVAL);
    refused("missing program", [](Record &r) { r.arguments[1] = '!'; }, ENOENT);
    refused("missing log directory", [](Record &r) { std::strcpy(r.log, "/nonexistent/log"); }, ENOENT);
    CHECK_EQUAL(caller.call(good).status, 0); // none of them left anything behind
}

void one_who_does_not_read_stops_nobody() {
    TestKeeper keeper;
    keeper.heard();
    Caller greedy(keeper.sockets());
    const Record list = record_of(WEFT_KEEPER_LIST);
    int sent = 0;
    while (sent < 10000 && greedy.send(&list, sizeof list))
        sent++;
    CHECK(sent > 0 && sent < 10000);
    Caller other(keeper.sockets());
    CHECK_EQUAL(other.call(record_of(WEFT_KEEPER_HELLO, 0, WEFT_KEEPER_ABI)).status, 0);
    Record reply; // and when it reads at last, every answer is there
    for (int i = 0; i < sent; i++)
        if (!greedy.receive(reply)) {
            CHECK(i == sent);
            break;
        }
}

void deposits_leave_room_to_work() {
    KeeperOptions options;
    options.fd_limit = 160;
    TestKeeper keeper(options);
    keeper.heard();
    Caller caller(keeper.sockets());
    const int fd = memfd_with("x");
    Record deposit = record_of(WEFT_KEEPER_DEPOSIT, 1);
    deposit.role = WEFT_ROLE_DEPOSIT;
    int kept = 0;
    while (kept < 200 && caller.call(deposit, {fd, fd}).status == 0)
        deposit.id[0] = static_cast<uint8_t>(++kept + 1);
    CHECK(kept > 30 && kept < 60); // (160 - 64 in reserve) / 2, less what is open anyway
    CHECK_EQUAL(caller.call(deposit, {fd, fd}).status, EMFILE);
    Caller other(keeper.sockets()); // it still accepts, starts programs, and frees what is released
    CHECK_EQUAL(other.call(keeper.program("stay", "consumer", WEFT_ROLE_CONSUMER, 201)).status, 0);
    std::vector<int> socket;
    CHECK_EQUAL(other.call(record_of(WEFT_KEEPER_FETCH, 201), {}, &socket).status, 0);
    Record first = record_of(WEFT_KEEPER_RELEASE);
    std::memset(first.id, 1, sizeof first.id);
    CHECK_EQUAL(other.call(first).status, 0);
    CHECK_EQUAL(other.call(deposit, {fd, fd}).status, 0);
    for (const int each : socket)
        close(each);
    close(fd);
}

void too_many_connections_are_refused() {
    TestKeeper keeper;
    keeper.heard();
    std::vector<std::unique_ptr<Caller>> callers;
    for (int i = 0; i < 17; i++)
        callers.push_back(std::make_unique<Caller>(keeper.sockets()));
    Record record;
    CHECK(!callers.back()->receive(record)); // closed
    CHECK_EQUAL(callers.front()->call(record_of(WEFT_KEEPER_HELLO, 0, WEFT_KEEPER_ABI)).status, 0);
    callers.pop_back();
    callers.pop_back();
    Caller next(keeper.sockets());
    CHECK_EQUAL(next.call(record_of(WEFT_KEEPER_LIST)).status, 0);
}

int status_as(uid_t uid, const std::string &path, const Record &record) {
    const pid_t child = fork();
    if (child == 0) {
        if (setgid(uid) || setuid(uid))
            _exit(200);
        Caller caller(path);
        const int status = caller.fd < 0 ? 201 : caller.call(record).status;
        _exit(status < 0 ? 202 : status);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

void only_its_own_uid_is_served() {
    KeeperOptions options;
    options.uid = somebody;
    TestKeeper keeper(options);
    keeper.heard();
    Caller root(keeper.sockets());
    CHECK_EQUAL(root.call(record_of(WEFT_KEEPER_LIST)).status, -2); // closed: not even root commands another user's keeper
    Record program = keeper.program("stay", "consumer", WEFT_ROLE_CONSUMER, 3);
    program.uid = program.gid = somebody;
    CHECK_EQUAL(status_as(somebody, keeper.sockets(), program), 0);
    CHECK(keeper.heard_pid("consumer start") > 0);
    program.id[0]++;
    program.uid = 0; // and it makes nobody another user
    CHECK_EQUAL(status_as(somebody, keeper.sockets(), program), EPERM);
    CHECK_EQUAL(status_as(somebody - 1, keeper.sockets(), program), 201); // cannot even connect
}

} // namespace

std::vector<Case> hostile_cases();
std::vector<Case> hostile_cases() {
    std::vector<Case> cases = {
        {"keeper: a message that is no record closes its connection, and its fds", wrong_sizes_close_the_connection},
        {"keeper: fds where none belong are refused and closed", wrong_fds_are_refused_and_closed},
        {"keeper: unknown requests and numbers out of range are EINVAL", nonsense_is_einval},
        {"keeper: SPAWN checks every field before anything is started", spawn_checks_every_field},
        {"keeper: a caller that does not read its answers stops nobody else", one_who_does_not_read_stops_nobody},
        {"keeper: deposits stop where the keeper could not work any more, with EMFILE", deposits_leave_room_to_work},
        {"keeper: connections beyond the limit are refused, the others served", too_many_connections_are_refused},
    };
    if (getuid() == 0)
        cases.push_back({"keeper: serves its own uid only and makes nobody another user", only_its_own_uid_is_served});
    else
        std::printf("ok - keeper: serves its own uid only # SKIP needs root to be two users\n");
    return cases;
}
