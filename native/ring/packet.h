/* What the reader writes around the ring's bytes: CTF packet header and context (little-endian), index entry (big-endian). */
#ifndef WEFT_RING_PACKET_H
#define WEFT_RING_PACKET_H

#include <cstddef>
#include <cstdint>

namespace weft {

/* Who a stream is, the same in each of its packets. */
struct StreamIdentity {
    uint8_t uuid[16];
    uint32_t stream_class_id;
    uint64_t stream_instance_id;
    uint32_t cpu;
    bool names_cpu = true; /* false: one ring for all CPUs, whose packet context has no cpu_id */
};

struct Packet {
    uint64_t begin;     /* ns; base for unfolding the first truncated timestamp */
    uint64_t end;       /* ns; of the last event */
    uint64_t sequence;  /* packet_seq_num */
    uint64_t discarded; /* events_discarded, cumulative */
    uint64_t events;
    uint64_t position;  /* where its bytes begin in the ring */
    uint64_t bytes;     /* of the ring */
};

constexpr size_t kPacketHeaderBytes = 32 + 52; /* at most */
constexpr size_t kCpuIdBytes = 4;
inline size_t packet_header_bytes(bool names_cpu) { return kPacketHeaderBytes - (names_cpu ? 0 : kCpuIdBytes); }
constexpr size_t kIndexHeaderBytes = 16;
constexpr size_t kIndexEntryBytes = 72;

/* The first bytes of each packet of a stream: they say whose it is. */
constexpr size_t kStreamHeadBytes = 32;
void encode_stream_head(const StreamIdentity &stream, uint8_t *out);
/* packet_header_bytes() of them. */
void encode_packet_header(const StreamIdentity &stream, const Packet &packet, uint8_t *out);
void encode_index_header(uint8_t *out);
void encode_index_entry(const StreamIdentity &stream, const Packet &packet, uint64_t file_offset, uint8_t *out);

}  // namespace weft

#endif
