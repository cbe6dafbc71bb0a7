#include "ctf/outs.h"

namespace weft::ctf {

uint64_t read_bits(const Cursor &cursor, unsigned bits, bool big) {
    const uint8_t *p = cursor.bytes + cursor.pos / 8;
    const unsigned skip = static_cast<unsigned>(cursor.pos & 7), end = skip + bits, count = (end + 7) / 8;
    unsigned __int128 whole = 0;
    if (big) {
        for (unsigned i = 0; i < count; i++)
            whole = whole << 8 | p[i];
        whole >>= count * 8 - end;
    } else {
        for (unsigned i = 0; i < count; i++)
            whole |= static_cast<unsigned __int128>(p[i]) << (8 * i);
        whole >>= skip;
    }
    const uint64_t value = static_cast<uint64_t>(whole);
    return bits == 64 ? value : value & ((uint64_t{1} << bits) - 1);
}

namespace {

template <typename Each>
void each_label(const Table &table, const Node &n, uint64_t value, Each each) {
    for (uint32_t i = 0; i < n.range_count; i++) {
        const Range &range = table.ranges[n.ranges + i];
        if (in_range(range, value, n.is_signed))
            each(range.label);
    }
}

}  // namespace

void TextOut::enumeration(const Node &n, uint64_t value) {
    bool any = false;
    each_label(table_, n, value, [&](const std::string &label) {
        text_.put(any ? ", " : "( ");
        text_.quoted(label.data(), label.size());
        any = true;
    });
    if (!any)
        text_.put("( <unknown>");
    text_.put(" : container = ");
    integer(n, value);
    text_.put(" )");
}

constexpr int64_t kExact = int64_t{1} << 53;

void JsonOut::integer(const Node &n, uint64_t value) {
    const int64_t as_signed = static_cast<int64_t>(value);
    const bool exact = n.is_signed ? as_signed >= -kExact && as_signed <= kExact : value <= static_cast<uint64_t>(kExact);
    if (!exact)
        text_.put('"');
    if (n.is_signed)
        text_.signed_decimal(as_signed);
    else
        text_.decimal(value);
    if (!exact)
        text_.put('"');
}

void JsonOut::enumeration(const Node &n, uint64_t value) {
    text_.put("{\"value\":");
    integer(n, value);
    text_.put(",\"labels\":[");
    bool any = false;
    each_label(table_, n, value, [&](const std::string &label) {
        if (any)
            text_.put(',');
        text_.json_quoted(label.data(), label.size());
        any = true;
    });
    text_.put("]}");
}

void JsonOut::real(const Node &n, double value) {
    if (!std::isfinite(value)) {
        text_.put(std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    if (n.bits == 32)
        text_.shortest(static_cast<float>(value));
    else
        text_.shortest(value);
}

}  // namespace weft::ctf
