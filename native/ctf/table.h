/*
 * What the metadata of a trace says, as the decoder walks it: one row of nodes, each layout before those within it. Made from the bytes
 * that ctf/layout-table.ts writes; they are checked as any other input.
 */
#ifndef WEFT_CTF_TABLE_H
#define WEFT_CTF_TABLE_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

struct weft_filter;

namespace weft::ctf {

constexpr uint32_t kNone = 0xffffffff;
constexpr unsigned kDepthMax = 64;
/* Bits; what the decoder reads begins at a multiple of it, so that alignments hold within. */
constexpr uint64_t kAlignMax = 4096;

enum class Kind : uint8_t { absent, integer, real, string, enumeration, structure, variant, array, sequence };

enum class Role : uint8_t {
    none,
    magic,
    uuid,
    stream_id,
    stream_instance,
    begin,
    end,
    content_size,
    packet_size,
    sequence,
    discarded,
    cpu,
    event_id,
    timestamp,
};
constexpr size_t kRoles = 14;

/* Of an enumeration: what its label stands for; of a variant's option: when it is chosen. */
struct Range {
    uint64_t first, last;
    std::string label;
};

struct Node {
    Kind kind = Kind::absent;
    Role role = Role::none;
    uint8_t bits = 0;
    uint8_t base = 10;
    bool is_signed = false;
    bool big = false;
    bool text = false;   /* rows of it are text */
    bool hidden = false; /* passed over, not shown */
    uint32_t align = 1;
    uint32_t slot = kNone;   /* where its value is kept for others */
    uint32_t from = kNone;   /* the slot of the length or the tag */
    uint32_t count = 0;      /* members, options, elements of an array */
    uint32_t next = 0;       /* the node behind this one and all within it */
    uint32_t ranges = 0, range_count = 0;   /* labels */
    uint32_t choices = 0, choice_count = 0; /* of an option */
    uint32_t mention = kNone; /* the value of the view's filter that it is (filter.h) */
    std::string lead; /* `, name = ` */
    std::string key;  /* `,"name":` */
    std::string name;
};

struct EventClass {
    uint64_t id = 0;
    std::string name;
    std::string json_name; /* with its quotes */
    uint32_t log_level = kNone;
    uint32_t context = kNone, fields = kNone; /* roots; kNone: there is none */
    std::shared_ptr<weft_filter> filter;      /* of a filtered table; NULL: no event of this class is kept */
};

struct StreamClass {
    uint64_t id = 0;
    uint64_t frequency = 1000000000;
    int64_t clock_base = 0; /* ns since 1970 of the clock's zero */
    uint32_t packet_context = kNone, event_header = kNone, event_context = kNone;
    bool shows_packet_context = false;
    std::vector<EventClass> events;
    std::unordered_map<uint64_t, uint32_t> by_id;

    const EventClass *event(uint64_t event_id) const;
    /* Times beyond the reach of 64 bits are cut to it. */
    int64_t nanoseconds(uint64_t ticks) const;
};

struct Table {
    std::string who;      /* host, or host and process */
    std::string json_who; /* with its quotes */
    std::string uuid;     /* 16 bytes, or none */
    uint32_t slots = 0;
    uint32_t packet_header = kNone;
    std::vector<Node> nodes;
    std::vector<Range> ranges;
    std::vector<StreamClass> streams;
    bool filtered = false;
    uint32_t mentions = 0, cpu_mention = kNone; /* of its filter; which one is the packet's CPU */

    const StreamClass *stream(uint64_t id) const;
};

/* Little-endian words and texts; once it ran out everything is 0 and ok() is false. */
class TableBytes {
public:
    TableBytes(const uint8_t *bytes, size_t length) : at_(bytes), end_(bytes + length) {}
    uint32_t u32();
    uint64_t u64();
    std::string text();
    bool ok() const { return ok_; }
    bool done() const { return at_ == end_; }
    size_t left() const { return static_cast<size_t>(end_ - at_); }

private:
    const uint8_t *at_, *end_;
    bool ok_ = true;
};

/* Only the fields in `shown` are shown; none: all. False: these bytes are no table. */
bool read_table(TableBytes *bytes, const std::set<std::string> &shown, Table *table);

}  // namespace weft::ctf

#endif
