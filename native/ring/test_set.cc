#include "ring/test_set.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <sstream>

#include "ring/format.h"

namespace weft_test {

namespace {

uint8_t *map_writable(int fd, uint64_t bytes) {
    void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED)
        give_up("mapping a ring set");
    return static_cast<uint8_t *>(address);
}

uint64_t big(const std::string &from, size_t at) {
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | static_cast<uint8_t>(from[at + i]);
    return value;
}

void read_events(const std::string &data, size_t at, size_t end, ReadPacket *packet, ReadPayload payload) {
    uint64_t clock = packet->begin;
    while (at < end) {
        const size_t start = at;
        const uint32_t word = take_little<uint32_t>(data, &at);
        if ((word & 31) == WEFT_ID_EXTENDED) {
            at = start + 5;
            clock = take_little<uint64_t>(data, &at);
        } else {
            const uint64_t low = word >> WEFT_ID_BITS;
            clock += (low - clock) & WEFT_TIMESTAMP_MASK;
        }
        payload(data, &at, packet);
        if (clock < packet->begin || clock > packet->end)
            give_up("event outside its packet's times");
        packet->times.push_back(clock);
    }
    if (at != end)
        give_up("event crosses its packet's end");
}

}  // namespace

void give_up(const std::string &why) {
    std::printf("not ok - %s\n", why.c_str());
    std::exit(1);
}

void read_number(const std::string &data, size_t *at, ReadPacket *packet) {
    packet->numbers.push_back(take_little<uint32_t>(data, at));
    *at += take_little<uint32_t>(data, at);
}

TestSet::TestSet(const weft_geometry &geometry, uint64_t start) : geometry_(geometry) {
    const uint32_t cpus = geometry.cpu_count;
    const uint8_t ring_id[16] = {1, 2, 3};
    std::vector<uint32_t> all(cpus);
    std::iota(all.begin(), all.end(), 0);
    uint64_t allocated = 0;
    if (weft_ring_set_create(&geometry_, ring_id, all.data(), cpus, &ring_fd_, &reader_fd_, &allocated) != 0)
        give_up("memory for a ring set");
    memory_ = map_writable(ring_fd_, weft_ring_memory_bytes(&geometry_));
    pages_ = reinterpret_cast<weft_reader_page *>(map_writable(reader_fd_, weft_reader_memory_bytes(&geometry_)));
    char pattern[] = "/tmp/weft-ring-XXXXXX";
    directory_ = mkdtemp(pattern);
    write_metadata(directory_, "uint32_t number; uint32_t __pad_length; uint8_t pad[__pad_length];");
    directory_fd_ = open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (weft::Failure bad = map_.open(geometry_, ring_fd_, reader_fd_, ring_id, true))
        give_up(bad.message);
    scratch_.resize(weft::RingReader::scratch_bytes(geometry_));
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        writers_.emplace_back(geometry_, memory_, pages_ + cpu, cpu);
        weft_ring *ring = writers_[cpu].ring();
        if (start != 0)
            ring->table[0].begin_timestamp = ring->slot[0].last_timestamp = start;
        readers_.emplace_back();
        new_reader(cpu);
    }
}

TestSet::~TestSet() {
    readers_.clear();
    munmap(memory_, weft_ring_memory_bytes(&geometry_));
    munmap(pages_, weft_reader_memory_bytes(&geometry_));
    close(ring_fd_);
    close(reader_fd_);
    close(directory_fd_);
    remove_tree(directory_);
}

weft::StreamIdentity TestSet::identity(uint32_t cpu) {
    weft::StreamIdentity stream{{}, 0, cpu, cpu};
    for (uint8_t i = 0; i < 16; i++)
        stream.uuid[i] = i;
    return stream;
}

weft::ReaderOptions TestSet::reader_options() const {
    weft::ReaderOptions options;
    options.ring_fd = dup(ring_fd_);
    options.reader_fd = dup(reader_fd_);
    options.ring_id[0] = 1, options.ring_id[1] = 2, options.ring_id[2] = 3;
    options.geometry = geometry_;
    options.directory = directory_;
    options.file_prefix = "ch";
    const weft::StreamIdentity stream = identity(0);
    std::copy(std::begin(stream.uuid), std::end(stream.uuid), options.uuid);
    return options;
}

weft::Cause TestSet::new_reader(uint32_t cpu, int directory, weft::FileLimits limits) {
    weft::StreamFiles files(directory, "ch_" + std::to_string(cpu), limits);
    readers_[cpu].reset(new weft::RingReader(map_, ring_fd_, identity(cpu), std::move(files), scratch_.data()));
    return readers_[cpu]->attach();
}

weft::Step TestSet::flush(weft::Plan plan, uint32_t cpu) {
    weft::Step step = take(weft::Cut::kPartial, plan, cpu);
    for (int i = 0; step.more && i < 100000; i++)
        step = take(weft::Cut::kPartial, plan, cpu);
    return step;
}

std::vector<ReadPacket> read_packets(const TestSet &set, uint32_t cpu, ReadPayload payload) {
    const std::vector<ReadPacket> packets = read_stream(set.file(cpu), set.index_file(cpu), cpu, payload);
    if (!packets.empty() && packets.front().sequence != 0)
        give_up("the first packet is not the first");
    return packets;
}

const std::vector<uint32_t> &number_layout() {
    static const std::vector<uint32_t> words = {2, weft::RecordLayout::kContexts, 0, 0, 2, 4 << 2, (4 | 1 << 5) << 2 | 2};
    return words;
}

std::vector<ReadPacket> read_packets(const std::string &directory, const std::string &name, uint32_t cpu, ReadPayload payload) {
    return read_stream(directory + "/" + name, directory + "/index/" + name + ".idx", cpu, payload);
}

std::vector<ReadPacket> read_stream(const std::string &data_file, const std::string &index_file, uint32_t cpu,
                                    ReadPayload payload) {
    const std::string data = read_file(data_file), index = read_file(index_file);
    std::vector<ReadPacket> packets;
    for (size_t at = 0; at < data.size();) {
        const size_t start = at, entry = weft::kIndexHeaderBytes + packets.size() * weft::kIndexEntryBytes;
        ReadPacket packet{};
        if (take_little<uint32_t>(data, &at) != 0xC1FC1FC1u)
            give_up("no packet where one should begin");
        at += 28;
        packet.begin = take_little<uint64_t>(data, &at);
        packet.end = take_little<uint64_t>(data, &at);
        const uint64_t bits = take_little<uint64_t>(data, &at);
        at += 8;
        packet.sequence = take_little<uint64_t>(data, &at);
        packet.discarded = take_little<uint64_t>(data, &at);
        if (take_little<uint32_t>(data, &at) != cpu || start + bits / 8 > data.size() || entry + 72 > index.size())
            give_up("packet context");
        if (big(index, entry) != start || big(index, entry + 8) != bits || big(index, entry + 24) != packet.begin ||
            big(index, entry + 32) != packet.end || big(index, entry + 40) != packet.discarded ||
            big(index, entry + 64) != packet.sequence ||
            packet.sequence != packets.size() + (packets.empty() ? packet.sequence : packets.front().sequence))
            give_up("index and packet differ");
        read_events(data, at, start + bits / 8, &packet, payload);
        at = start + bits / 8;
        packets.push_back(packet);
    }
    return packets;
}

Viewed babeltrace(const std::string &directory) {
    const std::string run = "babeltrace2 '" + directory + "' >'" + directory + "/index/out' 2>'" + directory + "/index/err'";
    const int status = std::system(run.c_str());
    Viewed viewed{status, 0, 0, ""};
    const std::string out = read_file(directory + "/index/out");
    for (char c : out)
        viewed.events += c == '\n';
    std::istringstream errors(read_file(directory + "/index/err"));
    for (std::string line; std::getline(errors, line);) {
        unsigned long long count = 0;
        if (std::sscanf(line.c_str(), "WARNING: Tracer discarded %llu event", &count) == 1)
            viewed.discarded += count;
        else
            viewed.strange += line + "\n";
    }
    return viewed;
}

void write_metadata(const std::string &directory, const std::string &fields) {
    static const char text[] = R"(/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 32; align = 8; signed = true; } := int32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 5; align = 1; signed = false; } := uint5_t;
trace { major = 1; minor = 8; uuid = "00010203-0405-0607-0809-0a0b0c0d0e0f"; byte_order = le;
 packet.header := struct { uint32_t magic; uint8_t uuid[16]; uint32_t stream_id; uint64_t stream_instance_id; }; };
clock { name = "monotonic"; freq = 1000000000; offset = 1700000000000000000; };
typealias integer { size = 27; align = 1; signed = false; map = clock.monotonic.value; } := uint27_clock_t;
typealias integer { size = 64; align = 8; signed = false; map = clock.monotonic.value; } := uint64_clock_t;
struct packet_context { uint64_clock_t timestamp_begin; uint64_clock_t timestamp_end; uint64_t content_size;
 uint64_t packet_size; uint64_t packet_seq_num; uint64_t events_discarded; uint32_t cpu_id; };
struct event_header { enum : uint5_t { compact = 0 ... 29, medium = 30, extended = 31 } id; variant <id> {
 struct { uint27_clock_t timestamp; } compact; struct { uint27_clock_t timestamp; integer { size = 16; align = 1; signed = false; } id; } medium;
 struct { uint32_t id; uint64_clock_t timestamp; } extended; } v; } align(8);
stream { id = 0; event.header := struct event_header; packet.context := struct packet_context; };
)";
    std::ofstream(directory + "/metadata") << text << "event { name = \"test:number\"; id = 0; stream_id = 0; fields := struct { "
                                           << fields << " }; };\n";
}

std::string read_file(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

void remove_tree(const std::string &path) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
}

}  // namespace weft_test
