#include "ctf/filter.h"

extern "C" {
#include "ust/filter.h"
}

namespace weft::ctf {

namespace {

enum Mentioned : uint32_t { kField, kContext };

/* The first member of that name. */
void mark(Table *table, uint32_t root, const std::string &name, uint32_t mention) {
    if (root == kNone)
        return;
    for (uint32_t i = 0, at = root + 1; i < table->nodes[root].count; i++, at = table->nodes[at].next)
        if (table->nodes[at].name == name) {
            table->nodes[at].mention = mention;
            return;
        }
}

void mark_everywhere(Table *table, uint32_t kind, const std::string &name, uint32_t mention) {
    for (const StreamClass &stream : table->streams) {
        if (kind == kContext)
            mark(table, stream.event_context, name, mention);
        for (const EventClass &event : stream.events)
            mark(table, kind == kContext ? event.context : event.fields, name, mention);
    }
}

/* What each place holds, whatever the class: what a record really brings shows when it is read. */
std::vector<weft_field> places(uint32_t mentions) {
    constexpr uint8_t kKinds[kPlaces] = {WEFT_KIND_INTEGER, WEFT_KIND_FLOAT, WEFT_KIND_STRING, WEFT_KIND_SEQUENCE};
    std::vector<weft_field> fields(mentions * kPlaces);
    for (size_t i = 0; i < fields.size(); i++) {
        fields[i] = {};
        fields[i].kind = kKinds[i % kPlaces];
        fields[i].integer = {64, WEFT_INT_SIGNED, 10};
    }
    return fields;
}

bool read_program(TableBytes *in, const std::vector<weft_field> &fields, EventClass *event) {
    const std::string program = in->text();
    if (program.empty())
        return true;
    weft_filter *filter = nullptr;
    if (weft_filter_verify(reinterpret_cast<const uint8_t *>(program.data()), program.size(), fields.data(),
                           static_cast<uint32_t>(fields.size()), &filter) != 0)
        return false;
    event->filter = std::shared_ptr<weft_filter>(filter, weft_filter_free);
    return true;
}

}  // namespace

bool read_filter(TableBytes *bytes, Table *table) {
    TableBytes &in = *bytes;
    table->filtered = in.u32() != 0;
    if (!table->filtered)
        return in.ok();
    const uint32_t mentions = in.u32();
    /* Each has a kind and the length of a name. */
    if (!in.ok() || mentions > in.left() / 8 || mentions > UINT16_MAX / kPlaces)
        return false;
    table->mentions = mentions;
    for (uint32_t mention = 0; mention < mentions && in.ok(); mention++) {
        const uint32_t kind = in.u32();
        const std::string name = in.text();
        mark_everywhere(table, kind, name, mention);
        if (kind == kContext && name == "cpu_id")
            table->cpu_mention = mention;
    }
    const std::vector<weft_field> fields = places(mentions);
    for (StreamClass &stream : table->streams)
        for (EventClass &event : stream.events)
            if (!read_program(&in, fields, &event))
                return false;
    return in.ok();
}

void FilterOut::begin(uint32_t mentions) {
    values_.assign(mentions * kPlaces, weft_value{});
    elements_.clear();
    mention_ = kNone;
    depth_ = rows_ = 0;
}

/* While rows grow they may move: until then `integer` is where a row begins. */
const std::vector<weft_value> &FilterOut::values() {
    for (size_t i = static_cast<size_t>(Place::row); i < values_.size(); i += kPlaces)
        if (values_[i].kind == WEFT_VALUE_ARRAY)
            values_[i].as.bytes = elements_.data() + values_[i].as.integer;
    return values_;
}

void FilterOut::integer(const Node &n, uint64_t value) {
    if (wanted(1)) {
        elements_.push_back(static_cast<int64_t>(value));
        at(mention_, Place::row)->length++;
        return;
    }
    if (!wanted(0))
        return;
    weft_value *whole = at(mention_, Place::integer), *number = at(mention_, Place::real);
    whole->kind = WEFT_VALUE_INT;
    whole->as.integer = static_cast<int64_t>(value);
    number->kind = WEFT_VALUE_DOUBLE;
    number->as.number = n.is_signed ? static_cast<double>(static_cast<int64_t>(value)) : static_cast<double>(value);
}

void FilterOut::real(const Node &, double value) {
    if (!wanted(0))
        return;
    weft_value *number = at(mention_, Place::real);
    number->kind = WEFT_VALUE_DOUBLE;
    number->as.number = value;
}

void FilterOut::string(const Node &, const char *bytes, size_t length) {
    if (!wanted(0))
        return;
    weft_value *text = at(mention_, Place::text);
    text->kind = WEFT_VALUE_STRING;
    text->as.bytes = bytes;
    text->length = length;
}

void FilterOut::open_row() {
    if (wanted(0)) {
        weft_value *row = at(mention_, Place::row);
        row->kind = WEFT_VALUE_ARRAY;
        row->element = {64, WEFT_INT_SIGNED, 10};
        row->as.integer = static_cast<int64_t>(elements_.size());
        row->length = 0;
    }
    rows_++;
}

Verdict Judge::operator()(Source *source) {
    const Table &table = source->table();
    if (!table.filtered)
        return Verdict::kept;
    const EventClass &event = source->event();
    if (!event.filter)
        return Verdict::dropped;
    const bool whole = source->walk([&](Walk *walk) {
        out_.begin(table.mentions);
        if (table.cpu_mention != kNone && source->packet().has_cpu) {
            weft_value *cpu = out_.at(table.cpu_mention, Place::integer);
            cpu->kind = WEFT_VALUE_INT;
            cpu->as.integer = static_cast<int64_t>(source->packet().cpu);
        }
        return walk->root(source->stream().event_context, &out_) && walk->root(event.context, &out_) &&
               walk->root(event.fields, &out_);
    });
    if (!whole)
        return Verdict::fault;
    const std::vector<weft_value> &values = out_.values();
    return weft_filter_run(event.filter.get(), values.data(), static_cast<uint32_t>(values.size()), nullptr) ? Verdict::kept
                                                                                                              : Verdict::dropped;
}

}  // namespace weft::ctf
