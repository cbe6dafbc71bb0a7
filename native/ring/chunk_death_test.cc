/*
 * Readers that die while they rotate, begin another trace file or forget: at every system call, and after every store into the
 * reader pages. The next one is asked for the same again; in the end each event is in its chunk, once.
 */
#include "ring/test_chunks.h"
#include "ring/test_tracee.h"

using namespace weft;
using namespace weft_test;

namespace {

constexpr uint32_t kCpus = 2;

/* 500 events of each ring, `step` apart; the moment is in the middle of them. */
struct Scene {
    explicit Scene(weft_mode mode = WEFT_MODE_DISCARD) : set(4096, 16, mode, kCpus), chunks(set) {
        chunks.open_readers(0);
        emit();
        at = set.now();
        emit();
    }
    void emit() {
        for (int i = 0; i < 250; i++)
            for (uint32_t cpu = 0; cpu < kCpus; cpu++)
                set.emit(0, 100, cpu);
    }
    /* What a reader does that is started while a rotation is under way, and asked for it. */
    bool rotate() {
        chunks.open_readers(0);
        return chunks.rotate(1, at);
    }
    /* `view`: with babeltrace2, which takes its time. */
    void check_split(bool view) {
        for (uint32_t cpu = 0; cpu < kCpus; cpu++) {
            set.flush(Plan::kAppend, cpu);
            uint32_t next = 0;
            for (unsigned i = 0; i < 2; i++)
                for (const ReadPacket &packet : chunks.packets(i, cpu))
                    for (size_t e = 0; e < packet.numbers.size(); e++) {
                        CHECK_EQUAL(packet.numbers[e], next++);
                        CHECK_EQUAL(packet.times[e] > at, i == 1);
                    }
            CHECK_EQUAL(next, 500u);
        }
        for (unsigned i = 0; i < 2 && view; i++) {
            CHECK_EQUAL(chunks.viewed(i).strange, "");
            CHECK_EQUAL(chunks.viewed(i).events, 500u);
        }
    }
    TestSet set;
    Chunks chunks;
    uint64_t at = 0;
};

/* A rotation makes progress in each life, so one scene would not show deaths late in a rotation: a scene for each. */
void rotation_killed_at_every_system_call(weft_mode mode) {
    unsigned kills = 0;
    for (bool killed = true; killed; kills += killed) {
        Scene scene(mode);
        const pid_t child = start_traced([&] { return scene.rotate(); });
        killed = true;
        for (unsigned stop = 0; killed && stop <= kills; stop++)
            killed = advance(child, PTRACE_SYSCALL);
        if (killed)
            kill_child(child);
        CHECK(scene.rotate());
        CHECK(scene.rotate()); /* once more does nothing */
        scene.check_split(kills % 16 == 0);
    }
    std::printf("# %u kills\n", kills);
    CHECK(kills > 30);
}
void rotation_killed_at_every_system_call_discarding() { rotation_killed_at_every_system_call(WEFT_MODE_DISCARD); }
void rotation_killed_at_every_system_call_overwriting() { rotation_killed_at_every_system_call(WEFT_MODE_OVERWRITE); }

/* The last thing that a rotation does, after all system calls: the stores that switch. */
void rotation_killed_after_every_store_of_the_switch() {
    unsigned kills = 0, between = 0;
    for (bool killed = true; killed; kills += killed) {
        Scene scene;
        const pid_t child = start_traced([&] {
            scene.chunks.open_readers(0);
            for (uint32_t cpu = 0; cpu < kCpus; cpu++)
                if (!scene.chunks.cut(cpu, scene.at, Plan::kAppend) || scene.set.reader(cpu).prepare(scene.chunks.fd(1)))
                    return false;
            raise(SIGSTOP);
            for (uint32_t cpu = 0; cpu < kCpus; cpu++)
                scene.set.reader(cpu).enter(1);
            return true;
        });
        CHECK(advance(child, PTRACE_CONT));
        killed = step_stores(scene.set, child, kills);
        if (killed)
            kill_child(child);
        const auto entered = [&](uint32_t cpu) {
            const weft_reader_page &page = scene.set.page()[cpu];
            return page.state[page.selector].chunk == 1;
        };
        between += killed && entered(0) && !entered(1);
        CHECK(scene.rotate());
        scene.check_split(kills % 16 == 0);
    }
    std::printf("# %u kills, %u between the switches\n", kills, between);
    CHECK(kills > 10 && between > 0);
}

/* Small trace files that wrap: whatever the last one was about to overwrite, the files hold the newest events without a gap. */
void killed_while_trace_files_change() {
    TestSet set(4096, 16);
    Chunks chunks(set);
    const FileLimits limits{5000, 2};
    const unsigned kills = kill_at_every_system_call(
        [&] {
            for (int i = 0; i < 1000; i++)
                set.emit();
        },
        [&] { return set.new_reader(0, chunks.fd(0), limits) == Cause::kNone && set.flush().cause == Cause::kNone; });
    std::printf("# %u kills\n", kills);
    CHECK(kills > 20);
    CHECK(set.new_reader(0, chunks.fd(0), limits) == Cause::kNone);
    set.flush();
    const weft_reader_state &state = set.reader().state();
    uint64_t lost = 0;
    set.reader().ring().lost_sum(&lost);
    CHECK_EQUAL(state.events + lost, uint64_t{set.writer().emitted()});
    uint64_t sequence = state.packets, events = 0;
    for (const uint64_t number : {state.file_number, state.file_number - 1}) {
        const std::vector<ReadPacket> packets = read_packets(chunks.directory(0), "ch_0_" + std::to_string(number % 2), 0);
        CHECK_EQUAL(packets.back().sequence + 1, sequence);
        sequence = packets.front().sequence;
        for (const ReadPacket &packet : packets)
            events += packet.numbers.size();
    }
    CHECK_EQUAL(chunks.viewed(0).events, events);
}

void killed_while_it_forgets() {
    unsigned kills = 0;
    for (bool killed = true; killed; kills += killed) {
        TestSet set(4096, 16);
        Chunks chunks(set);
        const FileLimits limits{5000, 0};
        const auto begin = [&] { return set.new_reader(0, chunks.fd(0), limits) == Cause::kNone; };
        begin();
        for (int i = 0; i < 1500; i++)
            set.emit();
        set.flush();
        set.emit();
        const pid_t child = start_traced([&] {
            const Step step = begin() ? set.reader().forget(set.now()) : Step{Cause::kReaderState, {}};
            return step.cause == Cause::kNone && !step.unwritten;
        });
        killed = true;
        for (unsigned stop = 0; killed && stop <= kills; stop++)
            killed = advance(child, PTRACE_SYSCALL);
        if (killed)
            kill_child(child);
        CHECK(begin());
        CHECK(set.reader().forget(set.now()).cause == Cause::kNone);
        set.emit();
        set.flush();
        const std::vector<ReadPacket> packets = read_packets(chunks.directory(0), "ch_0_0", 0);
        CHECK_EQUAL(packets.back().numbers.size(), size_t{1});
        CHECK_EQUAL(packets.back().discarded, 0u);
        CHECK(access((chunks.directory(0) + "/ch_0_1").c_str(), F_OK) != 0);
    }
    std::printf("# %u kills\n", kills);
    CHECK(kills > 10);
}

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"rotation killed at every system call, discarding", rotation_killed_at_every_system_call_discarding},
            {"rotation killed at every system call, overwriting", rotation_killed_at_every_system_call_overwriting},
#if defined(__x86_64__)
            {"rotation killed after every store of the switch", rotation_killed_after_every_store_of_the_switch},
#endif
            {"killed while trace files change", killed_while_trace_files_change},
            {"killed while it forgets", killed_while_it_forgets},
        },
        argc, argv);
}
