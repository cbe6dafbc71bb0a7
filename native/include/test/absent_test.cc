/* A program with points where libweft is not installed: it notices nothing. Starts itself again without a library path. */
#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

/* Before the points' own constructors, and between them and main. */
static int errno_after;
static const char *dlerror_after;
static __attribute__((constructor(140))) void before() { errno = 77; }
static __attribute__((constructor(160))) void after() {
    errno_after = errno;
    dlerror_after = dlerror();
}

#define WEFT_TRACEPOINT_DEFINE
#define WEFT_TRACEPOINT_CREATE_PROBES
#include "points_provider.h"

#include <weft/tracef.h>

#include "ring/test_cases.h"

namespace {

void nothing_is_left_behind() {
    CHECK_EQUAL(errno_after, 77);
    CHECK(dlerror_after == nullptr);
    CHECK(weft_module.looked == 1);
    CHECK(weft_module.library == nullptr);
}

void points_are_off() {
    int evaluated = 0;
    weft_tracepoint(weft_points, number, ++evaluated);
    weft_tracef("%d", ++evaluated);
    weft_tracelog(WEFT_LOGLEVEL_ERR, "%d", ++evaluated);
    weft_do_tracepoint(weft_points, text, "calling without asking is harmless too");
    CHECK_EQUAL(evaluated, 0);
    CHECK(!weft_tracepoint_enabled(weft_points, text));
}

}  // namespace

int main(int argc, char **argv) {
    if (std::getenv("LD_LIBRARY_PATH")) {
        unsetenv("LD_LIBRARY_PATH");
        execv("/proc/self/exe", argv);
        return 1;
    }
    if (void *installed = dlopen(WEFT_LIBRARY_SONAME, RTLD_NOW)) {
        dlclose(installed);
        std::printf("ok - without the library all is off # SKIP libweft is installed on this machine\n");
        return 0;
    }
    dlerror();
    return weft_test::run_cases({{"without the library errno and dlerror() stay as they were", nothing_is_left_behind},
                                 {"without the library all points are off and evaluate nothing", points_are_off}},
                                argc, argv);
}
