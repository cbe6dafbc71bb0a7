/* What a record says beside its payload: each context compared with what the system says by another way. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "test/decode.h"
#include "ust/app_context.h"
#include "ust/app_values.h"
#include "ust/commit.h"
#include "ust/perf_counter.h"
#include "ust/test_seam.h"
#include "ust/wire.h"
#include "weft/context.h"

#define RECORD_MAX 1024u

static uint8_t last[RECORD_MAX]; /* contexts and payload of the newest record */
static uint32_t values_bytes;    /* of application contexts, which vary */

static uint32_t keep_last(const struct decoded *r, void *context)
{
    const struct seam *s = context;
    memcpy(last, r->payload - s->channel.context_bytes, s->channel.context_bytes + values_bytes + SEAM_PAYLOAD_BYTES);
    return values_bytes + SEAM_PAYLOAD_BYTES;
}

static void open_with(struct seam *s, const struct weft_context_wanted *contexts, uint32_t count)
{
    const struct weft_geometry g = {
        .cpu_count = 1, .subbuf_size = 4096, .subbuf_count = 4, .mode = WEFT_MODE_DISCARD,
        .sync = weft_rseq_available() ? WEFT_SYNC_RSEQ : WEFT_SYNC_LOCK,
    };
    seam_open(s, &g, contexts, count);
}

/* Records one event and reads its contexts back. */
static const uint8_t *emitted(struct seam *s)
{
    struct weft_target t = seam_target(s, 1);
    errno = 4711;
    seam_emit(&t, 5, 77, 0);
    CHECK_EQUAL(errno, 4711);
    const struct decode_totals totals =
        decode_ring(s->ring_memory, &s->geometry, 0, s->channel.context_bytes, keep_last, s);
    CHECK(!totals.wrong);
    CHECK(totals.records > 0 && totals.lost == 0);
    CHECK_EQUAL(decode_u64(last + s->channel.context_bytes + values_bytes + 4), 77);
    return last;
}

static uint64_t inode_of(const char *name)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", name);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static const char *const namespace_names[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };

static struct weft_context_wanted every_fixed[32];

static uint32_t fill_every_fixed(void)
{
    uint32_t count = 0;
    for (uint16_t type = WEFT_CONTEXT_VPID; type <= WEFT_CONTEXT_VSGID; type++)
        every_fixed[count++] = (struct weft_context_wanted){ .type = type };
    return count;
}

static void every_context(void)
{
    struct seam s;
    open_with(&s, every_fixed, fill_every_fixed());
    CHECK_EQUAL(s.channel.context_bytes, 4 + 4 + 17 + 8 + 8 + 4 + 8 * 8 + 6 * 4);
    const uint8_t *c = emitted(&s);
    CHECK_EQUAL(decode_u32(c), getpid());
    CHECK_EQUAL(decode_u32(c + 4), gettid());
    for (uint32_t i = 0; i < 8; i++)
        CHECK_EQUAL(decode_u64(c + 45 + 8 * i), inode_of(namespace_names[i]));
    uid_t ids[6];
    getresuid(&ids[0], &ids[1], &ids[2]);
    getresgid(&ids[3], &ids[4], &ids[5]);
    for (uint32_t i = 0; i < 6; i++) {
        CHECK_EQUAL(decode_u32(c + 45 + 64 + 4 * i), ids[i]);
        CHECK_EQUAL(weft_context_integer((uint16_t)(WEFT_CONTEXT_VUID + i), NULL), ids[i]);
    }
    seam_close(&s);
}

/* In children, whose ids and namespaces are theirs to change. */
static int in_child(int (*run)(struct seam *s), struct seam *s)
{
    const pid_t child = fork();
    if (child == 0) {
        weft_context_forked();
        const int status = run(s);
        fflush(NULL);
        _exit(status); /* no leak check: that needs rights which the child may have given up */
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int changed_ids(struct seam *s)
{
    emitted(s);
    if (setresgid(1001, 1002, 1003) != 0 || setresuid(2001, 2002, 2003) != 0)
        return 77;
    const uint8_t *c = emitted(s);
    for (uint32_t i = 0; i < 6; i++)
        CHECK_EQUAL(decode_u32(c + 4 * i), (i < 3 ? 2001 + i : 1001 + i - 3));
    return seam_failed_here;
}

static void ids_follow(void)
{
    struct seam s;
    fill_every_fixed();
    open_with(&s, &every_fixed[WEFT_CONTEXT_VUID - 1], 6);
    const int status = in_child(changed_ids, &s);
    CHECK(status == 0 || status == 77);
    seam_close(&s);
}

static int changed_namespace(struct seam *s)
{
    const uint64_t before = decode_u64(emitted(s));
    CHECK_EQUAL(before, inode_of("uts"));
    if (unshare(CLONE_NEWUTS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWUTS) != 0)
        return 77;
    const struct timespec age = { 0, 20000000 };
    nanosleep(&age, NULL);
    const uint64_t after = decode_u64(emitted(s));
    CHECK(after != before);
    CHECK_EQUAL(after, inode_of("uts"));
    return seam_failed_here;
}

static void namespaces_follow(void)
{
    static const struct weft_context_wanted uts = { .type = WEFT_CONTEXT_UTS_NS };
    struct seam s;
    open_with(&s, &uts, 1);
    emitted(&s);
    const int status = in_child(changed_namespace, &s);
    CHECK(status == 0 || status == 77);
    seam_close(&s);
}

struct counter_name {
    uint32_t type;
    uint64_t config;
} __attribute__((packed));

static const struct counter_name task_clock = { PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
                                 nonsense = { PERF_TYPE_SOFTWARE, 4711 };

static struct weft_context_wanted counter(const struct counter_name *name)
{
    return (struct weft_context_wanted){ WEFT_CONTEXT_PERF_THREAD, sizeof(*name), (const uint8_t *)name };
}

static void burn(void)
{
    const clock_t until = clock() + CLOCKS_PER_SEC / 200;
    while (clock() < until)
        ;
}

static void *count_in_thread(void *seam)
{
    struct seam *s = seam;
    const uint64_t first = decode_u64(emitted(s));
    burn();
    const uint64_t second = decode_u64(emitted(s));
    CHECK(first == 0 || second > first + 1000000);
    return NULL;
}

static void counters(void)
{
    const struct weft_context_wanted wanted[] = { counter(&task_clock), counter(&nonsense) };
    struct seam s;
    open_with(&s, wanted, 2);
    CHECK_EQUAL(s.channel.contexts[0].counter + 1, s.channel.contexts[1].counter);
    count_in_thread(&s);
    CHECK_EQUAL(decode_u64(last + 8), 0);
    const uint64_t mine = decode_u64(last);
    pthread_t thread;
    pthread_create(&thread, NULL, count_in_thread, &s);
    pthread_join(thread, NULL);
    const int counts = decode_u64(last) != 0;
    CHECK(!counts || decode_u64(emitted(&s)) > mine);
    const uint64_t first = s.channel.contexts[0].counter;
    seam_close(&s);
    struct seam again;
    open_with(&again, wanted, 1);
    CHECK_EQUAL(again.channel.contexts[0].counter, first);
    seam_close(&again);
}

/* A program that closes every descriptor, and opens others under the same numbers. */
static void closed_counter(void)
{
    const struct weft_context_wanted wanted = counter(&task_clock);
    struct seam s;
    open_with(&s, &wanted, 1);
    if (decode_u64(emitted(&s)) == 0 && decode_u64(emitted(&s)) == 0) {
        printf("# this system has no task clock\n");
        return;
    }
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_EQUAL(write(ends[1], "precious", 8), 8);
    for (int fd = 200; fd < 260; fd++)
        dup2(ends[0], fd);
    emitted(&s);
    burn();
    const uint64_t first = decode_u64(emitted(&s));
    burn();
    CHECK(decode_u64(emitted(&s)) > first);
    char text[9] = "";
    CHECK_EQUAL(read(ends[0], text, 8), 8);
    CHECK(strcmp(text, "precious") == 0);
    seam_close(&s);
}

static struct weft_context_value given;

static void give(void *data, struct weft_context_value *value)
{
    (void)data;
    errno = 13;
    *value = given;
}

static const struct weft_context_wanted app_then_vpid[] = {
    { WEFT_CONTEXT_APP, 9, (const uint8_t *)"shop:user" },
    { .type = WEFT_CONTEXT_VPID },
};

static void check_value(struct seam *s, uint8_t tag, const void *bytes, uint32_t size)
{
    values_bytes = 1 + size;
    const uint8_t *c = emitted(s);
    CHECK_EQUAL(decode_u32(c), getpid());
    CHECK_EQUAL(c[4], tag);
    CHECK(memcmp(c + 5, bytes, size) == 0);
}

/* A ring of its own per value: the decoder of this test knows one length. */
static void value_is(struct weft_context_value value, uint8_t tag, const void *bytes, uint32_t size)
{
    struct seam s;
    open_with(&s, app_then_vpid, 2);
    given = value;
    check_value(&s, tag, bytes, size);
    seam_close(&s);
}

static void application_values(void)
{
    static struct weft_app_context user = WEFT_APP_CONTEXT("shop:user", give, NULL);
    const int64_t number = -3;
    const uint64_t natural = UINT64_MAX - 5;
    const double real = 2.5;
    const float narrow = 2.5f;
    char text[300];
    value_is(given, WEFT_APP_NONE, "", 0);
    CHECK_EQUAL(weft_app_context_add(&user), 0);
    for (uint8_t i = 0; i < 4; i++) {
        value_is((struct weft_context_value){ (uint8_t)(WEFT_CONTEXT_VALUE_INT8 + i), { .integer = number } },
                 (uint8_t)(WEFT_APP_INT8 + i), &number, 1u << i);
        value_is((struct weft_context_value){ (uint8_t)(WEFT_CONTEXT_VALUE_UINT8 + i), { .natural = natural } },
                 (uint8_t)(WEFT_APP_UINT8 + i), &natural, 1u << i);
    }
    value_is((struct weft_context_value){ WEFT_CONTEXT_VALUE_DOUBLE, { .number = real } }, WEFT_APP_DOUBLE, &real, 8);
    value_is((struct weft_context_value){ WEFT_CONTEXT_VALUE_FLOAT, { .number = real } }, WEFT_APP_FLOAT, &narrow, 4);
    value_is((struct weft_context_value){ WEFT_CONTEXT_VALUE_STRING, { .text = "alice" } }, WEFT_APP_STRING, "alice", 6);
    memset(text, 'x', sizeof(text));
    text[299] = 0;
    char cut[WEFT_APP_TEXT_MAX + 1] = "";
    memset(cut, 'x', WEFT_APP_TEXT_MAX);
    value_is((struct weft_context_value){ WEFT_CONTEXT_VALUE_STRING, { .text = text } }, WEFT_APP_STRING, cut, sizeof(cut));
    value_is((struct weft_context_value){ .kind = 200 }, WEFT_APP_NONE, "", 0);
    CHECK_EQUAL(weft_app_context_remove(&user), 1);
    value_is(given, WEFT_APP_NONE, "", 0);
    values_bytes = 0;
}

static void refused(void)
{
    static const struct weft_context_wanted unknown = { .type = 23 }, fat = { WEFT_CONTEXT_VPID, 1, (const uint8_t *)"x" };
    struct weft_context_wanted many[WEFT_CONTEXTS_MAX + 1];
    struct counter_name names[WEFT_PERF_COUNTERS + 1];
    struct weft_channel c = { 0 };
    CHECK_EQUAL(weft_channel_contexts(&c, &unknown, 1), -EINVAL);
    CHECK_EQUAL(weft_channel_contexts(&c, &fat, 1), -EINVAL);
    CHECK_EQUAL(weft_channel_contexts(&c, many, WEFT_CONTEXTS_MAX + 1), -EINVAL);
    for (uint32_t i = 0; i <= WEFT_PERF_COUNTERS; i++) {
        names[i] = (struct counter_name){ 99, i };
        many[i] = counter(&names[i]);
    }
    CHECK_EQUAL(weft_channel_contexts(&c, many, WEFT_PERF_COUNTERS + 1), -ENOSPC);
}

int main(void)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    seam_case("every context of a fixed size, all in one record", every_context);
    seam_case("user and group ids follow the process", ids_follow);
    seam_case("namespaces follow the thread", namespaces_follow);
    seam_case("counters count per thread; one that the kernel does not have is 0", counters);
    seam_case("a counter whose descriptor the program took is opened anew, and the program's is not touched", closed_counter);
    seam_case("values of the application, each with its tag; texts are cut", application_values);
    seam_case("contexts that cannot be had are refused", refused);
    return seam_failures ? 1 : 0;
}
