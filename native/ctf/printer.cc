#include "ctf/printer.h"

#include <ctime>

namespace weft::ctf {

namespace {

constexpr int64_t kSecond = 1000000000;

int64_t whole_seconds(int64_t ns) {
    return ns / kSecond - (ns % kSecond < 0 ? 1 : 0);
}

constexpr char kNoDelta[] = " (+?.?????????" ")", kNoCycles[] = " (+????????????" ")"; /* in two parts: no trigraph */
constexpr char kDim[] = "\033[2m", kBold[] = "\033[36;1m", kPlain[] = "\033[0m";

template <typename Out>
bool contexts_and_fields(Source *source, Walk *walk, Out *out, Text *text, const std::string &packet_text, const char *const keys[3]) {
    const EventClass &event = source->event();
    const uint32_t roots[3] = {source->stream().event_context, event.context, event.fields};
    bool any = !packet_text.empty();
    text->put(packet_text);
    for (int i = 0; i < 3; i++) {
        if (roots[i] == kNone)
            continue;
        if (keys != nullptr)
            text->put(keys[i]);
        else if (any)
            text->put(", ");
        any = true;
        if (!walk->root(roots[i], out))
            return false;
    }
    return true;
}

}  // namespace

void Printer::second(int64_t seconds, bool date, bool gmt, char between) {
    if (seconds == cached_)
        return;
    cached_ = seconds;
    const time_t at = static_cast<time_t>(seconds);
    struct tm parts = {};
    if (gmt)
        gmtime_r(&at, &parts);
    else
        localtime_r(&at, &parts);
    char own[64];
    const char format[] = {'%', 'Y', '-', '%', 'm', '-', '%', 'd', between, '%', 'H', ':', '%', 'M', ':', '%', 'S', '\0'};
    second_.assign(own, strftime(own, sizeof(own), date ? format : "%H:%M:%S", &parts));
}

void Printer::time_of(const Source &source, Text *text) {
    if (style_.clock == PrintStyle::Clock::cycles)
        return text->digits(source.ticks(), 20);
    const int64_t ns = source.time(), seconds = whole_seconds(ns);
    if (style_.clock == PrintStyle::Clock::seconds) {
        text->signed_decimal(seconds);
    } else {
        second(seconds, style_.date, style_.gmt, ' ');
        text->put(second_);
    }
    text->put('.');
    text->digits(static_cast<uint64_t>(ns - seconds * kSecond), 9);
}

void Printer::delta_of(const Source &source, Text *text) {
    const bool cycles = style_.clock == PrintStyle::Clock::cycles;
    if (first_)
        return text->put(std::string_view(cycles ? kNoCycles : kNoDelta));
    const bool back = cycles ? source.ticks() < last_ticks_ : source.time() < last_;
    text->put(back ? " (-" : " (+");
    if (cycles) {
        text->digits(back ? last_ticks_ - source.ticks() : source.ticks() - last_ticks_, 12);
    } else {
        const uint64_t now = static_cast<uint64_t>(source.time()), then = static_cast<uint64_t>(last_), ns = back ? then - now : now - then;
        text->decimal(ns / kSecond);
        text->put('.');
        text->digits(ns % kSecond, 9);
    }
    text->put(')');
}

void Printer::moment(const Source &source, Text *text) {
    if (style_.colour)
        text->put(kDim);
    text->put('[');
    time_of(source, text);
    text->put(']');
    if (style_.delta)
        delta_of(source, text);
    text->put(' ');
}

void Printer::heading(const Source &source, Text *text) {
    if (!style_.timeless)
        moment(source, text);
    if (!source.table().who.empty()) {
        text->put(source.table().who);
        text->put(' ');
    }
    if (style_.colour) {
        text->put(kPlain);
        text->put(kBold);
    }
    text->put(source.event().name);
    if (style_.colour)
        text->put(kPlain);
    text->put(": ");
}

void Printer::json_heading(const Source &source, Text *text) {
    const int64_t ns = source.time(), seconds = whole_seconds(ns);
    second(seconds, true, true, 'T');
    text->put("{\"time\":\"");
    text->put(second_);
    text->put('.');
    text->digits(static_cast<uint64_t>(ns - seconds * kSecond), 9);
    text->put("Z\",\"ns\":\"");
    text->signed_decimal(ns);
    text->put("\",\"trace\":");
    text->put(source.table().json_who);
    text->put(",\"name\":");
    text->put(source.event().json_name);
    if (source.event().log_level != kNone) {
        text->put(",\"logLevel\":");
        text->decimal(source.event().log_level);
    }
}

bool Printer::packet_text(Source *source, std::string *text) {
    text->clear();
    if (!source->stream().shows_packet_context)
        return true;
    Text made(256);
    bool whole;
    if (style_.json) {
        JsonOut out(source->table(), &made);
        whole = source->walk_packet_context(&out, [&] { made.cut(0), made.put(",\"packet\":"); });
    } else {
        TextOut out(source->table(), &made);
        whole = source->walk_packet_context(&out, [&] { made.cut(0); });
    }
    *text = made.view();
    return whole;
}

bool Printer::print(Source *source, const std::string &packet_text, Text *text) {
    static const char *const kKeys[3] = {",\"context\":", ",\"eventContext\":", ",\"fields\":"};
    const size_t begin = text->size();
    if (style_.json)
        json_heading(*source, text);
    else
        heading(*source, text);
    const size_t behind = text->size();
    const bool whole = source->walk([&](Walk *walk) {
        text->cut(behind);
        if (style_.json) {
            JsonOut out(source->table(), text);
            return contexts_and_fields(source, walk, &out, text, packet_text, kKeys);
        }
        TextOut out(source->table(), text);
        return contexts_and_fields(source, walk, &out, text, packet_text, nullptr);
    });
    if (!whole) {
        text->cut(begin);
        return false;
    }
    text->put(style_.json ? "}\n" : "\n");
    first_ = false;
    last_ = source->time();
    last_ticks_ = source->ticks();
    return true;
}

}  // namespace weft::ctf
