/*
 * What the daemon's commands promise while threads record all the time: after a stop, a disable or a detach has returned, nothing
 * more is committed, however late a thread comes; nothing crashes; what is switched on again records again. Points that come
 * late, and two objects that describe the same event. With restartable sequences and with the lock.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "test/decode.h"
#include "ust/channel_table.h"
#include "ust/commit.h"
#include "ust/registry.h"
#include "ust/test_seam.h"

#define THREADS 3
#define EVENTS 2
/* Under a sanitizer each cycle takes many times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CYCLES 6
#else
#define CYCLES 20
#endif
#define ATTACHED_MAX 8192
#define CALLS 200 /* of each thread: enough for any that was inside to come out and try again */

/* A tracepoint as the provider macros make it, with what an object registers for it. */
struct object {
    struct weft_event events[EVENTS];
    struct weft_event *event_list[EVENTS];
    struct weft_point points[EVENTS];
    struct weft_point *point_list[EVENTS];
    struct weft_provider provider;
};

static enum weft_sync sync_mode;
static struct seam seam;             /* the ring set */
static struct weft_channel *channel; /* as attached */
static struct weft_channel *attached[ATTACHED_MAX]; /* libweft keeps no hold of what was detached, and never frees it: late threads */
static uint32_t attached_count;
static struct object first, second;
static uint64_t calls[THREADS]; /* tracepoints that a thread has been through */
static int enough;

static void probe(struct weft_sink *sink, uint32_t source, uint64_t number, uint32_t object)
{
    char stage[WEFT_STAGE_HEADROOM + WEFT_STAGE_STACK + WEFT_STAGE_TAIL];
    char *payload = stage + WEFT_STAGE_HEADROOM;
    memcpy(payload, &source, 4);
    memcpy(payload + 4, &number, 8);
    memcpy(payload + 12, &object, 4);
    weft_record(sink, payload, 16, __builtin_return_address(0));
}

static void first_probe(struct weft_sink *sink, uint32_t source, uint64_t number)
{
    probe(sink, source, number, 1);
}

static void second_probe(struct weft_sink *sink, uint32_t source, uint64_t number)
{
    probe(sink, source, number, 2);
}

static void hit(struct weft_point *point, uint32_t source, uint64_t number)
{
    struct weft_sink *sink = __atomic_load_n(&point->sinks, __ATOMIC_ACQUIRE);
    for (; sink; sink = __atomic_load_n(&sink->next, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n(&sink->on, __ATOMIC_ACQUIRE)) {
            void (*probe)(void) = __atomic_load_n(&sink->probe, __ATOMIC_ACQUIRE);
            ((void (*)(struct weft_sink *, uint32_t, uint64_t))probe)(sink, source, number);
        }
    }
}

static void describe(struct object *o, void (*probe)(struct weft_sink *, uint32_t, uint64_t))
{
    static const char *const names[EVENTS] = { "one", "two" };
    memset(o, 0, sizeof(*o));
    for (int i = 0; i < EVENTS; i++) {
        o->events[i] = (struct weft_event){ .size = sizeof(struct weft_event), .provider = "test", .name = names[i],
                                            .signature = "uint32_t, uint64_t", .probe = (void (*)(void))probe };
        o->points[i] = (struct weft_point){ .size = sizeof(struct weft_point), .provider = "test", .name = names[i],
                                            .signature = "uint32_t, uint64_t" };
        o->event_list[i] = &o->events[i];
        o->point_list[i] = &o->points[i];
    }
    o->provider = (struct weft_provider){ .size = sizeof(struct weft_provider), .name = "test", .events = o->event_list,
                                          .event_count = EVENTS };
}

static uint32_t entry_of(const char *name)
{
    struct weft_catalog_entry *e = weft_registry_catalog();
    while (e && (!e->events || strcmp(e->event->name, name) != 0))
        e = e->next;
    return e ? e->id : 0;
}

static void attach(void)
{
    static const struct weft_context_wanted contexts[] = { { .type = 2 } };
    channel = attached[attached_count++ % ATTACHED_MAX] = weft_channels_new();
    CHECK_EQUAL(weft_channel_map(channel, &seam.geometry, seam.ring_fd, seam.reader_fd), 0);
    CHECK_EQUAL(weft_channel_contexts(channel, contexts, 1), 0);
    channel->application = 1;
    weft_channels_add(channel);
}

/* Overwrite mode: nobody reads, and the rings never become full. */
static void open_all(void)
{
    const struct weft_geometry g = { .cpu_count = (uint32_t)sysconf(_SC_NPROCESSORS_CONF), .subbuf_size = 4096, .subbuf_count = 4,
                                     .mode = WEFT_MODE_OVERWRITE, .sync = (uint8_t)sync_mode };
    seam_open(&seam, &g, NULL, 0);
    describe(&first, first_probe);
    CHECK_EQUAL(weft_registry_add_provider(&first.provider), 0);
    CHECK_EQUAL(weft_registry_add_points(first.point_list, EVENTS), 0);
    attach();
}

static void close_all(void)
{
    if (channel)
        CHECK_EQUAL(weft_registry_detach(channel), 0);
    channel = NULL;
    weft_registry_remove_points(first.point_list, EVENTS);
    weft_registry_remove_provider(&first.provider);
    weft_registry_prune();
    CHECK(!weft_registry_catalog() && !first.points[0].library && !first.events[0].library);
    seam_close(&seam);
}

static void *hit_for_ever(void *argument)
{
    const uint32_t source = (uint32_t)(uintptr_t)argument;
    for (uint64_t n = 0; !__atomic_load_n(&enough, __ATOMIC_ACQUIRE); n++) {
        hit(&first.points[n % EVENTS], source, n);
        __atomic_store_n(&calls[source], n, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void start_threads(pthread_t *threads)
{
    enough = 0;
    memset(calls, 0, sizeof(calls));
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, hit_for_ever, (void *)i), 0);
}

static void end_threads(const pthread_t *threads)
{
    __atomic_store_n(&enough, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Until every thread has gone through CALLS more tracepoints. */
static void let_threads_run(void)
{
    for (int i = 0; i < THREADS; i++) {
        const uint64_t until = __atomic_load_n(&calls[i], __ATOMIC_ACQUIRE) + CALLS;
        while (__atomic_load_n(&calls[i], __ATOMIC_ACQUIRE) < until)
            sched_yield();
    }
}

/* Of all rings; commits only ever add to it. */
static uint64_t positions(void)
{
    uint64_t sum = 0;
    for (uint32_t cpu = 0; cpu < seam.geometry.cpu_count; cpu++)
        sum += __atomic_load_n(&seam_ring(&seam, cpu)->position, __ATOMIC_ACQUIRE) >> WEFT_POS_SHIFT;
    return sum;
}

struct content {
    uint64_t next[THREADS + 1];
    uint64_t of_id[16], of_object[3];
    const char *wrong;
};

static uint32_t visit(const struct decoded *r, void *argument)
{
    struct content *c = argument;
    const uint32_t source = decode_u32(r->payload), object = decode_u32(r->payload + 12);
    const uint64_t number = decode_u64(r->payload + 4);
    if (source > THREADS || r->id >= 16 || object > 2) {
        c->wrong = "no record of ours";
        return 16;
    }
    if (number < c->next[source])
        c->wrong = "out of order";
    c->next[source] = number + 1;
    c->of_id[r->id]++;
    c->of_object[object]++;
    return 16;
}

/* What lies in all rings, when nothing is committed. */
static struct content look(void)
{
    struct content sum = { 0 };
    for (uint32_t cpu = 0; cpu < seam.geometry.cpu_count; cpu++) {
        struct content c = { 0 };
        const struct decode_totals t = decode_ring(seam.ring_memory, &seam.geometry, cpu, 4, visit, &c);
        if (t.wrong || c.wrong)
            sum.wrong = t.wrong ? t.wrong : c.wrong;
        for (int i = 0; i < 16; i++)
            sum.of_id[i] += c.of_id[i];
        for (int i = 0; i < 3; i++)
            sum.of_object[i] += c.of_object[i];
    }
    return sum;
}

static void check_recording(void)
{
    const uint64_t before = positions();
    let_threads_run();
    CHECK(positions() > before);
}

/* Right after a command returned: the positions as they are now are the last ones, and the rings are whole. */
static void check_still(void)
{
    const uint64_t after = positions();
    CHECK(look().wrong == NULL);
    let_threads_run();
    CHECK_EQUAL(positions(), after);
}

static void enable_both(void)
{
    CHECK_EQUAL(weft_registry_enable(channel, entry_of("one"), 1, NULL, 0), 0);
    CHECK_EQUAL(weft_registry_enable(channel, entry_of("two"), 2, NULL, 0), 0);
}

static void stop_and_start(void)
{
    pthread_t threads[THREADS];
    open_all();
    enable_both();
    start_threads(threads);
    check_still(); /* enabled, but not started */
    for (int i = 0; i < CYCLES && !seam_failed_here; i++) {
        CHECK_EQUAL(weft_registry_start(channel), 0);
        check_recording();
        CHECK_EQUAL(weft_registry_stop(channel), 0);
        CHECK(!first.points[0].sinks && !first.points[1].sinks);
        check_still();
    }
    end_threads(threads);
    close_all();
}

static void disable_and_enable(void)
{
    pthread_t threads[THREADS];
    open_all();
    CHECK_EQUAL(weft_registry_start(channel), 0);
    start_threads(threads);
    for (int i = 0; i < CYCLES && !seam_failed_here; i++) {
        enable_both();
        check_recording();
        CHECK_EQUAL(weft_registry_disable(channel, entry_of("two")), 0);
        CHECK(first.points[0].sinks && !first.points[1].sinks);
        check_recording();
        CHECK_EQUAL(weft_registry_disable(channel, entry_of("one")), 0);
        check_still();
    }
    CHECK(weft_registry_disable(channel, entry_of("one")) != 0);
    end_threads(threads);
    close_all();
}

static void detach_and_attach(void)
{
    pthread_t threads[THREADS];
    open_all();
    start_threads(threads);
    for (int i = 0; i < CYCLES && !seam_failed_here; i++) {
        enable_both();
        CHECK_EQUAL(weft_registry_start(channel), 0);
        check_recording();
        CHECK_EQUAL(weft_registry_detach(channel), 0);
        check_still();
        attach();
    }
    end_threads(threads);
    close_all();
}

/* Commands without a pause between them: a late thread meets a target that serves another id or channel by now. */
static void commands_in_haste(void)
{
    pthread_t threads[THREADS];
    open_all();
    start_threads(threads);
    for (int i = 0; i < 50 * CYCLES && !seam_failed_here; i++) {
        enable_both();
        CHECK_EQUAL(weft_registry_start(channel), 0);
        CHECK_EQUAL(weft_registry_enable(channel, entry_of("one"), 3, NULL, 0), 0);
        CHECK_EQUAL(weft_registry_stop(channel), 0);
        CHECK_EQUAL(weft_registry_start(channel), 0);
        CHECK_EQUAL(weft_registry_disable(channel, entry_of("one")), 0);
        CHECK_EQUAL(weft_registry_detach(channel), 0);
        attach();
    }
    check_still();
    end_threads(threads);
    close_all();
}

static void late_points(void)
{
    open_all();
    enable_both();
    CHECK_EQUAL(weft_registry_start(channel), 0);
    describe(&second, second_probe);
    CHECK_EQUAL(weft_registry_add_points(second.point_list, EVENTS), 0);
    hit(&second.points[1], 0, 0);
    CHECK_EQUAL(look().of_id[2], 1);
    CHECK_EQUAL(look().of_object[1], 1); /* the only object with probes */
    CHECK_EQUAL(weft_registry_stop(channel), 0);
    hit(&second.points[1], 0, 1);
    CHECK_EQUAL(look().of_id[2], 1);
    weft_registry_remove_points(second.point_list, EVENTS);
    CHECK_EQUAL(weft_registry_start(channel), 0);
    hit(&second.points[1], 0, 2);
    CHECK_EQUAL(look().of_id[2], 1);
    close_all();
}

static void two_objects(void)
{
    open_all();
    describe(&second, second_probe);
    const uint32_t id = entry_of("one");
    CHECK_EQUAL(weft_registry_add_provider(&second.provider), 0);
    CHECK_EQUAL(weft_registry_add_points(second.point_list, EVENTS), 0);
    CHECK_EQUAL(entry_of("one"), id);
    CHECK_EQUAL(weft_registry_enable(channel, id, 1, NULL, 0), 0);
    CHECK_EQUAL(weft_registry_start(channel), 0);
    hit(&first.points[0], 0, 0);
    hit(&second.points[0], 0, 1);
    CHECK_EQUAL(look().of_id[1], 2);
    /* The object whose probe is used goes: the other's takes over, under the same id. */
    weft_registry_remove_points(second.point_list, EVENTS);
    weft_registry_remove_provider(&second.provider);
    hit(&first.points[0], 0, 2);
    CHECK_EQUAL(look().of_id[1], 3);
    CHECK(look().wrong == NULL);
    CHECK_EQUAL(entry_of("one"), id);
    close_all();
}

/* A program loads and unloads an object whose event is on, while threads of others record the same event. */
static void objects_come_and_go(void)
{
    pthread_t threads[THREADS];
    open_all();
    enable_both();
    CHECK_EQUAL(weft_registry_start(channel), 0);
    start_threads(threads);
    for (uint64_t i = 0; i < CYCLES / 2 && !seam_failed_here; i++) {
        describe(&second, second_probe);
        CHECK_EQUAL(weft_registry_add_provider(&second.provider), 0);
        CHECK_EQUAL(weft_registry_add_points(second.point_list, EVENTS), 0);
        hit(&second.points[0], THREADS, i);
        weft_registry_remove_points(second.point_list, EVENTS);
        weft_registry_remove_provider(&second.provider);
        check_recording();
    }
    CHECK_EQUAL(weft_registry_stop(channel), 0);
    check_still();
    end_threads(threads);
    close_all();
}

static void run_all(const char *mode)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        { "after a stop nothing is committed", stop_and_start },
        { "after a disable nothing of the event is committed", disable_and_enable },
        { "a channel is detached while threads record into it", detach_and_attach },
        { "commands in haste harm no thread", commands_in_haste },
        { "a point that comes late records at once", late_points },
        { "two objects with one event share its id", two_objects },
        { "objects come and go while others record the same event", objects_come_and_go },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char name[128];
        snprintf(name, sizeof(name), "%s (%s)", cases[i].name, mode);
        seam_case(name, cases[i].run);
    }
}

int main(void)
{
    if (weft_registry_init() == 0 && weft_rseq_available()) {
        sync_mode = WEFT_SYNC_RSEQ;
        run_all("restartable sequences");
    } else {
        printf("ok - # skip: no restartable sequences here\n");
    }
    sync_mode = WEFT_SYNC_LOCK;
    run_all("lock");
    return seam_failures ? 1 : 0;
}
