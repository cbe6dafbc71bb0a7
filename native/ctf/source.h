/*
 * The records of one stream file, one after the other. The file is read in slices, not mapped: one that is cut while it is read is an
 * error like any other. Open only between its first record and its last.
 */
#ifndef WEFT_CTF_SOURCE_H
#define WEFT_CTF_SOURCE_H

#include <memory>
#include <string>
#include <vector>

#include "ctf/outs.h"
#include "ctf/table.h"

namespace weft::ctf {

/* What a packet says of itself. */
struct PacketFacts {
    uint64_t stream_id = 0, stream_instance = 0;
    bool has_sequence = false, has_discarded = false, has_cpu = false;
    uint64_t sequence = 0, discarded = 0, cpu = 0;
    int64_t begin = INT64_MIN, end = INT64_MAX; /* ns; as they are when unknown */
};

enum class Step : uint8_t {
    packet, /* another packet begins */
    record, /* another record is there to be walked */
    end,    /* of what the file holds now */
    fault,
};

class Source {
public:
    Source(const Table &table, std::string path, bool grows) : table_(table), path_(std::move(path)), grows_(grows) {}
    ~Source() { close(); }
    Source(const Source &) = delete;

    const Table &table() const { return table_; }
    const std::string &path() const { return path_; }
    const PacketFacts &packet() const { return facts_; }
    const StreamClass &stream() const { return *stream_; }
    const EventClass &event() const { return *event_; }
    int64_t time() const { return time_; }   /* ns since 1970 */
    uint64_t ticks() const { return clock_; } /* of the stream's clock */
    /* After a fault: what and where. */
    const std::string &fault() const { return fault_; }
    uint64_t fault_at() const { return fault_at_; }
    bool opened() const { return fd_ >= 0; }

    /* Opens the file and its first packet; a file without one is at its end. */
    Step open();
    void close();
    /* The next record's header, or the next packet. A record that was not walked is passed over. */
    Step next();
    /* Passes over what is left of the packet. */
    void skip_packet() { pos_ = content_; }
    /* After `end`: whether the file has more by now. One that was emptied begins anew. */
    bool grown();
    /* Where the packet begins that is the next one after `end`. */
    uint64_t packet_at() const { return packet_at_; }
    uint64_t bytes_behind() const { return size_ - packet_at_; }
    /* Before open(): the first packet that is looked at. */
    void begin_at(uint64_t offset) { packet_at_ = offset; }

    /* Walks the record that next() found: its contexts and fields. */
    template <typename Show>
    bool walk(Show show) {
        for (;;) {
            Cursor cursor = from(body_);
            Walk walk(table_, &cursor, slots_.data());
            if (show(&walk)) {
                pos_ = window_ + cursor.pos;
                walked_ = true;
                return check_progress();
            }
            if (!again(walk.stop(), body_))
                return false;
        }
    }

    /* The packet's context, as the stream class lays it out; `begin` is called before each try. */
    template <typename Out, typename Begin>
    bool walk_packet_context(Out *out, Begin begin) {
        for (;;) {
            begin();
            Cursor cursor = from(context_at_);
            Walk walk(table_, &cursor, slots_.data());
            if (walk.root(stream_->packet_context, out))
                return true;
            if (!again(walk.stop(), context_at_))
                return false;
        }
    }

private:
    Step open_packet();
    bool check_packet(const Roles &header, const Roles &context, uint64_t left);
    bool header_of_packet(Roles *roles);
    bool context_of_packet(Roles *roles);
    void take_time(const Roles &roles);
    bool skip_record();
    bool check_progress();
    Cursor from(uint64_t bit) const;
    /* Makes more of the packet readable from `bit` on; false, with a fault, when there is no more. */
    bool again(Stop stop, uint64_t bit);
    bool read(uint64_t from_bit, uint64_t bytes);
    bool failed(std::string what, uint64_t bit);
    bool failed_reading(int error);

    const Table &table_;
    const std::string path_;
    const bool grows_;
    int fd_ = -1;
    uint64_t size_ = 0;      /* of the file */
    uint64_t packet_at_ = 0; /* bytes */
    uint64_t packet_ = 0, content_ = 0; /* bits */
    std::vector<uint8_t> bytes_;
    uint64_t window_ = 0, window_end_ = 0; /* bits within the packet */
    uint64_t context_at_ = 0;              /* where the packet's context begins */
    uint64_t pos_ = 0, record_at_ = 0, body_ = 0; /* record_at_: where the last record begins, body_: what is behind its header */
    bool walked_ = true, in_packet_ = false;
    bool cut_ = false; /* the file ended too early for its packet */
    const StreamClass *stream_ = nullptr;
    const EventClass *event_ = nullptr;
    uint64_t clock_ = 0;
    int64_t time_ = 0;
    PacketFacts facts_;
    Roles header_;
    std::vector<uint64_t> slots_;
    std::string fault_;
    uint64_t fault_at_ = 0;
};

}  // namespace weft::ctf

#endif
