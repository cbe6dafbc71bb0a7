/* What a walk finds, as text for people, as JSON, or as the numbers that headers hold. */
#ifndef WEFT_CTF_OUTS_H
#define WEFT_CTF_OUTS_H

#include <cmath>

#include "ctf/text.h"
#include "ctf/walk.h"

namespace weft::ctf {

/* `{ a = 1, b = [ [0] = 2 ] }` */
class TextOut {
public:
    static constexpr bool kShows = true;
    TextOut(const Table &table, Text *text) : table_(table), text_(*text) {}

    void integer(const Node &n, uint64_t value) {
        if (n.base != 10)
            text_.based(value, n.base, n.bits, n.is_signed);
        else if (n.is_signed)
            text_.signed_decimal(static_cast<int64_t>(value));
        else
            text_.decimal(value);
    }
    void enumeration(const Node &n, uint64_t value);
    void real(const Node &, double value) { text_.real(value); }
    void string(const Node &, const char *bytes, size_t length) { text_.quoted(bytes, length); }
    void bytes(const Node &, const uint8_t *, uint64_t) {}
    void open_structure() { text_.put('{'); }
    void member(const Node &n, bool first) { text_.put(std::string_view(n.lead).substr(first ? 1 : 0)); }
    void close_structure(bool) { text_.put(" }"); }
    void open_row() { text_.put('['); }
    void element(uint64_t i) {
        text_.put(i == 0 ? " [" : ", [");
        text_.decimal(i);
        text_.put("] = ");
    }
    void close_row(bool) { text_.put(" ]"); }
    void open_variant() { text_.put("{ "); }
    void option(const Node &) {}
    void close_variant() { text_.put(" }"); }

private:
    const Table &table_;
    Text &text_;
};

/* Numbers that JavaScript cannot hold, and those that are none, are texts. */
class JsonOut {
public:
    static constexpr bool kShows = true;
    JsonOut(const Table &table, Text *text) : table_(table), text_(*text) {}

    void integer(const Node &n, uint64_t value);
    void enumeration(const Node &n, uint64_t value);
    void real(const Node &, double value);
    void string(const Node &, const char *bytes, size_t length) { text_.json_quoted(bytes, length); }
    void bytes(const Node &, const uint8_t *, uint64_t) {}
    void open_structure() { text_.put('{'); }
    void member(const Node &n, bool first) { text_.put(std::string_view(n.key).substr(first ? 1 : 0)); }
    void close_structure(bool) { text_.put('}'); }
    void open_row() { text_.put('['); }
    void element(uint64_t i) {
        if (i > 0)
            text_.put(',');
    }
    void close_row(bool) { text_.put(']'); }
    void open_variant() { text_.put('{'); }
    void option(const Node &n) { text_.put(std::string_view(n.key).substr(1)); }
    void close_variant() { text_.put('}'); }

private:
    const Table &table_;
    Text &text_;
};

/* The fields of headers that the decoder itself needs. */
class Roles : public NoOut {
public:
    bool has(Role role) const { return seen_ >> static_cast<unsigned>(role) & 1; }
    uint64_t operator[](Role role) const { return values_[static_cast<size_t>(role)]; }
    uint64_t get(Role role, uint64_t otherwise) const { return has(role) ? (*this)[role] : otherwise; }
    uint8_t timestamp_bits() const { return timestamp_bits_; }
    const uint8_t *uuid() const { return has(Role::uuid) ? uuid_ : nullptr; }
    void forget() { seen_ = 0; }

    void integer(const Node &n, uint64_t value) {
        if (n.role == Role::none)
            return;
        if (n.role == Role::timestamp)
            timestamp_bits_ = n.bits;
        seen_ |= 1u << static_cast<unsigned>(n.role);
        values_[static_cast<size_t>(n.role)] = value;
    }
    void enumeration(const Node &n, uint64_t value) { integer(n, value); }
    void bytes(const Node &n, const uint8_t *from, uint64_t count) {
        if (n.role != Role::uuid || count != sizeof(uuid_))
            return;
        memcpy(uuid_, from, sizeof(uuid_));
        seen_ |= 1u << static_cast<unsigned>(Role::uuid);
    }

private:
    uint32_t seen_ = 0;
    uint8_t timestamp_bits_ = 64;
    uint64_t values_[kRoles] = {};
    uint8_t uuid_[16] = {};
};

}  // namespace weft::ctf

#endif
