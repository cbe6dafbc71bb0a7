/* How instrumentation points behave: enabled or not, shared between objects, when memory is short, when text changes under them. */
#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <string>

#define WEFT_TRACEPOINT_DEFINE
#define WEFT_TRACEPOINT_CREATE_PROBES
#include "points_provider.h"

#include "fake_weft.h"
#include "ring/test_cases.h"

extern "C" void call_from(void *ip);

namespace {

const fake_weft *fake;
int evaluated;

int next_number() { return ++evaluated; }

void reset(int sinks) {
    fake->enable(sinks);
    fake->forget();
    evaluated = 0;
}

void disabled_points_evaluate_nothing() {
    reset(0);
    weft_tracepoint(weft_points, number, next_number());
    CHECK_EQUAL(evaluated, 0);
    CHECK(!weft_tracepoint_enabled(weft_points, number));
    weft_do_tracepoint(weft_points, number, next_number());
    CHECK_EQUAL(evaluated, 1);
    CHECK_EQUAL(fake->records(), 0u);
}

void each_channel_gets_the_event() {
    reset(2);
    weft_tracepoint(weft_points, number, next_number());
    CHECK(weft_tracepoint_enabled(weft_points, number));
    CHECK_EQUAL(evaluated, 1);
    CHECK_EQUAL(fake->records(), 2u);
    CHECK(std::memcmp(fake->record(0)->payload, fake->record(1)->payload, sizeof(int)) == 0);
}

/* A sink stays in the list when it is switched off. */
void switched_off_sinks_are_passed_over() {
    reset(2);
    weft_sink *first = weft_point_weft_points___number.sinks;
    first->on = 0;
    weft_tracepoint(weft_points, number, 1);
    first->on = 1;
    CHECK_EQUAL(fake->records(), 1u);
}

__attribute__((noinline)) void hit_here() { weft_tracepoint(weft_points, number, 5); }

void ip_lies_in_the_calling_function() {
    reset(1);
    hit_here();
    const uintptr_t ip = reinterpret_cast<uintptr_t>(fake->record(0)->ip), begin = reinterpret_cast<uintptr_t>(&hit_here);
    CHECK(ip > begin && ip < begin + 512);
    call_from(reinterpret_cast<void *>(0x1234));
    CHECK_EQUAL(reinterpret_cast<uintptr_t>(fake->record(1)->ip), uintptr_t{0x1234});
}

/* On both sides of what fits on the stack. The NUL counts. */
void payloads_of_every_size_arrive() {
    for (const size_t length : {size_t{0}, size_t{1}, size_t{510}, size_t{511}, size_t{512}, size_t{100000}}) {
        reset(1);
        const uint32_t stages = fake->stages();
        const std::string text(length, 'x');
        weft_tracepoint(weft_points, text, text.c_str());
        CHECK_EQUAL(fake->records(), 1u);
        CHECK_EQUAL(std::string(fake->record(0)->payload), text);
        CHECK_EQUAL(fake->record(0)->length, length + 1);
        CHECK_EQUAL(fake->stages() - stages, length + 1 > WEFT_STAGE_STACK ? 1u : 0u);
        CHECK_EQUAL(fake->staged(), 0u);
    }
}

void without_staging_memory_nothing_is_recorded() {
    reset(1);
    const std::string text(5000, 'x');
    fake->refuse_stage(1);
    weft_tracepoint(weft_points, text, text.c_str());
    fake->refuse_stage(0);
    CHECK_EQUAL(fake->records(), 0u);
    CHECK_EQUAL(fake->staged(), 0u);
}

/* Between measuring and copying, where another thread would come in. */
void text_that_changes_keeps_its_length() {
    char text[] = "measured", copy[16];
    weft_measured m;
    CHECK_EQUAL(weft_measure_string(&m, text), size_t{9});
    text[4] = '\0';
    CHECK(weft_put_string(copy, &m) == copy + 9);
    CHECK_EQUAL(std::string(copy), std::string("meas####"));
    std::memcpy(text, "longer text", 8);
    weft_put_string(copy, &m);
    CHECK_EQUAL(std::string(copy), std::string("longer t"));
}

/* Symbols resolve to the program's point, which must outlive the library. */
void a_library_shares_the_programs_point() {
    reset(1);
    const uint32_t points = fake->points();
    void *library = dlopen("libpoints.so", RTLD_NOW | RTLD_LOCAL);
    CHECK(library != nullptr);
    if (!library)
        return;
    void (*library_number)(int);
    *reinterpret_cast<void **>(&library_number) = dlsym(library, "library_number");
    library_number(7);
    CHECK_EQUAL(fake->records(), 2u); /* the second one is the library's own */
    CHECK_EQUAL(fake->points(), points + 1);
    dlclose(library);
    CHECK(dlopen("libpoints.so", RTLD_NOW | RTLD_NOLOAD) == nullptr);
    weft_tracepoint(weft_points, number, 8);
    CHECK_EQUAL(fake->records(), 3u);
    CHECK_EQUAL(fake->points(), points);
}

void points_of_all_files_are_registered_once() {
    CHECK_EQUAL(fake->points(), 3u);
    CHECK_EQUAL(fake->events(), 3u);
    CHECK(fake->event("weft_points", "number")->loglevel != nullptr);
    CHECK_EQUAL(*fake->event("weft_points", "number")->loglevel, static_cast<int>(WEFT_LOGLEVEL_INFO));
}

}  // namespace

int main(int argc, char **argv) {
    void *library = dlopen(WEFT_LIBRARY_SONAME, RTLD_NOW);
    fake = library ? static_cast<const fake_weft *>(dlsym(library, "fake_weft")) : nullptr;
    if (!fake) {
        std::printf("not ok - the fake library is found\n");
        return 1;
    }
    return weft_test::run_cases(
        {
            {"the points of all files of an object are registered once", points_of_all_files_are_registered_once},
            {"a disabled point does not evaluate its arguments", disabled_points_evaluate_nothing},
            {"two channels get one event each, arguments are evaluated once", each_channel_gets_the_event},
            {"a channel that is switched off gets nothing", switched_off_sinks_are_passed_over},
            {"a record's ip lies in the calling function, or is what the provider names", ip_lies_in_the_calling_function},
            {"payloads of every size arrive whole and give their memory back", payloads_of_every_size_arrive},
            {"without staging memory nothing is recorded and nothing breaks", without_staging_memory_nothing_is_recorded},
            {"text that changes while it is copied keeps its measured length", text_that_changes_keeps_its_length},
            {"a library that is unloaded takes its points along and leaves the program's on", a_library_shares_the_programs_point},
        },
        argc, argv);
}
