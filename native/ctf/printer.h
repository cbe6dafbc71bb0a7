/* One record as one line: as babeltrace2 prints it, or as a JSON object. */
#ifndef WEFT_CTF_PRINTER_H
#define WEFT_CTF_PRINTER_H

#include "ctf/source.h"

namespace weft::ctf {

struct PrintStyle {
    enum class Clock : uint8_t { time, seconds, cycles };
    bool json = false;
    Clock clock = Clock::time;
    bool date = false, gmt = false, delta = true, colour = false;
    bool timeless = false; /* the line begins behind its time */

    static PrintStyle bare() {
        PrintStyle style;
        style.timeless = true;
        return style;
    }
    static PrintStyle as_json() {
        PrintStyle style;
        style.json = true;
        return style;
    }
};

class Printer {
public:
    explicit Printer(const PrintStyle &style) : style_(style) {}

    /* What all records of the source's packet have in common; empty: nothing. */
    bool packet_text(Source *source, std::string *text);
    /* Appends the line of the record that next() found. False: the source has a fault, nothing was appended. */
    bool print(Source *source, const std::string &packet_text, Text *text);

private:
    void heading(const Source &source, Text *text);
    void moment(const Source &source, Text *text);
    void json_heading(const Source &source, Text *text);
    void time_of(const Source &source, Text *text);
    void delta_of(const Source &source, Text *text);
    void second(int64_t seconds, bool date, bool gmt, char between);

    const PrintStyle style_;
    bool first_ = true;
    int64_t last_ = 0;
    uint64_t last_ticks_ = 0;
    int64_t cached_ = INT64_MIN; /* the second that second_ spells */
    std::string second_;
};

}  // namespace weft::ctf

#endif
