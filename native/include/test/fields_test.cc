/*
 * The bytes that probes stage, and how they describe them, for every kind of field: fields_program.c, compiled as C and as
 * C++, records into a fake library. The expected bytes are written here by hand, little-endian, without the macros.
 */
#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "fake_weft.h"
#include "ring/test_cases.h"

#ifdef FIELDS_IN_C
extern "C"
#endif
    int every_main(int argc, char **argv);

namespace {

const fake_weft *fake;

class Bytes {
public:
    template <typename T>
    Bytes &value(T v) {
        text_.append(reinterpret_cast<const char *>(&v), sizeof(v));
        return *this;
    }
    template <typename T>
    Bytes &network(T v) {
        const char *p = reinterpret_cast<const char *>(&v);
        for (size_t i = sizeof(v); i-- > 0;)
            text_.push_back(p[i]);
        return *this;
    }
    Bytes &string(const std::string &s) {
        text_.append(s);
        text_.push_back('\0');
        return *this;
    }
    Bytes &raw(const std::string &s) {
        text_.append(s);
        return *this;
    }
    const std::string &text() const { return text_; }

private:
    std::string text_;
};

std::string hex(const std::string &bytes) {
    std::string out;
    char two[3];
    for (const char c : bytes) {
        std::snprintf(two, sizeof(two), "%02x", static_cast<unsigned char>(c));
        out += two;
    }
    return out;
}

/* The nth record of an event, as hexadecimal digits. */
std::string staged(const char *name, int nth) {
    for (uint32_t i = 0; i < fake->records(); i++) {
        const fake_record *r = fake->record(i);
        if (std::strcmp(r->event->provider, "weft_every") == 0 && std::strcmp(r->event->name, name) == 0 && nth-- == 0)
            return hex(std::string(r->payload, r->length));
    }
    return "no such record";
}

std::string wanted(const Bytes &bytes) { return hex(bytes.text()); }

const weft_field *field(const char *event, const char *name) {
    const weft_event *e = fake->event("weft_every", event);
    for (uint32_t i = 0; e && i < e->field_count; i++) {
        if (std::strcmp(e->fields[i].name, name) == 0)
            return &e->fields[i];
    }
    static const weft_field none = {"none", 99, 99, 99, {0, 0, 0}, {0, 0, 0}, 0, nullptr, nullptr};
    return &none;
}

/* kind/flags/encoding bits/flags/base [length or length type] */
std::string described(const char *event, const char *name) {
    const weft_field *f = field(event, name);
    std::string out = std::to_string(f->kind) + "/" + std::to_string(f->flags) + "/" + std::to_string(f->encoding) + " " +
                      std::to_string(f->integer.bits) + "/" + std::to_string(f->integer.flags) + "/" +
                      std::to_string(f->integer.base);
    if (f->kind == WEFT_KIND_ARRAY)
        out += " " + std::to_string(f->length);
    if (f->kind == WEFT_KIND_SEQUENCE)
        out += " " + std::to_string(f->length_type.bits) + "/" + std::to_string(f->length_type.flags);
    return out;
}

void integers_are_packed() {
    CHECK_EQUAL(staged("integers", 0),
                wanted(Bytes().value<int8_t>(-128).value<uint8_t>(255).value<int16_t>(-32768).value<uint16_t>(65535)
                           .value<int32_t>(INT32_MIN).value<uint32_t>(UINT32_MAX).value<int64_t>(INT64_MIN)
                           .value<uint64_t>(UINT64_MAX)));
    CHECK_EQUAL(staged("integers", 1),
                wanted(Bytes().value<int8_t>(127).value<uint8_t>(1).value<int16_t>(32767).value<uint16_t>(2)
                           .value<int32_t>(INT32_MAX).value<uint32_t>(3).value<int64_t>(INT64_MAX).value<uint64_t>(4)));
    CHECK_EQUAL(staged("ten", 0), wanted(Bytes().value(1).value(2).value(3).value(4).value(5).value(6).value(7).value(8)
                                             .value(9).value(10)));
    CHECK_EQUAL(staged("nothing", 0), std::string());
    CHECK_EQUAL(staged("nothing_void", 0), std::string());
}

void integers_are_described() {
    const struct {
        const char *name, *text;
    } all[] = {{"i8", "0/0/0 8/1/10"},   {"u8", "0/0/0 8/0/10"},   {"i16", "0/0/0 16/1/10"}, {"u16", "0/0/0 16/0/10"},
               {"i32", "0/0/0 32/1/10"}, {"u32", "0/0/0 32/0/10"}, {"i64", "0/0/0 64/1/10"}, {"u64", "0/0/0 64/0/10"}};
    for (const auto &f : all)
        CHECK_EQUAL(described("integers", f.name), std::string(f.text));
    CHECK_EQUAL(described("c_types", "a_char"), std::string(char(-1) < 0 ? "0/0/0 8/1/10" : "0/0/0 8/0/10"));
    CHECK_EQUAL(described("c_types", "a_ulong"), std::string(sizeof(long) == 8 ? "0/0/0 64/0/10" : "0/0/0 32/0/10"));
    CHECK_EQUAL(described("c_types", "a_llong"), std::string("0/0/0 64/1/10"));
    CHECK_EQUAL(described("hexadecimal", "u64"), std::string("0/0/0 64/0/16"));
    CHECK_EQUAL(described("hexadecimal", "i8"), std::string("0/0/0 8/1/16"));
    CHECK_EQUAL(described("network", "net32"), std::string("0/0/0 32/3/10"));
    CHECK_EQUAL(described("network", "net64_hex"), std::string("0/0/0 64/2/16"));
}

void network_order_is_kept() {
    CHECK_EQUAL(staged("network", 0), wanted(Bytes().network<uint16_t>(65535).network<int32_t>(INT32_MIN)
                                                 .network<uint32_t>(UINT32_MAX).network<uint64_t>(UINT64_MAX)));
    CHECK_EQUAL(staged("network", 1), wanted(Bytes().network<uint16_t>(2).network<int32_t>(INT32_MAX).network<uint32_t>(3)
                                                 .network<uint64_t>(4)));
}

void floats_are_ieee() {
    CHECK_EQUAL(staged("floats", 0), wanted(Bytes().value(1.5f).value(-2.25)));
    CHECK_EQUAL(staged("floats", 1), wanted(Bytes().value(-0.0f).value(1e300)));
    CHECK_EQUAL(described("floats", "f"), std::string("2/0/0 32/0/10"));
    CHECK_EQUAL(described("floats", "d"), std::string("2/0/0 64/0/10"));
}

void strings_end_with_nul() {
    CHECK_EQUAL(staged("strings", 0), wanted(Bytes().string("text with \"quotes\" and \\").string("").string("(null)")));
    CHECK_EQUAL(staged("strings", 1), wanted(Bytes().string("\xc3\xa4\xc3\xb6\xe2\x82\xac").string(std::string(3000, 'l'))
                                                 .string("tab\tend")));
    CHECK_EQUAL(described("strings", "a"), std::string("1/0/1 0/0/0"));
}

Bytes &arrays_of(Bytes &b) {
    b.value<int32_t>(1).value<int32_t>(-2).value<int32_t>(INT32_MAX).value<int32_t>(INT32_MIN);
    b.value<int32_t>(1).value<int32_t>(-2);
    for (int i = 0; i < 2; i++)
        b.value<uint16_t>(0x0100).value<uint16_t>(0x0200).value<uint16_t>(0xffff);
    return b;
}

void arrays_are_copied() {
    Bytes first, second;
    /* Text of a fixed size: what lies behind its NUL does not get into the trace. */
    CHECK_EQUAL(staged("arrays", 0), wanted(arrays_of(first).raw("half").raw(std::string(8, '\0')).raw("hal")));
    CHECK_EQUAL(staged("arrays", 1), wanted(arrays_of(second).raw("twelve bytes").raw("twe")));
    CHECK_EQUAL(described("arrays", "plain"), std::string("5/0/0 32/1/10 4"));
    CHECK_EQUAL(described("arrays", "hex"), std::string("5/0/0 32/1/16 2"));
    CHECK_EQUAL(described("arrays", "net"), std::string("5/0/0 16/2/10 3"));
    CHECK_EQUAL(described("arrays", "net_hex"), std::string("5/0/0 16/2/16 3"));
    CHECK_EQUAL(described("arrays", "text").substr(0, 6), std::string("5/0/1 "));
}

void sequences_begin_with_their_length() {
    Bytes b;
    b.value<uint64_t>(3).value<int32_t>(1).value<int32_t>(-2).value<int32_t>(INT32_MAX);
    b.value<uint8_t>(3).value<int32_t>(1).value<int32_t>(-2).value<int32_t>(INT32_MAX);
    b.value<uint32_t>(3).value<uint16_t>(0x0100).value<uint16_t>(0x0200).value<uint16_t>(0xffff);
    b.value<uint16_t>(3).value<uint16_t>(0x0100).value<uint16_t>(0x0200).value<uint16_t>(0xffff);
    b.value<uint64_t>(12).raw("half").raw(std::string(8, '\0'));
    CHECK_EQUAL(staged("sequences", 0), wanted(b));
    CHECK_EQUAL(staged("sequences", 1), wanted(Bytes().value<uint64_t>(0).value<uint8_t>(0).value<uint32_t>(0)
                                                   .value<uint16_t>(0).value<uint64_t>(0)));
    CHECK_EQUAL(described("sequences", "plain"), std::string("6/0/0 32/1/10 64/0"));
    CHECK_EQUAL(described("sequences", "hex"), std::string("6/0/0 32/1/16 8/0"));
    CHECK_EQUAL(described("sequences", "net"), std::string("6/0/0 16/2/10 32/0"));
    CHECK_EQUAL(described("sequences", "net_hex"), std::string("6/0/0 16/2/16 16/0"));
}

void enumerations_have_containers_and_entries() {
    CHECK_EQUAL(staged("enumerations", 0), wanted(Bytes().value<int32_t>(0).value<uint8_t>(0).value<int64_t>(-1)));
    CHECK_EQUAL(staged("enumerations", 3), wanted(Bytes().value<int32_t>(15).value<uint8_t>(15).value<int64_t>(99)));
    CHECK_EQUAL(described("enumerations", "color"), std::string("4/0/0 32/1/10"));
    CHECK_EQUAL(described("enumerations", "small"), std::string("4/0/0 8/0/10"));
    const weft_enum *color = field("enumerations", "color")->enumeration;
    const weft_enum *step = field("enumerations", "step")->enumeration;
    CHECK_EQUAL(std::string(color->name), std::string("color"));
    CHECK_EQUAL(color->entry_count, 6u);
    CHECK_EQUAL(std::string(color->entries[1].label), std::string("after red"));
    CHECK_EQUAL(color->entries[1].flags, WEFT_ENTRY_AUTO);
    CHECK_EQUAL(color->entries[3].start, int64_t{10});
    CHECK_EQUAL(color->entries[3].end, int64_t{19});
    CHECK_EQUAL(color->entries[3].flags, WEFT_ENTRY_START_SIGNED | WEFT_ENTRY_END_SIGNED);
    CHECK_EQUAL(color->entries[5].flags, 0u); /* an unsigned constant */
    CHECK_EQUAL(step->entries[1].start, int64_t{-100});
    CHECK_EQUAL(step->entries[1].end, int64_t{-2});
}

void unwritten_fields_are_described_only() {
    CHECK_EQUAL(staged("unwritten", 0), wanted(Bytes().value<int32_t>(INT32_MIN).value<int32_t>(INT32_MIN + 1)));
    const weft_event *e = fake->event("weft_every", "unwritten");
    CHECK_EQUAL(e->field_count, 16u);
    for (uint32_t i = 0; i < e->field_count; i++)
        CHECK_EQUAL(e->fields[i].flags, (i == 0 || i == 15 ? 0u : WEFT_FIELD_NOWRITE));
    CHECK_EQUAL(described("unwritten", "anh"), std::string("5/1/0 16/2/16 3"));
    CHECK_EQUAL(described("unwritten", "qh"), std::string("6/1/0 32/1/16 64/0"));
    CHECK_EQUAL(described("unwritten", "qt").substr(0, 6), std::string("6/1/1 "));
}

void classes_levels_and_uris() {
    const weft_event *first = fake->event("weft_every", "first"), *second = fake->event("weft_every", "second");
    CHECK_EQUAL(staged("first", 0), wanted(Bytes().value(1).string("instance of a class")));
    CHECK_EQUAL(staged("second", 0), wanted(Bytes().value(2).string("another one")));
    CHECK(first->fields == second->fields);
    CHECK(first->loglevel && *first->loglevel == 0);
    CHECK(second->loglevel && *second->loglevel == 14);
    CHECK(fake->event("weft_every", "a_class") == nullptr);
    const weft_event *ten = fake->event("weft_every", "ten");
    CHECK(ten->loglevel && *ten->loglevel == 4);
    CHECK(ten->model_emf_uri && std::strcmp(*ten->model_emf_uri, "http://example.org/ten") == 0);
    CHECK(fake->event("weft_every", "integers")->loglevel == nullptr);
}

void formatted_text(const char *provider, std::initializer_list<const char *> texts) {
    auto wanted_text = texts.begin();
    for (uint32_t i = 0; i < fake->records(); i++) {
        const fake_record *r = fake->record(i);
        if (std::strcmp(r->event->provider, provider) != 0)
            continue;
        CHECK_EQUAL(std::string(r->payload), std::string(wanted_text == texts.end() ? "nothing more" : *wanted_text++));
    }
    CHECK(wanted_text == texts.end());
}

void tracef_and_tracelog_format() {
    formatted_text("lttng_ust_tracef", {"formatted 42 of tracef", "from a list: text x"});
    formatted_text("lttng_ust_tracelog", {"3 fields_program.c:1 emit_round error 7", "5 fields_program.c:1 print_events from a list: text x"});
}

void nothing_else_was_recorded() {
    CHECK_EQUAL(fake->events(), 15u);
    CHECK_EQUAL(fake->points(), 15u);
    CHECK_EQUAL(fake->records(), 30u + 4u);
    CHECK_EQUAL(fake->stages(), 1u); /* the string of 3000 bytes */
    CHECK_EQUAL(fake->staged(), 0u);
}

std::string judged(const char *name, uint32_t nth) {
    const char *text = fake->judged(name, nth);
    return text ? text : "not judged";
}

void emit_filtered(int mode) {
    char name[] = "fields_program", *arguments[] = {name, nullptr};
    fake->forget();
    fake->filter(mode);
    every_main(1, arguments);
    fake->filter(0);
}

void filters_see_every_field() {
    emit_filtered(2);
    CHECK_EQUAL(judged("nothing", 0), std::string());
    CHECK_EQUAL(judged("integers", 0), std::string("-128 255 -32768 65535 -2147483648 4294967295 -9223372036854775808 -1"));
    CHECK_EQUAL(judged("integers", 1), std::string("127 1 32767 2 2147483647 3 9223372036854775807 4"));
    CHECK_EQUAL(judged("hexadecimal", 0), "-128 255 -2147483648 -1 " + std::to_string(0x7f0012345678));
    CHECK_EQUAL(judged("network", 0), std::string("65535 -2147483648 4294967295 -1"));
    CHECK_EQUAL(judged("network", 1), std::string("2 2147483647 3 4"));
    CHECK_EQUAL(judged("floats", 0), std::string("1.5 -2.25"));
    CHECK_EQUAL(judged("floats", 1), std::string("-0 1e+300"));
    CHECK_EQUAL(judged("strings", 0), std::string("\"text with \"quotes\" and \\\" \"\" \"(null)\""));
    const std::string numbers = "[ 1 -2 2147483647 -2147483648 ] ", network = "[ 1 2 65535 ] [ 1 2 65535 ] ";
    CHECK_EQUAL(judged("arrays", 0), numbers + "[ 1 -2 ] " + network + "\"half\" [ 104 97 108 ]");
    CHECK_EQUAL(judged("arrays", 1), numbers + "[ 1 -2 ] " + network + "\"twelve bytes\" [ 116 119 101 ]");
    CHECK_EQUAL(judged("sequences", 0), "[ 1 -2 2147483647 ] [ 1 -2 2147483647 ] " + network + "\"half\"");
    CHECK_EQUAL(judged("sequences", 1), std::string("[ ] [ ] [ ] [ ] \"\""));
    CHECK_EQUAL(judged("enumerations", 0), std::string("0 0 -1"));
    CHECK_EQUAL(judged("enumerations", 3), std::string("15 15 99"));
    CHECK_EQUAL(judged("unwritten", 1),
                "2147483647 2147483647 1.5 \"unwritten\" " + numbers + numbers + network +
                    "\"twelve bytes\" [ 1 -2 ] [ 1 -2 ] [ 1 2 ] [ 1 2 ] \"tw\" 2147483647 2147483646");
    CHECK_EQUAL(judged("second", 0), std::string("2 \"another one\""));
    CHECK_EQUAL(fake->records(), 4u); /* tracef and tracelog, which the fake does not filter */
    CHECK_EQUAL(fake->stages(), 1u);
}

void values_that_nobody_wants_are_not_built() {
    emit_filtered(3);
    CHECK_EQUAL(judged("integers", 0), std::string());
    CHECK_EQUAL(judged("integers", 1), std::string());
    CHECK_EQUAL(judged("unwritten", 1), std::string());
    CHECK_EQUAL(fake->records(), 4u);
    CHECK_EQUAL(fake->stages(), 1u);
}

void what_a_filter_keeps_is_the_same() {
    std::string unfiltered;
    for (const int mode : {0, 1}) {
        std::string all;
        emit_filtered(mode);
        for (uint32_t i = 0; i < fake->records(); i++)
            all += hex(std::string(fake->record(i)->payload, fake->record(i)->length)) + "\n";
        if (mode == 0)
            unfiltered = all;
        CHECK_EQUAL(fake->records(), 30u + 4u);
        CHECK_EQUAL(all, unfiltered);
    }
    CHECK_EQUAL(fake->staged(), 0u);
}

}  // namespace

int main(int argc, char **argv) {
    void *library = dlopen(WEFT_LIBRARY_SONAME, RTLD_NOW);
    fake = library ? static_cast<const fake_weft *>(dlsym(library, "fake_weft")) : nullptr;
    if (!fake) {
        std::printf("not ok - the fake library is found\n");
        return 1;
    }
    char *no_arguments[] = {argv[0], nullptr};
    every_main(1, no_arguments);
    return weft_test::run_cases(
        {
            {"integers of all widths and signs lie packed", integers_are_packed},
            {"integers are described with width, sign, base and byte order", integers_are_described},
            {"network order stays as the program gave it", network_order_is_kept},
            {"floats lie as IEEE 754", floats_are_ieee},
            {"strings end with NUL, also a NULL pointer and one larger than the stack", strings_end_with_nul},
            {"arrays are copied; text behind a NUL is not", arrays_are_copied},
            {"sequences begin with their length in the provider's type", sequences_begin_with_their_length},
            {"enumerations have their container and their entries", enumerations_have_containers_and_entries},
            {"nowrite fields are described and not staged", unwritten_fields_are_described_only},
            {"instances share their class; log levels and model URIs arrive", classes_levels_and_uris},
            {"tracef and tracelog format only what is enabled", tracef_and_tracelog_format},
            {"each call makes one record and staging memory is given back", nothing_else_was_recorded},
            {"a filter gets the value of every field, and what it rejects is not staged", filters_see_every_field},
            {"who wants no values is asked without any", values_that_nobody_wants_are_not_built},
            {"what a filter keeps is recorded as without it", what_a_filter_keeps_is_the_same},
        },
        argc, argv);
}
