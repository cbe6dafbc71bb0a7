#include "keeper/test_keeper.h"
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft_test {
namespace {

std::string own_directory() { return std::filesystem::read_symlink("/proc/self/exe").parent_path().string(); }

sockaddr_un address_of(const std::string &path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
    return address;
}

void limit_waiting(int fd) {
    const timeval a_minute = {60, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &a_minute, sizeof a_minute);
}

void put_text(char *out, size_t size, const std::vector<std::string> &parts) {
    size_t at = 0;
    for (const std::string &part : parts) {
        if (at + part.size() + 2 > size)
            std::abort();
        std::memcpy(out + at, part.c_str(), part.size() + 1);
        at += part.size() + 1;
    }
}

[[noreturn]] void become_keeper(const std::string &directory, const KeeperOptions &options) {
    const int said = open((directory + "/said").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(said, STDERR_FILENO);
    const std::string binary = std::filesystem::path(own_directory()).parent_path().string() + "/weft-keeper";
    const std::string log = options.log.empty() ? directory + "/log" : options.log;
    std::vector<std::string> words = {binary, "--runtime", directory + "/run", "--log", log};
    words.insert(words.end(), options.arguments.begin(), options.arguments.end());
    for (const std::string &word : {std::string("--"), own_directory() + "/keeper_test", std::string("program"), options.mode,
                                    std::string("sessiond"), directory + "/reports"})
        words.push_back(word);
    std::vector<char *> argv;
    for (std::string &word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    for (const std::string &variable : options.environment)
        putenv(strdup(variable.c_str()));
    const rlimit fds = {options.fd_limit, options.fd_limit};
    if (options.fd_limit && setrlimit(RLIMIT_NOFILE, &fds))
        _exit(97);
    if (options.uid && (setgid(options.uid) || setuid(options.uid)))
        _exit(99);
    execv(argv[0], argv.data());
    _exit(98);
}

void report(const std::string &path, const std::string &text) {
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_un to = address_of(path);
    const std::string line = text + " " + std::to_string(getpid());
    sendto(fd, line.data(), line.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr *>(&to), sizeof to);
    close(fd);
}

std::string describe_self() {
    std::ostringstream out;
    out << "uid=" << getuid() << " gid=" << getgid() << " leader=" << (getsid(0) == getpid()) << " cwd=" << std::filesystem::current_path();
    out << " stdin=" << std::filesystem::read_symlink("/proc/self/fd/0").string();
    out << " fds=" << open_fds_of(getpid()) << " fd3=" << (fcntl(3, F_GETFD) >= 0);
    for (char **entry = environ; *entry; entry++)
        out << " " << *entry;
    return out.str();
}

volatile sig_atomic_t asked_to_end;

// Before the start is reported: the test may answer it with a SIGTERM at once.
void hold_term() {
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, nullptr);
    signal(SIGTERM, [](int) { asked_to_end = 1; });
}

void wait_for_term() {
    sigset_t none;
    sigemptyset(&none);
    while (!asked_to_end)
        sigsuspend(&none);
}

} // namespace

Record record_of(unsigned op, unsigned char id, int64_t number) {
    Record record = {};
    static uint32_t token;
    record.op = op;
    record.token = ++token;
    record.number = number;
    std::memset(record.id, id, sizeof record.id);
    return record;
}

int memfd_with(const std::string &text) {
    const int fd = memfd_create("test", MFD_CLOEXEC);
    if (write(fd, text.data(), text.size()) < 0)
        std::abort();
    return fd;
}

ino_t inode_of(int fd) {
    struct stat status = {};
    return fstat(fd, &status) ? 0 : status.st_ino;
}

std::string file_text(const std::string &path) {
    std::ifstream in(path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

size_t open_fds_of(pid_t pid) {
    size_t count = 0;
    DIR *directory = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count - 2 - (pid == getpid() ? 1 : 0); // ".", ".." and the directory itself
}

Caller::Caller(const std::string &path) : fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    const sockaddr_un to = address_of(path);
    limit_waiting(fd);
    if (connect(fd, reinterpret_cast<const sockaddr *>(&to), sizeof to)) {
        close(fd);
        fd = -1;
    }
}

Caller::~Caller() {
    if (fd >= 0)
        close(fd);
}

bool Caller::send(const void *bytes, size_t size, const std::vector<int> &fds) const {
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
    iovec part = {const_cast<void *>(bytes), size};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
        cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(head), fds.data(), fds.size() * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(size);
}

bool Caller::receive(Record &record, std::vector<int> *fds) const {
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))];
    iovec part = {&record, sizeof record};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t size;
    do {
        size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size != static_cast<ssize_t>(sizeof record))
        return false;
    const cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (fds && head) {
        fds->resize((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        std::memcpy(fds->data(), CMSG_DATA(head), fds->size() * sizeof(int));
    }
    return true;
}

Record Caller::call(Record record, const std::vector<int> &fds, std::vector<int> *reply_fds) {
    Record reply = {};
    reply.status = -1;
    if (!send(&record, sizeof record, fds))
        return reply;
    while (receive(reply, reply_fds)) {
        if (reply.op == record.op && reply.token == record.token)
            return reply;
        reports_.push_back(reply);
    }
    reply = {};
    reply.status = -2;
    return reply;
}

Record Caller::report() {
    Record record = {};
    if (!reports_.empty()) {
        record = reports_.front();
        reports_.erase(reports_.begin());
    } else if (!receive(record)) {
        record.status = -2;
    }
    return record;
}

TestKeeper::TestKeeper(const KeeperOptions &options) {
    char name[] = "/tmp/weft-keeper-XXXXXX";
    directory = mkdtemp(name);
    chmod(directory.c_str(), 0777); // programs of other uids report here too
    reports_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    limit_waiting(reports_);
    const sockaddr_un at = address_of(directory + "/reports");
    if (bind(reports_, reinterpret_cast<const sockaddr *>(&at), sizeof at))
        std::abort();
    chmod(at.sun_path, 0666);
    start(options);
}

void TestKeeper::start(const KeeperOptions &options) {
    std::fflush(stdout);
    pid = fork();
    if (pid == 0)
        become_keeper(directory, options);
}

int TestKeeper::wait() {
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TestKeeper::~TestKeeper() {
    if (pid > 0)
        kill(pid, SIGTERM);
    wait();
    close(reports_);
    std::filesystem::remove_all(directory);
}

std::string TestKeeper::heard() {
    char text[4096];
    ssize_t size;
    do { // a limit on waiting makes a stop of this process an interruption
        size = recv(reports_, text, sizeof text, 0);
    } while (size < 0 && errno == EINTR);
    return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
}

Record hello(Caller &caller) { return caller.call(record_of(WEFT_KEEPER_HELLO, 0, WEFT_KEEPER_ABI)); }

bool comes_true(const std::function<bool()> &holds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > until)
            return false;
        usleep(2000);
    }
    return true;
}

pid_t TestKeeper::heard_pid(const std::string &what) {
    const std::string line = heard();
    return line.rfind(what, 0) == 0 ? std::atoi(line.substr(line.rfind(' ')).c_str()) : -1;
}

std::string TestKeeper::said() const { return file_text(directory + "/said"); }

Record TestKeeper::program(const std::string &mode, const std::string &tag, unsigned role, unsigned char id) const {
    Record record = record_of(WEFT_KEEPER_SPAWN, id);
    record.role = role;
    record.uid = getuid();
    record.gid = getgid();
    put_text(record.arguments, sizeof record.arguments,
             {own_directory() + "/keeper_test", "program", mode, tag, directory + "/reports"});
    return record;
}

// program MODE TAG SOCKET
int run_as_program(int argc, char **argv) {
    if (argc < 5)
        return 2;
    const std::string mode = argv[2];
    const std::string tag = argv[3];
    const std::string to = argv[4];
    if (mode == "stay")
        hold_term();
    if (mode == "describe")
        report(to, describe_self());
    else if (mode == "flash")
        report(to, tag + " start at " + std::to_string(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::milliseconds(1)));
    else
        report(to, tag + " start");
    if (mode == "flash" || mode == "describe")
        return 7;
    if (mode == "orphan" && fork() > 0)
        _exit(0);
    if (mode == "orphan")
        report(to, tag + " orphan");
    if (mode == "stubborn") {
        signal(SIGTERM, SIG_IGN);
        report(to, tag + " deaf");
        pause();
    }
    if (mode != "stay")
        return 0;
    wait_for_term();
    report(to, tag + " end");
    return 0;
}

} // namespace weft_test
