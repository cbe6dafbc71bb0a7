// What is left of a keeper that is killed: a process that holds the memory, and nothing else of it.
#include "keeper/test_keeper.h"
#include "ring/test_cases.h"
#include <algorithm>
#include <cctype>
#include <csignal>
#include <filesystem>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace weft_test;

namespace {

// Of the keepers that ever served this directory.
std::vector<pid_t> vaults_of(const TestKeeper &keeper) {
    std::vector<pid_t> found;
    for (const auto &entry : std::filesystem::directory_iterator("/proc")) {
        const std::string words = file_text(entry.path().string() + "/cmdline");
        const bool ours = words.find("/weft-vault") != std::string::npos && words.find(keeper.directory + "/run") != std::string::npos;
        if (ours && std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])))
            found.push_back(std::stoi(entry.path().filename().string()));
    }
    return found;
}

// The only one; -1: there is none, or there are several.
pid_t vault_of(const TestKeeper &keeper) {
    const auto vaults = vaults_of(keeper);
    return vaults.size() == 1 ? vaults[0] : -1;
}

std::vector<ino_t> files_of(pid_t pid) {
    std::vector<ino_t> inodes;
    std::error_code gone;
    for (const auto &entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", gone)) {
        struct stat status;
        if (stat(entry.path().c_str(), &status) == 0)
            inodes.push_back(status.st_ino);
    }
    return inodes;
}

bool vault_holds(const TestKeeper &keeper, const std::vector<ino_t> &wanted) {
    const auto vaults = vaults_of(keeper);
    if (wanted.empty())
        return vaults.empty();
    auto held = vaults.size() == 1 ? files_of(vaults[0]) : std::vector<ino_t>{};
    std::sort(held.begin(), held.end());
    auto sorted = wanted;
    std::sort(sorted.begin(), sorted.end());
    return held == sorted;
}

void vault_outlives_keeper() {
    TestKeeper keeper;
    const pid_t orphan = keeper.heard_pid("sessiond start");
    Caller caller(keeper.sockets());
    hello(caller);
    CHECK(vaults_of(keeper).empty());
    const int ring = memfd_with("ring"), reader = memfd_with("reader"), map = memfd_with("map");
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Record deposit = record_of(WEFT_KEEPER_DEPOSIT, 1);
    deposit.role = WEFT_ROLE_DEPOSIT;
    CHECK_EQUAL(caller.call(deposit, {ring, reader}).status, 0);
    CHECK(comes_true([&] { return vault_holds(keeper, {inode_of(ring), inode_of(reader)}); }));
    deposit.id[0] = 2;
    CHECK_EQUAL(caller.call(deposit, {map}).status, 0);
    deposit.id[0] = 3;
    CHECK_EQUAL(caller.call(deposit, {socket}).status, 0); // a socket that outlives its owner would keep its peer waiting
    CHECK(comes_true([&] { return vault_holds(keeper, {inode_of(ring), inode_of(reader), inode_of(map)}); }));
    CHECK_EQUAL(caller.call(record_of(WEFT_KEEPER_RELEASE, 1)).status, 0);
    CHECK(comes_true([&] { return vault_holds(keeper, {inode_of(map)}); }));
    const pid_t killed = vault_of(keeper);
    kill(killed, SIGKILL); // another one takes its place
    CHECK(comes_true([&] { return vault_of(keeper) != killed && vault_holds(keeper, {inode_of(map)}); }));
    kill(-keeper.pid, SIGKILL);
    kill(keeper.pid, SIGKILL);
    keeper.wait();
    kill(orphan, SIGKILL);
    const pid_t left = vault_of(keeper);
    CHECK(vault_holds(keeper, {inode_of(map)}));
    keeper.start({}); // the lock went with the keeper
    keeper.heard();
    Caller next(keeper.sockets());
    hello(next);
    deposit.id[0] = 1;
    CHECK_EQUAL(next.call(deposit, {ring}).status, 0);
    CHECK(comes_true([&] { return vaults_of(keeper).size() == 2; }));
    CHECK_EQUAL(kill(left, SIGTERM), 0);
    CHECK(comes_true([&] { return vault_holds(keeper, {inode_of(ring)}); }));
    kill(keeper.pid, SIGTERM);
    CHECK_EQUAL(keeper.wait(), 0);
    CHECK(comes_true([&] { return vaults_of(keeper).empty(); })); // an orderly end leaves none
    for (const int fd : {ring, reader, map, socket})
        close(fd);
}

// Only the user may, whose keeper it is: root of a container may lack CAP_SYS_RESOURCE.
bool limit_processes(const TestKeeper &keeper, uid_t user, rlim_t count) {
    const pid_t child = fork();
    if (child == 0) {
        rlimit limit;
        const bool same = getuid() == user || (setgid(user) == 0 && setuid(user) == 0);
        if (!same || prlimit(keeper.pid, RLIMIT_NPROC, nullptr, &limit))
            _exit(1);
        limit.rlim_cur = std::min(count, limit.rlim_max);
        _exit(prlimit(keeper.pid, RLIMIT_NPROC, &limit, nullptr) ? 1 : 0);
    }
    int status = -1;
    return waitpid(child, &status, 0) == child && status == 0;
}

// Under a user whom the limit binds: root may always fork.
void vault_stays_until_there_is_another() {
    const uid_t self = getuid(), bound = self == 0 ? 65534 : self;
    TestKeeper keeper({"stay", self == 0 ? bound : 0, {}, {}, "", 0});
    keeper.heard_pid("sessiond start");
    CHECK_EQUAL(seteuid(bound), 0);
    Caller caller(keeper.sockets());
    CHECK_EQUAL(seteuid(self), 0);
    hello(caller);
    const int ring = memfd_with("ring"), map = memfd_with("map");
    Record deposit = record_of(WEFT_KEEPER_DEPOSIT, 1);
    deposit.role = WEFT_ROLE_DEPOSIT;
    CHECK_EQUAL(caller.call(deposit, {ring}).status, 0);
    CHECK(comes_true([&] { return vaults_of(keeper).size() == 1; }));
    const pid_t former = vault_of(keeper);
    CHECK(limit_processes(keeper, bound, 1));
    deposit.id[0] = 2;
    CHECK_EQUAL(caller.call(deposit, {map}).status, 0);
    const std::string log = keeper.directory + "/log", complaint = "cannot start a vault";
    CHECK(comes_true([&] { return file_text(log).find(complaint) != std::string::npos; }));
    CHECK_EQUAL(caller.call(deposit, {map}).status, 0); // a further turn
    CHECK(vaults_of(keeper) == std::vector<pid_t>{former});
    CHECK(limit_processes(keeper, bound, RLIM_INFINITY)); // nobody tells the keeper
    CHECK(comes_true([&] { const pid_t now = vault_of(keeper); return now > 0 && now != former; }));
    CHECK_EQUAL(file_text(log).find(complaint), file_text(log).rfind(complaint));
    for (const int fd : {ring, map})
        close(fd);
}

} // namespace

std::vector<Case> vault_cases() {
    return {{"keeper: a vault stays while there is no room for the next one, which is started when there is", vault_stays_until_there_is_another},
            {"keeper: a vault holds the memory among the deposits, whoever is killed, until somebody ends it or the keeper ends in order",
             vault_outlives_keeper}};
}
