/* A traced program that does what it is told: see test_app.h. */
#define _GNU_SOURCE
#include "ust/test_app.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ust/test_fields.h"
#include "weft/context.h"
#include "weft/serialize.h"

#define FILES 300

static const struct weft_library *library;

static void record_tick(struct weft_sink *sink, uint32_t thread, uint64_t number)
{
    char stage[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL];
    char *payload = stage + WEFT_STAGE_HEADROOM;
    memcpy(payload, &thread, 4);
    memcpy(payload + 4, &number, 8);
    library->record(sink, payload, 12, __builtin_return_address(0));
}

/* As the provider macros make a probe. */
static void record_filtered_tick(struct weft_sink *sink, uint32_t thread, uint64_t number)
{
    struct weft_value values[2];
    if (__atomic_load_n(&sink->filtered, __ATOMIC_RELAXED) == WEFT_FILTERED_NO_VALUES) {
        library->evaluate(sink, NULL, 0, __builtin_return_address(0));
        return;
    }
    weft_value_integer(&values[0], &thread, sizeof(thread), WEFT_INT_SIGNED);
    weft_value_integer(&values[1], &number, sizeof(number), 0);
    if (!__atomic_load_n(&sink->filtered, __ATOMIC_RELAXED) || library->evaluate(sink, values, 2, __builtin_return_address(0)))
        record_tick(sink, thread, number);
}

static void record_tick_as_twin(struct weft_sink *sink, uint32_t thread, uint64_t number)
{
    (void)thread;
    record_tick(sink, 200, number);
}

static const struct weft_field tick_fields[] = {
    { .name = "thread", .kind = WEFT_KIND_INTEGER, .integer = { 32, WEFT_INT_SIGNED, 10 } },
    { .name = "number", .kind = WEFT_KIND_INTEGER, .integer = { 64, 0, 16 } },
};
static const int level = 6;

#define EVENT(name_, probe_, flags_)                                                                                        \
    { .size = sizeof(struct weft_event), .provider = "app", .name = name_, .signature = "int, u64", .fields = tick_fields,    \
      .field_count = 2, .loglevel = &level, .probe = (void (*)(void))(probe_), .flags = flags_ }
#define POINT(name_) { .size = sizeof(struct weft_point), .provider = "app", .name = name_, .signature = "int, u64" }
#define PROVIDER(events) { sizeof(struct weft_provider), "app", events, 1, NULL }

static struct weft_event tick = EVENT("tick", record_filtered_tick, WEFT_EVENT_EVALUATES),
                         twin = EVENT("tick", record_tick_as_twin, 0), /* built when there were no filters */
                         late = EVENT("late", record_filtered_tick, WEFT_EVENT_EVALUATES);

/* Its values alone: what is recorded of it is nothing. */
static void record_kinds(struct weft_sink *sink, uint32_t length, uint64_t number)
{
    static const int16_t numbers[] = { 7, -8, 9 };
    static const uint8_t network[] = { 0x01, 0x02, 0xff, 0xfe };
    static const uint64_t queue[] = { 1, UINT64_MAX };
    static char name[100000];
    const int64_t a = -(int64_t)number - 1, b = 2;
    struct weft_value values[FIELDS];
    memset(name, 'x', length);
    name[length] = 0;
    weft_value_integer(&values[A], &a, 8, WEFT_INT_SIGNED);
    weft_value_integer(&values[B], &b, 8, WEFT_INT_SIGNED);
    weft_value_double(&values[X], 1.5);
    weft_value_text(&values[NAME], name, WEFT_VALUE_UNMEASURED);
    weft_value_array(&values[NUMBERS], numbers, 3, 16, WEFT_INT_SIGNED);
    weft_value_text(&values[LABEL], "fourth", 4);
    weft_value_array(&values[QUEUE], queue, 2, 64, 0);
    weft_value_array(&values[NETWORK], network, 2, 16, WEFT_INT_REVERSE);
    if (__atomic_load_n(&sink->filtered, __ATOMIC_RELAXED))
        library->evaluate(sink, values, FIELDS, __builtin_return_address(0));
}

/* As announced: an enumeration has labels. */
static struct weft_field kinds_fields[FIELDS];
static const struct weft_enum colours = { "colours", NULL, 0 };

static struct weft_event kinds = { .size = sizeof(struct weft_event), .provider = "app", .name = "kinds", .signature = "int, u64",
                                   .fields = kinds_fields, .field_count = FIELDS, .probe = (void (*)(void))record_kinds,
                                   .flags = WEFT_EVENT_EVALUATES };
static struct weft_event *const kinds_events[] = { &kinds };
static struct weft_provider kinds_provider = PROVIDER(kinds_events);
static struct weft_point kinds_point = POINT("kinds");
static struct weft_point *const kinds_points[] = { &kinds_point };
static struct weft_event *const tick_events[] = { &tick }, *const twin_events[] = { &twin }, *const late_events[] = { &late };
static struct weft_provider tick_provider = PROVIDER(tick_events), twin_provider = PROVIDER(twin_events),
                            late_provider = PROVIDER(late_events);
static struct weft_point tick_point = POINT("tick"), late_point = POINT("late");
static struct weft_point *const tick_points[] = { &tick_point }, *const late_points[] = { &late_point };

static uint64_t emitted;

static void hit(struct weft_point *point, uint32_t thread, uint64_t number)
{
    struct weft_sink *s = __atomic_load_n(&point->sinks, __ATOMIC_ACQUIRE);
    for (; s; s = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n(&s->on, __ATOMIC_ACQUIRE))
            ((void (*)(struct weft_sink *, uint32_t, uint64_t))__atomic_load_n(&s->probe, __ATOMIC_ACQUIRE))(s, thread, number);
    }
}

static void emit(uint32_t count, uint32_t thread)
{
    for (uint64_t i = 0; i < count; i++) {
        hit(&tick_point, thread, i);
        hit(&late_point, thread, i);
    }
}

static void *emit_for_ever(void *unused)
{
    (void)unused;
    for (uint64_t i = 0;; i++) {
        hit(&tick_point, 1, i);
        __atomic_fetch_add(&emitted, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static uint64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t register_tick(void)
{
    const uint64_t begin = milliseconds();
    library->provider_register(&tick_provider);
    library->points_register(tick_points, 1);
    return milliseconds() - begin;
}

static uint64_t register_kinds(void)
{
    memcpy(kinds_fields, fields, sizeof(fields));
    kinds_fields[B].enumeration = &colours;
    library->provider_register(&kinds_provider);
    return (uint64_t)library->points_register(kinds_points, 1);
}

static void start_threads(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, emit_for_ever, NULL);
    }
}

static void trace(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    library->vtracef(NULL, format, arguments);
    va_end(arguments);
}

static void log_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    library->vtracelog(4, NULL, "file.c", 77, "function", format, arguments);
    va_end(arguments);
}

static uint64_t load_library(int load)
{
    static void *handle;
    library->objects_change(0);
    if (load)
        handle = dlopen("libanl.so.1", RTLD_NOW);
    else
        dlclose(handle);
    library->objects_change(1);
    return handle != NULL;
}

static void trace_text(uint32_t length)
{
    char *text = malloc(length + 1);
    memset(text, 'x', length);
    text[length] = 0;
    trace("%s", text);
    log_text("%s", text);
    free(text);
}

static int files[FILES];

/* Numbers that were libweft's a moment ago are files of the program's now. */
static uint64_t close_fds(void)
{
    close_range(3, UINT_MAX, 0);
    for (int i = 0; i < FILES; i++)
        files[i] = memfd_create("program", 0);
    return 0;
}

static uint64_t files_touched(void)
{
    uint64_t touched = 0;
    for (int i = 0; i < FILES; i++) {
        struct stat st;
        touched += fstat(files[i], &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != 0;
    }
    return touched;
}

static uint64_t fork_and_emit(uint32_t count)
{
    const pid_t pid = fork();
    if (pid == 0) {
        emit(count, 100);
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return (uint64_t)status;
}

static uint32_t mode;

static void get_mode(void *data, struct weft_context_value *value)
{
    value->kind = WEFT_CONTEXT_VALUE_UINT32;
    value->as.natural = *(const uint32_t *)data;
}

static uint64_t give_mode(uint32_t value)
{
    static struct weft_app_context context = WEFT_APP_CONTEXT("app:mode", get_mode, &mode);
    mode = value;
    if (value)
        return (uint64_t)library->app_context_register(&context);
    library->app_context_unregister(&context);
    return 0;
}

static uint32_t last_words;

/* Runs after the handlers of atexit(), as the destructors of a traced program's objects do. */
static __attribute__((destructor)) void unload(void)
{
    if (!last_words)
        return;
    emit(last_words, 0);
    library->points_unregister(tick_points, 1);
    library->provider_unregister(&tick_provider);
    emit(last_words, 1);
}

static uint64_t carry_out(const struct app_order *o)
{
    switch (o->verb) {
    case APP_REGISTER:
        return register_tick();
    case APP_REGISTER_LATE:
        library->provider_register(&late_provider);
        return (uint64_t)library->points_register(late_points, 1);
    case APP_REGISTER_KINDS:
        return register_kinds();
    case APP_EMIT_KINDS:
        for (uint64_t i = 0; i < o->argument; i++)
            hit(&kinds_point, 10 * o->argument, i);
        return 0;
    case APP_REGISTER_TWIN:
        return (uint64_t)library->provider_register(&twin_provider);
    case APP_UNREGISTER:
        library->provider_unregister(&tick_provider);
        return 0;
    case APP_UNREGISTER_LATE:
        library->points_unregister(late_points, 1);
        library->provider_unregister(&late_provider);
        return 0;
    case APP_EMIT:
        emit(o->argument, 0);
        return 0;
    case APP_EMIT_FOR_EVER:
        start_threads(o->argument);
        return 0;
    case APP_EMITTED:
        return __atomic_load_n(&emitted, __ATOMIC_RELAXED);
    case APP_TRACE_TEXT:
        trace_text(o->argument);
        return 0;
    case APP_CLOSE_FDS:
        return close_fds();
    case APP_FILES_TOUCHED:
        return files_touched();
    case APP_FORK:
        return fork_and_emit(o->argument);
    case APP_LOAD:
        return load_library(o->argument == 1);
    case APP_SETUID:
        return (uint64_t)setuid(o->argument);
    case APP_CONTEXT:
        return give_mode(o->argument);
    case APP_EMIT_AT_EXIT:
        last_words = o->argument;
        return 0;
    default:
        exit(5);
    }
}

int main(void)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 32];
    struct app_order order;
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return 2;
    snprintf(path, sizeof(path), "%s/../libweft.so.0", dirname(self));
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    library = handle ? dlsym(handle, "weft_library") : NULL;
    if (!library)
        return 3;
    while (read(0, &order, sizeof(order)) == (ssize_t)sizeof(order)) {
        const struct app_answer answer = { carry_out(&order) };
        if (write(1, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
            return 4;
    }
    return 0;
}
