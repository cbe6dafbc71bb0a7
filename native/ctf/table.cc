#include "ctf/table.h"

#include <cstring>

#include "ctf/text.h"

namespace weft::ctf {

uint32_t TableBytes::u32() {
    if (left() < 4)
        return static_cast<uint32_t>(ok_ = false);
    uint32_t value;
    memcpy(&value, at_, 4);
    at_ += 4;
    return value;
}

uint64_t TableBytes::u64() {
    const uint64_t low = u32();
    return low | static_cast<uint64_t>(u32()) << 32;
}

std::string TableBytes::text() {
    const uint32_t length = u32();
    if (left() < length) {
        ok_ = false;
        return {};
    }
    std::string value(reinterpret_cast<const char *>(at_), length);
    at_ += length;
    return value;
}

const EventClass *StreamClass::event(uint64_t event_id) const {
    if (event_id < events.size() && events[event_id].id == event_id)
        return &events[event_id];
    const auto found = by_id.find(event_id);
    return found == by_id.end() ? nullptr : &events[found->second];
}

int64_t StreamClass::nanoseconds(uint64_t ticks) const {
    const __int128 own = frequency == 1000000000 ? static_cast<__int128>(ticks)
                                                 : static_cast<__int128>(ticks) * 1000000000 / frequency;
    const __int128 whole = own + clock_base;
    return whole > INT64_MAX ? INT64_MAX : whole < INT64_MIN ? INT64_MIN : static_cast<int64_t>(whole);
}

const StreamClass *Table::stream(uint64_t id) const {
    for (const StreamClass &one : streams)
        if (one.id == id)
            return &one;
    return nullptr;
}

namespace {

class Reader {
public:
    Reader(TableBytes *bytes, const std::set<std::string> &shown, Table *table) : in_(*bytes), shown_(shown), table_(*table) {}

    bool read() {
        table_.who = in_.text();
        table_.json_who = json_text(table_.who);
        const std::string uuid = in_.text();
        for (size_t i = 0; i + 1 < uuid.size(); i += 2)
            table_.uuid.push_back(static_cast<char>(std::stoul(hex_pair(uuid, i), nullptr, 16)));
        table_.slots = in_.u32();
        /* Each slot is of a field, which is longer than this. */
        if (!in_.ok() || table_.slots > in_.left())
            return false;
        table_.packet_header = root(false);
        const uint32_t count = in_.u32();
        for (uint32_t i = 0; i < count && in_.ok(); i++)
            stream();
        return in_.ok() && fine_;
    }

private:
    std::string hex_pair(const std::string &text, size_t at) {
        const std::string pair = text.substr(at, 2);
        if (strspn(pair.c_str(), "0123456789abcdef") == 2)
            return pair;
        fine_ = false;
        return "0";
    }

    void stream() {
        table_.streams.emplace_back();
        StreamClass &one = table_.streams.back();
        one.id = in_.u64();
        one.frequency = in_.u64();
        one.clock_base = static_cast<int64_t>(in_.u64());
        fine_ &= one.frequency > 0;
        one.packet_context = root(true);
        one.event_header = root(false);
        one.event_context = root(true);
        one.shows_packet_context = shows_any(one.packet_context);
        const uint32_t count = in_.u32();
        for (uint32_t i = 0; i < count && in_.ok(); i++) {
            EventClass event;
            event.id = in_.u64();
            event.name = in_.text();
            event.json_name = json_text(event.name);
            event.log_level = in_.u32();
            event.context = root(true);
            event.fields = root(true);
            one.by_id[event.id] = static_cast<uint32_t>(one.events.size());
            one.events.push_back(std::move(event));
        }
    }

    bool shows_any(uint32_t root) const {
        if (root == kNone)
            return false;
        for (uint32_t i = 0, at = root + 1; i < table_.nodes[root].count; i++, at = table_.nodes[at].next)
            if (!table_.nodes[at].hidden)
                return true;
        return false;
    }

    uint32_t root(bool choose) {
        const uint32_t index = node(0);
        Node &made = table_.nodes[index];
        if (made.kind == Kind::absent) {
            table_.nodes.pop_back();
            return kNone;
        }
        fine_ &= made.kind == Kind::structure;
        if (!choose || shown_.empty())
            return index;
        for (uint32_t i = 0, at = index + 1; i < table_.nodes[index].count && fine_ && in_.ok(); i++, at = table_.nodes[at].next)
            table_.nodes[at].hidden |= shown_.count(table_.nodes[at].name) == 0;
        return index;
    }

    uint32_t align() {
        const uint32_t value = in_.u32();
        fine_ &= value > 0 && value <= kAlignMax && (value & (value - 1)) == 0;
        return fine_ ? value : 1;
    }

    uint32_t slot(bool needed) {
        const uint32_t value = in_.u32();
        fine_ &= value < table_.slots || (value == kNone && !needed);
        return value;
    }

    void number(Node *n) {
        const uint32_t bits = in_.u32();
        fine_ &= bits > 0 && bits <= 64;
        n->bits = static_cast<uint8_t>(bits);
        n->align = align();
        const uint32_t flags = in_.u32();
        n->is_signed = flags & 1;
        n->big = flags & 2;
        n->text = flags & 4;
    }

    void integer(Node *n) {
        number(n);
        n->base = static_cast<uint8_t>(in_.u32());
        n->slot = slot(false);
    }

    void labels(Node *n) {
        n->range_count = in_.u32();
        n->ranges = static_cast<uint32_t>(table_.ranges.size());
        for (uint32_t i = 0; i < n->range_count && in_.ok(); i++) {
            Range range;
            range.label = in_.text();
            range.first = in_.u64();
            range.last = in_.u64();
            table_.ranges.push_back(std::move(range));
        }
    }

    void member(unsigned depth, uint32_t choices, uint32_t choice_count) {
        const std::string name = in_.text();
        const uint32_t role = in_.u32(), hidden = in_.u32();
        const uint32_t index = node(depth + 1);
        Node &made = table_.nodes[index];
        fine_ &= role < kRoles && made.kind != Kind::absent;
        made.role = role < kRoles ? static_cast<Role>(role) : Role::none;
        made.hidden = hidden != 0;
        made.choices = choices;
        made.choice_count = choice_count;
        made.name = name;
        made.lead = ", " + name + " = ";
        made.key = "," + json_text(name) + ":";
    }

    void members(Node *n, unsigned depth) {
        n->count = in_.u32();
        for (uint32_t i = 0; i < n->count && in_.ok() && fine_; i++)
            member(depth, 0, 0);
    }

    void options(Node *n, unsigned depth) {
        n->from = slot(true);
        n->is_signed = in_.u32() != 0;
        n->count = in_.u32();
        for (uint32_t i = 0; i < n->count && in_.ok() && fine_; i++) {
            const uint32_t count = in_.u32(), first = static_cast<uint32_t>(table_.ranges.size());
            for (uint32_t k = 0; k < count && in_.ok(); k++) {
                Range range;
                range.first = in_.u64();
                range.last = in_.u64();
                table_.ranges.push_back(std::move(range));
            }
            member(depth, first, count);
        }
    }

    /* Nodes may move while those within are read: the own one is written last. */
    uint32_t node(unsigned depth) {
        const uint32_t index = static_cast<uint32_t>(table_.nodes.size());
        table_.nodes.emplace_back();
        Node made;
        const uint32_t kind = in_.u32();
        fine_ &= kind <= static_cast<uint32_t>(Kind::sequence) && depth <= kDepthMax;
        if (!fine_ || !in_.ok())
            return index;
        made.kind = static_cast<Kind>(kind);
        switch (made.kind) {
        case Kind::absent:
            break;
        case Kind::integer:
            integer(&made);
            break;
        case Kind::real:
            number(&made);
            fine_ &= made.bits == 32 || made.bits == 64;
            break;
        case Kind::string:
            made.align = 8;
            break;
        case Kind::enumeration:
            integer(&made);
            labels(&made);
            break;
        case Kind::structure:
            made.align = align();
            members(&made, depth);
            break;
        case Kind::variant:
            options(&made, depth);
            break;
        case Kind::array:
        case Kind::sequence:
            made.align = align();
            if (made.kind == Kind::array)
                made.count = in_.u32();
            else
                made.from = slot(true);
            node(depth + 1);
            break;
        }
        made.next = static_cast<uint32_t>(table_.nodes.size());
        table_.nodes[index] = std::move(made);
        return index;
    }

    TableBytes &in_;
    const std::set<std::string> &shown_;
    Table &table_;
    bool fine_ = true;
};

}  // namespace

bool read_table(TableBytes *bytes, const std::set<std::string> &shown, Table *table) {
    return Reader(bytes, shown, table).read();
}

}  // namespace weft::ctf
