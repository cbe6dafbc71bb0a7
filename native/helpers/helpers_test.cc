/* The preload helpers on a program that knows nothing of them, and on programs of the system; records go to the fake library. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "ring/test_cases.h"

namespace {

std::string build;   /* the folder with the helpers */
std::string scratch; /* a folder of our own */

struct Ran {
    int status;
    std::string out, records;
};

std::string read_file(const std::string &path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/* Standard output and error together: a helper that says anything is seen. */
Ran run(const std::vector<std::string> &words, const std::string &helpers, const std::string &library_path) {
    const std::string out = scratch + "/out", records = scratch + "/records";
    unlink(records.c_str());
    const pid_t child = fork();
    if (child == 0) {
        const int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        setenv("WEFT_FAKE_OUT", records.c_str(), 1);
        setenv("LD_LIBRARY_PATH", library_path.c_str(), 1);
        setenv("LD_PRELOAD", helpers.c_str(), 1);
        setenv("WEFT_HOME", scratch.c_str(), 1); /* nobody's daemon */
        std::vector<char *> arguments;
        for (const std::string &word : words)
            arguments.push_back(const_cast<char *>(word.c_str()));
        arguments.push_back(nullptr);
        execv(arguments[0], arguments.data());
        _exit(127);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return {status, read_file(out), read_file(records)};
}

std::string libc_helper() { return build + "/libweft-libc.so"; }
std::string pthread_helper() { return build + "/libweft-pthread.so"; }
std::string dl_helper() { return build + "/libweft-dl.so"; }
std::string fake_path() { return build + "/include/fake"; }
std::string program() { return build + "/helpers/helpers_program"; }

size_t count(const std::string &text, const std::string &pattern) {
    const std::regex wanted(pattern);
    return static_cast<size_t>(std::distance(std::sregex_iterator(text.begin(), text.end(), wanted), std::sregex_iterator()));
}

/* The context ip of the records that match lies in the function that begins at `function`. */
void check_callers(const Ran &ran, const std::string &pattern, uintptr_t function) {
    std::istringstream lines(ran.records);
    size_t found = 0;
    for (std::string line; std::getline(lines, line);) {
        if (!std::regex_search(line, std::regex(pattern)))
            continue;
        const uintptr_t ip = std::strtoull(line.c_str() + line.rfind("ip=") + 3, nullptr, 16);
        CHECK(ip > function && ip < function + 1024);
        found++;
    }
    CHECK(found > 0);
}

uintptr_t printed(const Ran &ran, int index) {
    std::istringstream words(ran.out);
    std::string word;
    while (index-- >= 0)
        words >> word;
    return std::strtoull(word.c_str(), nullptr, 16);
}

void allocations_are_recorded() {
    const Ran ran = run({program()}, libc_helper(), fake_path());
    CHECK_EQUAL(ran.status, 0);
    CHECK_EQUAL(count(ran.records, "malloc \\{ size = 1001, ptr = 0x[1-9a-f]"), size_t{1});
    CHECK_EQUAL(count(ran.records, "realloc \\{ in_ptr = 0x[1-9a-f][0-9a-f]*, size = 2002, ptr = 0x[1-9a-f]"), size_t{1});
    CHECK_EQUAL(count(ran.records, "calloc \\{ nmemb = 3, size = 1003, ptr = 0x"), size_t{1});
    CHECK_EQUAL(count(ran.records, ":memalign \\{ alignment = 64, size = 1004, ptr = 0x"), size_t{1});
    CHECK_EQUAL(count(ran.records, "posix_memalign \\{ out_ptr = 0x[1-9a-f][0-9a-f]*[08]0, alignment = 128, size = 1005, result = 0"), size_t{1});
    CHECK_EQUAL(count(ran.records, "posix_memalign \\{ out_ptr = 0x0, alignment = 3, size = 1006, result = 22"), size_t{1});
    CHECK_EQUAL(count(ran.records, "WRONG LENGTH"), size_t{0});
    check_callers(ran, "size = (1001|2002|1003|1004|1005|1006)", printed(ran, 0));
}

/* What malloc gave is what free takes. */
void each_free_names_what_was_given() {
    const Ran ran = run({program()}, libc_helper(), fake_path());
    std::smatch given;
    CHECK(std::regex_search(ran.records, given, std::regex("realloc \\{ in_ptr = (0x[0-9a-f]+), size = 2002, ptr = (0x[0-9a-f]+)")));
    CHECK(std::regex_search(ran.records, std::regex("malloc \\{ size = 1001, ptr = " + given[1].str() + ",")));
    CHECK(std::regex_search(given.suffix().str(), std::regex("free \\{ ptr = " + given[2].str() + ",")));
}

void threads_and_children_are_recorded() {
    const Ran ran = run({program()}, libc_helper(), fake_path());
    CHECK_EQUAL(count(ran.records, "malloc \\{ size = 3003,"), size_t{200});
    CHECK_EQUAL(count(ran.records, "malloc \\{ size = 4004,"), size_t{1});
}

void mutexes_are_recorded() {
    const Ran ran = run({program()}, pthread_helper(), fake_path());
    CHECK_EQUAL(ran.status, 0);
    CHECK(count(ran.records, "pthread_mutex_lock_req \\{ mutex = 0x[0-9a-f]+") >= 202);
    CHECK(count(ran.records, "pthread_mutex_lock_acq \\{ mutex = 0x[0-9a-f]+, status = 0") >= 202);
    CHECK_EQUAL(count(ran.records, "pthread_mutex_trylock \\{ mutex = 0x[0-9a-f]+, status = 16"), size_t{1});
    CHECK(count(ran.records, "pthread_mutex_unlock \\{ mutex = 0x[0-9a-f]+, status = 0") >= 202);
    check_callers(ran, "trylock", printed(ran, 1));
}

void libraries_are_recorded() {
    const Ran ran = run({program()}, dl_helper(), fake_path());
    CHECK_EQUAL(ran.status, 0);
    std::smatch opened;
    CHECK(std::regex_search(ran.records, opened, std::regex("dlopen \\{ baddr = (0x[1-9a-f][0-9a-f]*000), memsz = [1-9][0-9]{5,}, flags = 0x2, path = \"?/[^ ]*/libm\\.so\\.6")));
    CHECK_EQUAL(count(ran.records, "dlmopen \\{ baddr = 0x[1-9a-f][0-9a-f]*000, memsz = 0, nsid = -1, flags = 0x1"), size_t{1});
    CHECK_EQUAL(count(ran.records, "dlclose \\{ baddr = " + opened[1].str()), size_t{1});
    CHECK_EQUAL(count(ran.records, "dlclose"), size_t{2});
    CHECK_EQUAL(count(ran.records, "nonexistent"), size_t{0});
    check_callers(ran, "dl(m?open|close)", printed(ran, 2));
}

void both_helpers_at_once() {
    const Ran ran = run({program()}, libc_helper() + " " + pthread_helper(), fake_path());
    CHECK_EQUAL(ran.status, 0);
    CHECK_EQUAL(count(ran.records, "malloc \\{ size = 3003,"), size_t{200});
    CHECK(count(ran.records, "pthread_mutex_unlock") >= 202);
}

std::string copied(const std::string &from, const char *name) {
    std::ofstream(scratch + name, std::ios::binary) << std::ifstream(from, std::ios::binary).rdbuf();
    return scratch + name;
}

/* Programs that nobody here wrote: pipes, forks, exec. */
void programs_of_the_system_run_as_before() {
    const std::string both = libc_helper() + " " + pthread_helper() + " " + dl_helper();
    const Ran shell = run({"/bin/sh", "-c", "echo b a | tr ' ' '\\n' | sort"}, both, fake_path());
    CHECK_EQUAL(shell.status, 0);
    CHECK_EQUAL(shell.out, std::string("a\nb\n"));
    CHECK(count(shell.records, "lttng_ust_libc:malloc") > 3);
    const Ran real = run({"/bin/sh", "-c", "echo still here"}, both, build);
    CHECK_EQUAL(real.out, std::string("still here\n"));
}

/* A helper looks beside itself: here it lies alone. */
void without_the_library_nothing_happens() {
    const std::string both = copied(libc_helper(), "/libc.so") + " " + copied(pthread_helper(), "/pthread.so");
    const Ran ran = run({program()}, both, "/nonexistent");
    CHECK_EQUAL(ran.status, 0);
    CHECK_EQUAL(count(ran.out, "\n"), size_t{1});
}

}  // namespace

int main(int argc, char **argv) {
    char self[4096], folder[] = "/tmp/weft-helpers-XXXXXX";
    const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0 || !mkdtemp(folder))
        return 1;
    build = std::string(self, static_cast<size_t>(length));
    build = build.substr(0, build.rfind("/helpers/"));
    scratch = folder;
    const int status = weft_test::run_cases(
        {
            {"allocations are recorded with size, pointer and the program's address", allocations_are_recorded},
            {"a free names the pointer that was given", each_free_names_what_was_given},
            {"threads and a forked child are recorded", threads_and_children_are_recorded},
            {"mutexes are recorded with request, acquisition, attempt and release", mutexes_are_recorded},
            {"libraries that are loaded and unloaded are recorded, failures stay what they were", libraries_are_recorded},
            {"both helpers work at once", both_helpers_at_once},
            {"programs of the system run as before, with the fake library and the real one", programs_of_the_system_run_as_before},
            {"without the library a helper changes nothing and says nothing", without_the_library_nothing_happens},
        },
        argc, argv);
    for (const char *name : {"/out", "/records", "/libc.so", "/pthread.so"})
        unlink((scratch + name).c_str());
    rmdir(folder);
    return status;
}
