/* A child process that a test stops where it likes and kills there. */
#ifndef WEFT_RING_TEST_TRACEE_H
#define WEFT_RING_TEST_TRACEE_H

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "ring/test_cases.h"
#include "ring/test_set.h"

namespace weft_test {

constexpr int kNotPermitted = 77;

/* The child stops before `body`, and ends well if that is true. */
inline pid_t start_traced(const std::function<bool()> &body) {
    const pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0)
            _exit(kNotPermitted);
        raise(SIGSTOP);
        _exit(body() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNotPermitted) {
        std::printf("ok - # skip: this container does not permit ptrace\n");
        std::exit(0);
    }
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    return child;
}

/* Lets the child run to its next stop of this kind. False: it ended by itself, as it should. */
inline bool advance(pid_t child, __ptrace_request how) {
    int status = 0;
    ptrace(how, child, nullptr, nullptr);
    waitpid(child, &status, 0);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
    return WIFSTOPPED(status);
}

inline void kill_child(pid_t child) {
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
}

/* Runs `body` in one child after the other, each killed one stop in the kernel later than the last, until one gets through. Returns
 * how many were killed. `each` is called before every child. */
inline unsigned kill_at_every_system_call(const std::function<void()> &each, const std::function<bool()> &body) {
    unsigned kills = 0;
    for (bool killed = true; killed; kills += killed) {
        each();
        const pid_t child = start_traced(body);
        bool stopped = true;
        for (unsigned stop = 0; stopped && stop <= kills; stop++)
            stopped = advance(child, PTRACE_SYSCALL);
        killed = stopped;
        if (stopped)
            kill_child(child);
    }
    return kills;
}

/* Single-steps until the reader pages have changed `stores` times. False: the child ended before that. */
inline bool step_stores(TestSet &set, pid_t child, unsigned stores) {
    std::vector<weft_reader_page> seen(set.page(), set.page() + set.geometry().cpu_count);
    for (unsigned done = 0; done < stores;) {
        if (!advance(child, PTRACE_SINGLESTEP))
            return false;
        if (std::memcmp(seen.data(), set.page(), seen.size() * sizeof seen[0]) == 0)
            continue;
        std::memcpy(seen.data(), set.page(), seen.size() * sizeof seen[0]);
        done++;
    }
    return true;
}

}  // namespace weft_test

#endif
