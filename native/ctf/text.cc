#include "ctf/text.h"

#include <array>
#include <charconv>
#include <cmath>

namespace weft::ctf {

namespace {

struct Pairs {
    char of[200];
    constexpr Pairs() : of() {
        for (int i = 0; i < 100; i++) {
            of[2 * i] = static_cast<char>('0' + i / 10);
            of[2 * i + 1] = static_cast<char>('0' + i % 10);
        }
    }
};
constexpr Pairs kPairs;

/* What stands behind the backslash; 0: nothing does; 1: two hexadecimal digits. */
struct Escapes {
    char of[256];
    constexpr Escapes() : of() {
        for (int c = 1; c < 32; c++)
            of[c] = 1;
        of[127] = 1;
        of['\a'] = 'a', of['\b'] = 'b', of['\t'] = 't', of['\n'] = 'n', of['\v'] = 'v', of['\f'] = 'f', of['\r'] = 'r';
        of[27] = 'e', of['"'] = '"', of['\\'] = '\\', of['\''] = '\'', of['?'] = '?';
    }
};
constexpr Escapes kEscapes;

struct JsonEscapes {
    char of[256];
    constexpr JsonEscapes() : of() {
        for (int c = 0; c < 32; c++)
            of[c] = 1;
        for (int c = 128; c < 256; c++)
            of[c] = 2; /* to be looked at */
        of['\b'] = 'b', of['\t'] = 't', of['\n'] = 'n', of['\f'] = 'f', of['\r'] = 'r', of['"'] = '"', of['\\'] = '\\';
    }
};
constexpr JsonEscapes kJsonEscapes;
constexpr char kHex[] = "0123456789abcdef";

/* Bytes of the character that begins here; 0: none does. */
size_t utf8_length(const unsigned char *p, size_t left) {
    const unsigned char c = p[0];
    const size_t length = c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    const bool bad = (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : length;
}

}  // namespace

void Text::decimal(uint64_t value) {
    char own[20], *at = own + sizeof(own);
    while (value >= 100) {
        at -= 2;
        memcpy(at, kPairs.of + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(at, kPairs.of + 2 * value, 2);
    } else {
        *--at = static_cast<char>('0' + value);
    }
    put({at, static_cast<size_t>(own + sizeof(own) - at)});
}

void Text::signed_decimal(int64_t value) {
    if (value < 0)
        put('-');
    decimal(value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
}

void Text::digits(uint64_t value, unsigned count) {
    char own[24];
    unsigned at = count;
    while (at >= 2) {
        at -= 2;
        memcpy(own + at, kPairs.of + 2 * (value % 100), 2);
        value /= 100;
    }
    if (at == 1)
        own[0] = static_cast<char>('0' + value % 10);
    put({own, count});
}

void Text::based(uint64_t value, unsigned base, unsigned bits, bool is_signed) {
    const unsigned step = base == 16 ? 4 : base == 8 ? 3 : 1;
    if (is_signed) {
        const unsigned whole = (bits + step - 1) / step * step;
        if (whole < 64)
            value &= (uint64_t{1} << whole) - 1;
    }
    if (base == 2) { /* with its zeros */
        put("0b");
        for (unsigned i = bits; i-- > 0;)
            put(static_cast<char>('0' + (value >> i & 1)));
        return;
    }
    char own[24], *at = own + sizeof(own);
    do {
        *--at = "0123456789ABCDEF"[value & (base - 1)];
        value >>= step;
    } while (value != 0);
    put(base == 16 ? "0x" : "0");
    put({at, static_cast<size_t>(own + sizeof(own) - at)});
}

void Text::real(double value) {
    char own[40];
    const std::to_chars_result made = std::to_chars(own, own + sizeof(own), value, std::chars_format::general, 6);
    put({own, static_cast<size_t>(made.ptr - own)});
}

template <typename T>
void Text::shortest(T value) {
    char own[40];
    const std::to_chars_result made = std::to_chars(own, own + sizeof(own), value);
    put({own, static_cast<size_t>(made.ptr - own)});
}
template void Text::shortest(float);
template void Text::shortest(double);

void Text::quoted(const char *bytes, size_t length) {
    put('"');
    size_t from = 0;
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = static_cast<unsigned char>(bytes[i]);
        const char escape = kEscapes.of[c];
        if (escape == 0)
            continue;
        put({bytes + from, i - from});
        from = i + 1;
        put('\\');
        if (escape == 1) {
            put('x');
            put(kHex[c >> 4]);
            put(kHex[c & 15]);
        } else {
            put(escape);
        }
    }
    put({bytes + from, length - from});
    put('"');
}

void Text::json_quoted(const char *bytes, size_t length) {
    put('"');
    size_t from = 0;
    for (size_t i = 0; i < length;) {
        const unsigned char c = static_cast<unsigned char>(bytes[i]);
        const char escape = kJsonEscapes.of[c];
        const size_t character = escape == 2 ? utf8_length(reinterpret_cast<const unsigned char *>(bytes) + i, length - i) : 1;
        if (escape == 0 || (escape == 2 && character > 0)) {
            i += character;
            continue;
        }
        put({bytes + from, i - from});
        from = ++i;
        if (escape == 2) {
            put("\xef\xbf\xbd");
        } else if (escape == 1) {
            put("\\u00");
            put(kHex[c >> 4]);
            put(kHex[c & 15]);
        } else {
            put('\\');
            put(escape);
        }
    }
    put({bytes + from, length - from});
    put('"');
}

std::string json_text(const std::string &text) {
    Text made(text.size() + 16);
    made.json_quoted(text.data(), text.size());
    return std::string(made.view());
}

}  // namespace weft::ctf
