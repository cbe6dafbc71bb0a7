#include "ctf/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace weft::ctf {

namespace {

constexpr uint64_t kMagic = 0xc1fc1fc1;
constexpr uint64_t kFirstRead = 4096;    /* bytes: enough for the headers of a packet */
constexpr uint64_t kSlice = 256 * 1024;
/* Bits of a packet that can be counted without overflow. */
constexpr uint64_t kPacketMax = uint64_t{1} << 60;

const char *reason(Stop stop) {
    switch (stop) {
    case Stop::no_option:
        return "no option of a variant has its tag";
    case Stop::too_much:
        return "a row of too many empty elements";
    default:
        return "a record ends behind its packet's content";
    }
}

}  // namespace

void Source::close() {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
    std::vector<uint8_t>().swap(bytes_);
}

bool Source::failed(std::string what, uint64_t bit) {
    fault_ = std::move(what);
    fault_at_ = packet_at_ + bit / 8;
    return false;
}

bool Source::failed_reading(int error) {
    return failed(std::string("cannot be read: ") + strerror(error), 0);
}

Step Source::open() {
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    if (fd_ < 0 || fstat(fd_, &status) != 0) {
        failed_reading(errno);
        return Step::fault;
    }
    if (!S_ISREG(status.st_mode)) {
        failed("is no regular file", 0);
        return Step::fault;
    }
    size_ = static_cast<uint64_t>(status.st_size);
    slots_.assign(table_.slots, 0);
    return open_packet();
}

bool Source::grown() {
    struct stat status;
    if (fd_ < 0 || fstat(fd_, &status) != 0)
        return false;
    const uint64_t before = size_;
    size_ = static_cast<uint64_t>(status.st_size);
    if (size_ < packet_at_)
        packet_at_ = 0;
    return size_ != before;
}

bool Source::read(uint64_t from_bit, uint64_t bytes) {
    const uint64_t start = from_bit / kAlignMax * kAlignMax;
    const uint64_t left = packet_at_ + start / 8 < size_ ? size_ - packet_at_ - start / 8 : 0;
    const uint64_t wanted = std::min({bytes, left, (std::max(packet_, start) - start + 7) / 8});
    if (bytes_.size() < wanted + kSlack)
        bytes_.resize(wanted + kSlack);
    uint64_t got = 0;
    while (got < wanted) {
        const ssize_t n = pread(fd_, bytes_.data() + got, wanted - got, static_cast<off_t>(packet_at_ + start / 8 + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed_reading(errno);
        if (n == 0)
            break; /* cut since it was opened */
        got += static_cast<uint64_t>(n);
    }
    window_ = start;
    window_end_ = start + got * 8;
    return true;
}

Cursor Source::from(uint64_t bit) const {
    Cursor cursor;
    cursor.bytes = bytes_.data();
    cursor.pos = bit - window_;
    cursor.limit = std::min(window_end_, content_) - window_;
    return cursor;
}

bool Source::again(Stop stop, uint64_t bit) {
    const uint64_t had = window_end_, start = bit / kAlignMax * kAlignMax;
    if (stop != Stop::short_of_bytes || had >= content_) {
        cut_ = stop == Stop::short_of_bytes;
        return failed(reason(stop), bit);
    }
    if (!read(bit, std::max(kSlice, (had - start) / 8 * 2)))
        return false;
    /* A file that is shorter than it was has nothing more to give. */
    return window_end_ > had || failed("the file ends within a packet", bit);
}

bool Source::header_of_packet(Roles *roles) {
    for (;;) {
        Cursor cursor = from(0);
        Walk walk(table_, &cursor, slots_.data());
        if (walk.root(table_.packet_header, roles)) {
            context_at_ = cursor.pos;
            break;
        }
        if (!again(walk.stop(), 0))
            return false;
    }
    if (roles->has(Role::magic) && (*roles)[Role::magic] != kMagic)
        return failed("no packet begins here", 0);
    if (roles->uuid() != nullptr && !table_.uuid.empty() && memcmp(roles->uuid(), table_.uuid.data(), 16) != 0)
        return failed("the packet is of another trace", 0);
    const uint64_t id = roles->get(Role::stream_id, table_.streams.size() == 1 ? table_.streams[0].id : 0);
    stream_ = table_.stream(id);
    return stream_ != nullptr || failed("the metadata has no stream " + std::to_string(id), 0);
}

bool Source::context_of_packet(Roles *roles) {
    for (;;) {
        Cursor cursor = from(context_at_);
        Walk walk(table_, &cursor, slots_.data());
        if (walk.root(stream_->packet_context, roles)) {
            pos_ = window_ + cursor.pos;
            return true;
        }
        if (!again(walk.stop(), context_at_))
            return false;
    }
}

bool Source::check_packet(const Roles &header, const Roles &context, uint64_t left) {
    packet_ = context.get(Role::packet_size, context.get(Role::content_size, left));
    content_ = context.get(Role::content_size, packet_);
    if (content_ > packet_ || packet_ == 0 || packet_ % 8 != 0 || content_ < pos_)
        return failed(std::to_string(content_) + " bits of content in a packet of " + std::to_string(packet_), 0);
    if (packet_ > left) {
        cut_ = true;
        return failed("the packet has " + std::to_string(packet_ / 8) + " bytes, but the file ends after " + std::to_string(left / 8), 0);
    }
    window_end_ = std::min(window_end_, packet_);
    facts_ = PacketFacts{};
    facts_.stream_id = stream_->id;
    facts_.stream_instance = header.get(Role::stream_instance, 0);
    facts_.has_sequence = context.has(Role::sequence);
    facts_.sequence = context.get(Role::sequence, 0);
    facts_.has_discarded = context.has(Role::discarded);
    facts_.discarded = context.get(Role::discarded, 0);
    facts_.has_cpu = context.has(Role::cpu);
    facts_.cpu = context.get(Role::cpu, 0);
    clock_ = context.get(Role::begin, 0);
    if (context.has(Role::begin))
        facts_.begin = stream_->nanoseconds(clock_);
    if (context.has(Role::end))
        facts_.end = stream_->nanoseconds(context[Role::end]);
    return true;
}

Step Source::open_packet() {
    in_packet_ = cut_ = false;
    if (packet_at_ >= size_)
        return Step::end;
    const uint64_t left = std::min((size_ - packet_at_) * 8, kPacketMax);
    packet_ = content_ = left;
    window_ = window_end_ = 0;
    Roles header, context;
    if (!read(0, kFirstRead) || !header_of_packet(&header) || !context_of_packet(&context) || !check_packet(header, context, left)) {
        if (!grows_ || !cut_)
            return Step::fault;
        fault_.clear(); /* the rest is still to be written */
        return Step::end;
    }
    in_packet_ = walked_ = true;
    return Step::packet;
}

bool Source::skip_record() {
    NoOut none;
    return walk([&](Walk *walk) {
        return walk->root(stream_->event_context, &none) && walk->root(event_->context, &none) && walk->root(event_->fields, &none);
    });
}

bool Source::check_progress() {
    return pos_ > body_ || body_ > record_at_ || failed("a record without a byte", pos_);
}

void Source::take_time(const Roles &roles) {
    if (roles.has(Role::timestamp)) {
        const uint64_t value = roles[Role::timestamp];
        if (roles.timestamp_bits() >= 64) {
            clock_ = value;
        } else {
            const uint64_t mask = (uint64_t{1} << roles.timestamp_bits()) - 1, low = value & mask;
            clock_ = (clock_ & ~mask) + low + (low < (clock_ & mask) ? mask + 1 : 0);
        }
    }
    time_ = stream_->nanoseconds(clock_);
}

Step Source::next() {
    if (!in_packet_)
        return open_packet();
    if (!walked_ && !skip_record())
        return Step::fault;
    if (pos_ >= content_) {
        packet_at_ += packet_ / 8;
        return open_packet();
    }
    record_at_ = pos_;
    for (;;) {
        Cursor cursor = from(record_at_);
        Walk walk(table_, &cursor, slots_.data());
        header_.forget();
        if (walk.root(stream_->event_header, &header_)) {
            body_ = window_ + cursor.pos;
            break;
        }
        if (!again(walk.stop(), record_at_))
            return Step::fault;
    }
    take_time(header_);
    const uint64_t id = header_.get(Role::event_id, 0);
    event_ = stream_->event(id);
    if (event_ == nullptr) {
        failed("the metadata has no event " + std::to_string(id) + " of stream " + std::to_string(stream_->id), record_at_);
        return Step::fault;
    }
    walked_ = false;
    return Step::record;
}

}  // namespace weft::ctf
