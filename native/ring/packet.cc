#include "ring/packet.h"

#include <cstring>

namespace weft {

namespace {

template <typename T>
uint8_t *put_little(uint8_t *out, T value) {
    for (size_t i = 0; i < sizeof(T); i++)
        out[i] = static_cast<uint8_t>(value >> (8 * i));
    return out + sizeof(T);
}

template <typename T>
uint8_t *put_big(uint8_t *out, T value) {
    for (size_t i = 0; i < sizeof(T); i++)
        out[i] = static_cast<uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
    return out + sizeof(T);
}

uint64_t packet_bits(const StreamIdentity &stream, const Packet &packet) {
    return (packet_header_bytes(stream.names_cpu) + packet.bytes) * 8;
}

}  // namespace

void encode_stream_head(const StreamIdentity &stream, uint8_t *out) {
    out = put_little<uint32_t>(out, 0xC1FC1FC1u);
    std::memcpy(out, stream.uuid, sizeof stream.uuid);
    out += sizeof stream.uuid;
    out = put_little<uint32_t>(out, stream.stream_class_id);
    put_little<uint64_t>(out, stream.stream_instance_id);
}

void encode_packet_header(const StreamIdentity &stream, const Packet &packet, uint8_t *out) {
    encode_stream_head(stream, out);
    out += kStreamHeadBytes;
    out = put_little<uint64_t>(out, packet.begin);
    out = put_little<uint64_t>(out, packet.end);
    out = put_little<uint64_t>(out, packet_bits(stream, packet)); /* content size */
    out = put_little<uint64_t>(out, packet_bits(stream, packet)); /* packet size: no padding */
    out = put_little<uint64_t>(out, packet.sequence);
    out = put_little<uint64_t>(out, packet.discarded);
    if (stream.names_cpu)
        put_little<uint32_t>(out, stream.cpu);
}

void encode_index_header(uint8_t *out) {
    out = put_big<uint32_t>(out, 0xC1F1DCC1u);
    out = put_big<uint32_t>(out, 1);
    out = put_big<uint32_t>(out, 1);
    put_big<uint32_t>(out, kIndexEntryBytes);
}

void encode_index_entry(const StreamIdentity &stream, const Packet &packet, uint64_t file_offset, uint8_t *out) {
    out = put_big<uint64_t>(out, file_offset);
    out = put_big<uint64_t>(out, packet_bits(stream, packet));
    out = put_big<uint64_t>(out, packet_bits(stream, packet));
    out = put_big<uint64_t>(out, packet.begin);
    out = put_big<uint64_t>(out, packet.end);
    out = put_big<uint64_t>(out, packet.discarded);
    out = put_big<uint64_t>(out, stream.stream_class_id);
    out = put_big<uint64_t>(out, stream.stream_instance_id);
    put_big<uint64_t>(out, packet.sequence);
}

}  // namespace weft
