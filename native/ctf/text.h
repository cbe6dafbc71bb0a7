/* Text that is made fast: digits, times, escapes. */
#ifndef WEFT_CTF_TEXT_H
#define WEFT_CTF_TEXT_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace weft::ctf {

/* Grows as needed; what was cut off again was never there. */
class Text {
public:
    explicit Text(size_t room = 4096) : bytes_(room) {}

    const char *data() const { return bytes_.data(); }
    size_t size() const { return size_; }
    std::string_view view() const { return {bytes_.data(), size_}; }
    void cut(size_t size) { size_ = size; }

    void put(char c) { *room(1) = c, size_++; }
    void put(std::string_view text) {
        memcpy(room(text.size()), text.data(), text.size());
        size_ += text.size();
    }
    void decimal(uint64_t value);
    void signed_decimal(int64_t value);
    /* With leading zeros. */
    void digits(uint64_t value, unsigned count);
    /* `0xFF`, `0377`, `0b101`: a signed value as its bits, rounded up to whole digits. */
    void based(uint64_t value, unsigned base, unsigned bits, bool is_signed);
    /* As %g prints it. */
    void real(double value);
    /* The fewest digits that name it. */
    template <typename T>
    void shortest(T value);
    /* In quotes, with C's escapes; bytes beyond ASCII as they are. */
    void quoted(const char *bytes, size_t length);
    /* JSON's: what is no UTF-8 becomes U+FFFD. */
    void json_quoted(const char *bytes, size_t length);

private:
    char *room(size_t more) {
        if (size_ + more > bytes_.size())
            bytes_.resize((size_ + more) * 2);
        return bytes_.data() + size_;
    }

    std::vector<char> bytes_;
    size_t size_ = 0;
};

/* With quotes. */
std::string json_text(const std::string &text);

}  // namespace weft::ctf

#endif
