/* A test program: named cases, one `ok`/`not ok` line each, exit status 1 if any failed. */
#ifndef WEFT_RING_TEST_CASES_H
#define WEFT_RING_TEST_CASES_H

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace weft_test {

struct Case {
    const char *name;
    std::function<void()> run;
};

inline bool failed_here = false;

inline void check(bool holds, const char *what, const char *file, int line, const std::string &detail = "") {
    if (holds)
        return;
    failed_here = true;
    std::printf("# %s:%d: %s %s\n", file, line, what, detail.c_str());
}

inline std::string text(const std::string &value) { return "'" + value + "'"; }
inline std::string text(const char *value) { return "'" + std::string(value) + "'"; }
template <typename T>
std::string text(T value) {
    return std::to_string(value);
}

template <typename Got, typename Wanted>
void check_equal(const Got &got, const Wanted &wanted, const char *what, const char *file, int line) {
    check(got == wanted, what, file, line, "got " + text(got) + ", wanted " + text(wanted));
}

#define CHECK(what) ::weft_test::check((what), #what, __FILE__, __LINE__)
#define CHECK_EQUAL(got, wanted) ::weft_test::check_equal(got, wanted, #got " == " #wanted, __FILE__, __LINE__)

inline int run_cases(const std::vector<Case> &cases, int argc, char **argv) {
    int failures = 0;
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    for (const Case &test : cases) {
        if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr)
            continue;
        failed_here = false;
        test.run();
        failures += failed_here;
        std::printf("%s - %s\n", failed_here ? "not ok" : "ok", test.name);
    }
    return failures > 0 ? 1 : 0;
}

}  // namespace weft_test

#endif
