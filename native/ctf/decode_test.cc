/*
 * The decoder on traces that are whole, cut anywhere, and wrong anywhere: it prints what lies before the fault, names the fault once,
 * and ends. Run under the sanitizers it shows that no byte outside its slices is read.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "ctf/view.h"

using namespace weft::ctf;

namespace {

int failures = 0;

void check(bool holds, const char *what) {
    printf("%s - %s\n", holds ? "ok" : "not ok", what);
    failures += !holds;
}

struct Bytes {
    std::string of;
    Bytes &u8(uint8_t v) { return raw(&v, 1); }
    Bytes &u32(uint32_t v) { return raw(&v, 4); }
    Bytes &u64(uint64_t v) { return raw(&v, 8); }
    Bytes &text(const std::string &v) { return u32(static_cast<uint32_t>(v.size())).raw(v.data(), v.size()); }
    Bytes &raw(const void *p, size_t n) {
        of.append(static_cast<const char *>(p), n);
        return *this;
    }
    /* Layouts, as ctf/layout-table.ts writes them. */
    Bytes &integer(unsigned bits, unsigned align, uint32_t slot = kNone, unsigned flags = 0) {
        return u32(1).number(bits, align, slot, flags);
    }
    Bytes &number(unsigned bits, unsigned align, uint32_t slot = kNone, unsigned flags = 0) {
        return u32(bits).u32(align).u32(flags).u32(10).u32(slot);
    }
    Bytes &structure(uint32_t members, unsigned align = 8) { return u32(5).u32(align).u32(members); }
    Bytes &member(const std::string &name, Role role = Role::none, bool hidden = false) {
        return text(name).u32(static_cast<uint32_t>(role)).u32(hidden);
    }
};

constexpr char kUuid[] = "000102030405060708090a0b0c0d0e0f";

/* One stream class with one event of every kind of field. */
Bytes table() {
    Bytes t;
    t.text("host").text(kUuid).u32(2);
    t.structure(3).member("magic", Role::magic).integer(32, 8).member("uuid", Role::uuid).u32(7).u32(8).u32(16).integer(8, 8);
    t.member("stream_id", Role::stream_id).integer(32, 8);
    t.u32(1).u64(0).u64(1000000000).u64(0);
    t.structure(5).member("timestamp_begin", Role::begin, true).integer(64, 8).member("content_size", Role::content_size, true).integer(64, 8);
    t.member("packet_size", Role::packet_size, true).integer(64, 8).member("events_discarded", Role::discarded, true).integer(64, 8);
    t.member("packet_seq_num", Role::sequence, true).integer(64, 8);
    t.structure(2).member("id", Role::event_id).integer(5, 1).member("timestamp", Role::timestamp).integer(27, 1);
    t.u32(0);
    t.u32(1).u64(0).text("a:b").u32(kNone).u32(0);
    t.structure(7).member("length").integer(16, 8, 0).member("row").u32(8).u32(8).u32(0).integer(16, 8, kNone, 1);
    t.member("text").u32(8).u32(8).u32(0).integer(8, 8, kNone, 4).member("string").u32(3);
    t.member("tag").u32(4).number(8, 8, 1).u32(2).text("one").u64(1).u64(1).text("two").u64(2).u64(2);
    t.member("choice").u32(6).u32(1).u32(0).u32(2);
    t.u32(1).u64(1).u64(1).member("one").integer(32, 8);
    t.u32(1).u64(2).u64(2).member("two").structure(1).member("d").u32(2).u32(64).u32(8).u32(0);
    t.member("nothing").u32(7).u32(1).u32(2).structure(0, 1);
    return t;
}

std::string record(uint32_t time, uint16_t count, uint8_t tag) {
    Bytes r;
    r.u32(time << 5).raw(&count, 2);
    for (uint16_t i = 0; i < count; i++)
        r.raw(&i, 2);
    for (uint16_t i = 0; i < count; i++)
        r.u8('x');
    r.raw("str", 4).u8(tag);
    return (tag == 1 ? r.u32(7) : r.u64(0x3ff8000000000000)).of;
}

std::string packet(uint64_t begin, uint64_t sequence, uint64_t discarded, const std::string &records, size_t padding = 0) {
    Bytes p;
    p.u32(0xc1fc1fc1);
    for (uint8_t i = 0; i < 16; i++)
        p.u8(i);
    const uint64_t bits = (24 + 40 + records.size()) * 8;
    p.u32(0).u64(begin).u64(bits).u64(bits + padding * 8).u64(discarded).u64(sequence);
    p.of += records + std::string(padding, '\xaa');
    return p.of;
}

/* In memory: a file system would wait for its disk at each of thousands. */
struct Memory {
    const int fd = memfd_create("decode", MFD_CLOEXEC);
    ~Memory() { close(fd); }
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd); }
};

std::string read_back(int fd) {
    std::string text(static_cast<size_t>(lseek(fd, 0, SEEK_END)), '\0');
    const ssize_t n = pread(fd, text.data(), text.size(), 0);
    text.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return text;
}

struct Shown {
    std::string text;
    ViewResult result;
};

Shown show(const std::string &trace, uint32_t flags = 0, const Bytes &layouts = table(), bool grows = false,
           const Bytes &filter = Bytes().u32(0)) {
    const Memory in, out;
    if (write(in.fd, trace.data(), trace.size()) != static_cast<ssize_t>(trace.size()))
        abort();
    Bytes p;
    p.u32(1).u32(static_cast<uint32_t>(out.fd)).u32(flags).u64(static_cast<uint64_t>(INT64_MIN)).u64(INT64_MAX).u64(UINT64_MAX).u32(0);
    p.u32(1).raw(layouts.of.data(), layouts.of.size()).raw(filter.of.data(), filter.of.size()).u32(grows).u32(1).text(in.path());
    ViewPlan plan;
    Shown shown;
    if (read_plan(reinterpret_cast<const uint8_t *>(p.of.data()), p.of.size(), &plan))
        run_view(&plan, &shown.result);
    shown.text = read_back(out.fd);
    return shown;
}

std::string whole_trace() {
    std::string first, second;
    for (uint32_t i = 0; i < 20; i++)
        first += record(1000 + i, static_cast<uint16_t>(i), i % 2 ? 1 : 2);
    for (uint32_t i = 0; i < 20; i++)
        second += record(2000 + i, 1, 1);
    return packet(1000, 0, 0, first, 100) + packet(2000, 1, 0, second) + packet(3000, 2, 4, "");
}

bool starts_with(const std::string &text, const std::string &start) {
    return text.compare(0, start.size(), start) == 0;
}

void whole() {
    const Shown s = show(whole_trace(), 4 | 8);
    check(s.result.events == 40 && s.result.faults.empty(), "a whole trace is printed to its end");
    check(starts_with(s.text, "[1970-01-01 00:00:00.000001000] (+?.?????????" ") host a:b: { length = 0, row = [ ], text = \"\", string = \"str\", "
                              "tag = ( \"two\" : container = 2 ), choice = { { d = 1.5 } }, nothing = [ [0] = { }, [1] = { } ] }\n"),
          "every kind of field is printed");
    check(s.result.losses.size() == 1 && s.result.losses[0].events == 4, "losses are counted");
}

/* Records that are longer than a slice, in a packet of many slices. */
void long_records() {
    std::string records;
    for (uint32_t i = 0; i < 40; i++)
        records += record(1000 + i, i % 3 == 0 ? 65535 : 3, 1);
    const Shown s = show(packet(1000, 0, 0, records));
    check(s.result.events == 40 && s.result.faults.empty(), "records longer than what is read at once are whole");
}

void cut() {
    const std::string trace = whole_trace(), text = show(trace).text;
    bool before = true, named = true, quiet = true;
    for (size_t length = 0; length < trace.size(); length++) {
        const Shown s = show(trace.substr(0, length));
        before &= starts_with(text, s.text) && (s.text.empty() || s.text.back() == '\n');
        const bool boundary = s.result.faults.empty();
        named &= boundary || (s.result.faults.size() == 1 && s.result.faults[0].offset <= length);
        quiet &= show(trace.substr(0, length), 0, table(), true).result.faults.empty();
    }
    check(before, "of a cut file what lies before the cut packet is printed, whole lines");
    check(named, "a cut file is named once, with a place in it");
    check(quiet, "a file that is being written may be cut");
}

/* Wrong bytes make wrong values, or a fault: never more, and no end that does not come. */
void corrupt() {
    std::mt19937 chance(4711);
    const std::string trace = whole_trace();
    bool ends = true;
    for (int round = 0; round < 4000; round++) {
        std::string wrong = trace;
        for (int k = 1 + static_cast<int>(chance() % 4); k > 0; k--)
            wrong[chance() % wrong.size()] = static_cast<char>(chance());
        const Shown s = show(wrong, round % 2);
        ends &= s.result.faults.size() <= 1 && s.result.events <= wrong.size();
    }
    check(ends, "wrong bytes anywhere end in at most one fault of the file");
}

/* The bytes of the plan are made by our own TypeScript; still none of them is believed. */
void corrupt_table() {
    std::mt19937 chance(42);
    const std::string trace = packet(1000, 0, 0, record(1000, 3, 1) + record(1001, 2, 2));
    for (int round = 0; round < 4000; round++) {
        Bytes wrong = table();
        if (round % 4 == 0)
            wrong.of.resize(chance() % wrong.of.size());
        else
            wrong.of[chance() % wrong.of.size()] = static_cast<char>(chance());
        show(trace, 0, wrong);
    }
    check(true, "wrong layouts are refused or harmless");
}

Bytes filter_of(const std::string &program) {
    return Bytes().u32(1).u32(1).u32(0).text("length").text(program);
}

/* `length == 3` */
std::string length_is_three() {
    const Bytes code = Bytes().u8(4).u8(0).u8(0).u8(1).u64(3).u8(32).u8(0);
    return Bytes().u8(1).u8(1).u8(static_cast<uint8_t>(code.of.size())).u8(0).of + code.of;
}

void filtered() {
    const std::string trace = packet(1000, 0, 0, record(1000, 3, 1) + record(1001, 2, 2) + record(1002, 3, 2));
    const Shown kept = show(trace, 0, table(), false, filter_of(length_is_three()));
    check(kept.result.events == 2 && kept.result.faults.empty(), "a filter keeps the records that it holds for");
    check(show(trace, 0, table(), false, filter_of("")).text.empty(), "a class without a program has none to keep");
    check(show(trace, 0, table(), false, filter_of("no program")).result.events == 0, "a program that is none is refused");
    std::mt19937 chance(7);
    for (int round = 0; round < 4000; round++) {
        Bytes wrong = filter_of(length_is_three());
        wrong.of[chance() % wrong.of.size()] = static_cast<char>(chance());
        show(trace, 0, table(), false, wrong);
    }
    check(true, "wrong filters are refused or harmless");
}

void hostile_rows() {
    Bytes t;
    t.text("").text("").u32(1).u32(0).u32(1).u64(0).u64(1).u64(0).u32(0);
    t.structure(1).member("n", Role::event_id).integer(8, 8);
    t.u32(0).u32(1).u64(0).text("e").u32(kNone).u32(0);
    t.structure(2).member("n").integer(64, 8, 0).member("row").u32(8).u32(1).u32(0).structure(0, 1);
    Bytes one;
    one.u8(0).u64(UINT64_MAX);
    const Shown s = show(one.of, 0, t);
    check(s.result.faults.size() == 1 && s.text.empty(), "a row of 2^64 elements without bytes ends");
    Bytes none;
    none.text("").text("").u32(0).u32(0).u32(1).u64(0).u64(1).u64(0).u32(0).u32(0).u32(0).u32(1).u64(0).text("e").u32(kNone).u32(0).u32(0);
    const Shown empty = show("x", 0, none);
    check(empty.result.faults.size() == 1 && empty.result.events <= 1, "records without a byte end");
}

}  // namespace

int main() {
    setenv("TZ", "UTC", 1);
    whole();
    long_records();
    cut();
    corrupt();
    corrupt_table();
    filtered();
    hostile_rows();
    return failures != 0;
}
