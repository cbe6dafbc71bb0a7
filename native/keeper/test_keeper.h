/*
 * A keeper for one test: the real binary in a directory of its own, programs that report to the test over a datagram socket
 * (so that the order of what several processes do can be seen), and calls over keeper.sock.
 */
#ifndef WEFT_TEST_KEEPER_H
#define WEFT_TEST_KEEPER_H

#include "keeper/records.h"
#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace weft_test {

using Record = weft_keeper_record;

struct KeeperOptions {
    std::string mode = "stay"; // what the session daemon of this test does
    uid_t uid = 0;             // 0: whoever runs the test
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::string log; // empty: DIR/log
    unsigned fd_limit = 0; // hard limit of open files; 0: as it is
};

class Caller {
  public:
    explicit Caller(const std::string &path); // connects; fd is -1 when refused
    ~Caller();
    Caller(const Caller &) = delete;
    Caller &operator=(const Caller &) = delete;
    bool send(const void *bytes, size_t size, const std::vector<int> &fds = {}) const;
    bool receive(Record &record, std::vector<int> *fds = nullptr) const; // false: closed, or nothing for a minute
    // Sends and waits for the answer; EXITED reports that come in between are kept for report().
    Record call(Record record, const std::vector<int> &fds = {}, std::vector<int> *reply_fds = nullptr);
    Record report();
    int fd;

  private:
    std::vector<Record> reports_;
};

class TestKeeper {
  public:
    explicit TestKeeper(const KeeperOptions &options = {});
    ~TestKeeper();
    TestKeeper(const TestKeeper &) = delete;
    TestKeeper &operator=(const TestKeeper &) = delete;
    void start(const KeeperOptions &options); // a further keeper in the same directory
    int wait();                               // its exit status, or 128 + signal
    std::string heard(); // next report of a program: "TAG what PID"; "" after a minute
    pid_t heard_pid(const std::string &what); // the pid in the next report, which must begin with `what`
    Record program(const std::string &mode, const std::string &tag, unsigned role, unsigned char id) const;
    std::string sockets() const { return directory + "/run/keeper.sock"; }
    std::string said() const; // stderr of the keeper before it speaks into its log
    std::string directory;
    pid_t pid = -1;

  private:
    int reports_ = -1;
};

Record hello(Caller &caller);
// Bounded wait for a condition that no message announces.
bool comes_true(const std::function<bool()> &holds);
Record record_of(unsigned op, unsigned char id = 0, int64_t number = 0);
int memfd_with(const std::string &text);
ino_t inode_of(int fd);
std::string file_text(const std::string &path);
size_t open_fds_of(pid_t pid);
int run_as_program(int argc, char **argv); // the programs that keepers start

} // namespace weft_test

#endif
