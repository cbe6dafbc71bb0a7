/*
 * The filter of a view: programs of ust/bytecode.h, one per event class, that judge records before anybody makes text of them. Their
 * values are what the expression mentions: each has as many places as there are kinds that a record may bring it as.
 */
#ifndef WEFT_CTF_FILTER_H
#define WEFT_CTF_FILTER_H

#include "ctf/source.h"
#include "weft/abi.h"

namespace weft::ctf {

/* Places of one mention, as rules/filter/recorded.ts numbers them. */
enum class Place : uint8_t { integer, real, text, row };
constexpr uint32_t kPlaces = 4;

/* The bytes that ctf/filter-table.ts writes behind a table. False: they do not fit the table. */
bool read_filter(TableBytes *bytes, Table *table);

/* What the walk of a record finds of the mentioned fields. */
class FilterOut {
public:
    static constexpr bool kShows = false;

    void begin(uint32_t mentions);
    weft_value *at(uint32_t mention, Place place) { return &values_[mention * kPlaces + static_cast<uint32_t>(place)]; }
    /* Once no more comes: rows have their place in memory. */
    const std::vector<weft_value> &values();

    void integer(const Node &n, uint64_t value);
    void enumeration(const Node &n, uint64_t value) { integer(n, value); }
    void real(const Node &n, double value);
    void string(const Node &n, const char *bytes, size_t length);
    void bytes(const Node &, const uint8_t *, uint64_t) {}
    void open_structure() { depth_++; }
    void member(const Node &n, bool) {
        if (depth_ == 1)
            mention_ = n.mention;
    }
    void close_structure(bool) { depth_--; }
    void open_row();
    void element(uint64_t) {}
    void close_row(bool) { rows_--; }
    void open_variant() {}
    void option(const Node &) {}
    void close_variant() {}

private:
    bool wanted(uint32_t rows) const { return mention_ != kNone && depth_ == 1 && rows_ == rows; }

    std::vector<weft_value> values_;
    std::vector<int64_t> elements_;
    uint32_t mention_ = kNone, depth_ = 0, rows_ = 0;
};

enum class Verdict : uint8_t { kept, dropped, fault };

/* Judges the record that next() found. */
class Judge {
public:
    Verdict operator()(Source *source);

private:
    FilterOut out_;
};

}  // namespace weft::ctf

#endif
