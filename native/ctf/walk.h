/*
 * Walks the bytes of one layout and hands what it finds to `Out`. Nothing is believed: every read is checked against the end of what is
 * there, and the elements of rows that take no bytes are counted.
 */
#ifndef WEFT_CTF_WALK_H
#define WEFT_CTF_WALK_H

#include <cstring>

#include "ctf/table.h"

namespace weft::ctf {

/* Bits; `bytes` is readable for kSlack bytes beyond `limit`. */
struct Cursor {
    const uint8_t *bytes = nullptr;
    uint64_t pos = 0, limit = 0;
};
constexpr size_t kSlack = 16;

/* Elements without a byte that one record may have. */
constexpr uint32_t kEmptyMax = 65536;

/* Why a walk did not come to its end. */
enum class Stop : uint8_t { none, short_of_bytes, no_option, too_much };

/* `pos` is below `limit` by at least `bits`. */
uint64_t read_bits(const Cursor &cursor, unsigned bits, bool big);

inline uint64_t read_number(const Cursor &cursor, const Node &n) {
    const uint8_t *p = cursor.bytes + cursor.pos / 8;
    if ((cursor.pos & 7) == 0 && !n.big) {
        uint64_t value;
        memcpy(&value, p, 8);
        return n.bits == 64 ? value : value & ((uint64_t{1} << n.bits) - 1);
    }
    return read_bits(cursor, n.bits, n.big);
}

inline uint64_t sign_extended(uint64_t value, unsigned bits) {
    const unsigned above = 64 - bits;
    return static_cast<uint64_t>(static_cast<int64_t>(value << above) >> above);
}

inline bool in_range(const Range &range, uint64_t value, bool is_signed) {
    return is_signed ? static_cast<int64_t>(value) >= static_cast<int64_t>(range.first) &&
                           static_cast<int64_t>(value) <= static_cast<int64_t>(range.last)
                     : value >= range.first && value <= range.last;
}

/* Passes over. */
struct NoOut {
    static constexpr bool kShows = false;
    void integer(const Node &, uint64_t) {}
    void enumeration(const Node &, uint64_t) {}
    void real(const Node &, double) {}
    void string(const Node &, const char *, size_t) {}
    void open_structure() {}
    void member(const Node &, bool) {}
    void close_structure(bool) {}
    void open_row() {}
    void element(uint64_t) {}
    void close_row(bool) {}
    void open_variant() {}
    void option(const Node &) {}
    void close_variant() {}
    void bytes(const Node &, const uint8_t *, uint64_t) {}
};

/* One record, or one header. */
class Walk {
public:
    Walk(const Table &table, Cursor *cursor, uint64_t *slots) : table_(table), cursor_(*cursor), slots_(slots) {}

    Stop stop() const { return stop_; }

    template <typename Out>
    bool root(uint32_t index, Out *out) {
        return index == kNone || node(table_.nodes[index], out);
    }

private:
    bool stopped(Stop why) {
        stop_ = why;
        return false;
    }

    /* False: it ends behind the limit. */
    bool reach(uint32_t align, uint64_t bits) {
        const uint64_t mask = align - 1;
        cursor_.pos = (cursor_.pos + mask) & ~mask;
        return (cursor_.pos <= cursor_.limit && bits <= cursor_.limit - cursor_.pos) || stopped(Stop::short_of_bytes);
    }

    bool number(const Node &n, uint64_t *value) {
        if (!reach(n.align, n.bits))
            return false;
        uint64_t read = read_number(cursor_, n);
        cursor_.pos += n.bits;
        if (n.is_signed)
            read = sign_extended(read, n.bits);
        if (n.slot != kNone)
            slots_[n.slot] = read;
        *value = read;
        return true;
    }

    const Node *child(const Node &n) const { return &n + 1; }
    const Node *behind(const Node *n) const { return table_.nodes.data() + n->next; }

    template <typename Out>
    bool real(const Node &n, Out *out) {
        if (!reach(n.align, n.bits))
            return false;
        const uint64_t raw = read_number(cursor_, n);
        cursor_.pos += n.bits;
        if (n.bits == 64) {
            double value;
            memcpy(&value, &raw, 8);
            out->real(n, value);
        } else {
            const uint32_t low = static_cast<uint32_t>(raw);
            float value;
            memcpy(&value, &low, 4);
            out->real(n, static_cast<double>(value));
        }
        return true;
    }

    template <typename Out>
    bool string(const Node &n, Out *out) {
        if (!reach(8, 8))
            return false;
        const char *from = reinterpret_cast<const char *>(cursor_.bytes + cursor_.pos / 8);
        const size_t most = (cursor_.limit - cursor_.pos) / 8;
        const void *end = memchr(from, 0, most);
        if (end == nullptr)
            return stopped(Stop::short_of_bytes);
        const size_t length = static_cast<size_t>(static_cast<const char *>(end) - from);
        out->string(n, from, length);
        cursor_.pos += 8 * (length + 1);
        return true;
    }

    template <typename Out>
    bool structure(const Node &n, Out *out) {
        if (!reach(n.align, 0))
            return false;
        out->open_structure();
        bool first = true;
        const Node *at = child(n);
        for (uint32_t i = 0; i < n.count; i++, at = behind(at)) {
            if (at->hidden && Out::kShows) {
                NoOut none;
                if (!node(*at, &none))
                    return false;
                continue;
            }
            out->member(*at, first);
            first = false;
            if (!node(*at, out))
                return false;
        }
        out->close_structure(first);
        return true;
    }

    const Node *chosen(const Node &n) const {
        const uint64_t tag = slots_[n.from];
        const Node *at = child(n);
        for (uint32_t i = 0; i < n.count; i++, at = behind(at))
            for (uint32_t k = 0; k < at->choice_count; k++)
                if (in_range(table_.ranges[at->choices + k], tag, n.is_signed))
                    return at;
        return nullptr;
    }

    template <typename Out>
    bool variant(const Node &n, Out *out) {
        const Node *at = chosen(n);
        if (at == nullptr)
            return stopped(Stop::no_option);
        out->open_variant();
        out->option(*at);
        if (!node(*at, out))
            return false;
        out->close_variant();
        return true;
    }

    template <typename Out>
    bool row(const Node &n, uint64_t count, Out *out) {
        const Node &element = *child(n);
        if (!reach(n.align, 0))
            return false;
        if (element.kind == Kind::integer && element.bits == 8 && element.align % 8 == 0) {
            if (count > (cursor_.limit - cursor_.pos) / 8)
                return stopped(Stop::short_of_bytes);
            const uint8_t *from = cursor_.bytes + cursor_.pos / 8;
            if (element.text && element.align == 8) {
                const char *text = reinterpret_cast<const char *>(from);
                cursor_.pos += 8 * count;
                out->string(n, text, strnlen(text, count));
                return true;
            }
            out->bytes(n, from, count);
        }
        out->open_row();
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t before = cursor_.pos;
            out->element(i);
            if (!node(element, out))
                return false;
            if (cursor_.pos == before && ++empty_ > kEmptyMax)
                return stopped(Stop::too_much);
        }
        out->close_row(count == 0);
        return true;
    }

    template <typename Out>
    bool node(const Node &n, Out *out) {
        uint64_t value;
        switch (n.kind) {
        case Kind::integer:
            if (!number(n, &value))
                return false;
            out->integer(n, value);
            return true;
        case Kind::enumeration:
            if (!number(n, &value))
                return false;
            out->enumeration(n, value);
            return true;
        case Kind::real:
            return real(n, out);
        case Kind::string:
            return string(n, out);
        case Kind::structure:
            return structure(n, out);
        case Kind::variant:
            return variant(n, out);
        case Kind::array:
            return row(n, n.count, out);
        case Kind::sequence:
            return row(n, slots_[n.from], out);
        case Kind::absent:
            break;
        }
        return true;
    }

    const Table &table_;
    Cursor &cursor_;
    uint64_t *slots_;
    uint32_t empty_ = 0;
    Stop stop_ = Stop::none;
};

}  // namespace weft::ctf

#endif
