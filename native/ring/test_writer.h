/*
 * A writer for tests that follows layout.h by the letter, on one thread and without restartable sequences: records, switches,
 * losses. Its steps can be split, so a test may stand a reader between any two stores.
 */
#ifndef WEFT_RING_TEST_WRITER_H
#define WEFT_RING_TEST_WRITER_H

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "ring/layout.h"
#include "ring/shared.h"

namespace weft {

class TestWriter {
public:
    TestWriter(const weft_geometry &g, uint8_t *memory, const weft_reader_page *page, uint32_t cpu)
        : g_(g), header_(reinterpret_cast<weft_set_header *>(memory)), ring_(reinterpret_cast<weft_ring *>(memory + weft_control_offset(&g, cpu))),
          data_(memory + weft_data_offset(&g, cpu)), page_(page) {}

    weft_ring *ring() { return ring_; }
    uint8_t *data() { return data_; }
    uint64_t position() const { return load(&ring_->position) >> WEFT_POS_SHIFT; }
    uint64_t emitted() const { return emitted_; }

    /* Emits the next number as an event at `timestamp`, padded with `extra` bytes. False: lost, and counted. */
    bool emit(uint64_t timestamp, uint32_t extra = 0) {
        const uint32_t number = emitted_++;
        const uint64_t last = ring_->slot[load(&ring_->position) & WEFT_SLOT_MASK].last_timestamp;
        const bool compact = timestamp - last < (1u << WEFT_TIMESTAMP_BITS);
        const uint32_t length = (compact ? 4 : WEFT_HEADER_MAX) + 8 + extra;
        if (length + WEFT_TAIL_SLACK > g_.subbuf_size)
            return lose(WEFT_LOST_TOO_BIG);
        if (position() % g_.subbuf_size + length + WEFT_TAIL_SLACK > g_.subbuf_size) {
            if (!may_switch())
                return lose(WEFT_LOST_FULL);
            prepare_switch();
            commit_switch();
            wake_reader();
        }
        write_record(number, timestamp, compact, extra);
        commit_record(timestamp, length);
        if (load(&page_->attentive) != 0)
            ring_doorbell();
        return true;
    }
    bool lose(unsigned cause) {
        __atomic_fetch_add(&ring_->lost[cause], 1, __ATOMIC_RELAXED);
        return false;
    }
    bool may_switch() const {
        const uint64_t next = position() / g_.subbuf_size + 1;
        return g_.mode == WEFT_MODE_OVERWRITE || next < g_.subbuf_count ||
               load_acquire(&page_->consumed) / g_.subbuf_size > next - g_.subbuf_count;
    }
    void prepare_switch() {
        const uint64_t word = load(&ring_->position), sequence = position() / g_.subbuf_size;
        const weft_slot now = ring_->slot[word & WEFT_SLOT_MASK];
        weft_entry &entry = ring_->table[weft_entry_index(&g_, sequence)];
        weft_entry &next = ring_->table[weft_entry_index(&g_, sequence + 1)];
        store(&entry.end_timestamp, now.last_timestamp);
        store(&entry.end_offset, position() % g_.subbuf_size);
        store(&next.sequence, sequence + 1);
        store(&next.begin_timestamp, now.last_timestamp);
        store(&next.events_before, now.event_count);
        fill_idle(word, now);
    }
    void commit_switch() {
        const uint64_t word = load(&ring_->position), next = position() / g_.subbuf_size + 1;
        store_release(&ring_->position, ((next * g_.subbuf_size) << WEFT_POS_SHIFT) | (~word & WEFT_SLOT_MASK));
        fence();
    }

    void wake_reader() {
        if (load(&page_->sleeping) != 0)
            ring_doorbell();
    }

private:
    void ring_doorbell() {
        __atomic_fetch_add(&header_->doorbell, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &header_->doorbell, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }
    void fill_idle(uint64_t word, weft_slot value) {
        weft_slot &idle = ring_->slot[~word & WEFT_SLOT_MASK];
        store(&idle.last_timestamp, value.last_timestamp);
        store(&idle.event_count, value.event_count);
    }
    void write_record(uint32_t number, uint64_t timestamp, bool compact, uint32_t extra) {
        uint8_t *to = data_ + (position() & (weft_data_bytes(&g_) - 1));
        const uint32_t word = static_cast<uint32_t>(timestamp & WEFT_TIMESTAMP_MASK) << WEFT_ID_BITS;
        if (compact) {
            std::memcpy(to, &word, 4);
            to += 4;
        } else {
            const uint32_t id = 0;
            *to = WEFT_ID_EXTENDED;
            std::memcpy(to + 1, &id, 4);
            std::memcpy(to + 5, &timestamp, 8);
            to += WEFT_HEADER_MAX;
        }
        std::memcpy(to, &number, 4);
        std::memcpy(to + 4, &extra, 4);
        std::memset(to + 8, 'x', extra);
    }
    void commit_record(uint64_t timestamp, uint32_t length) {
        const uint64_t word = load(&ring_->position);
        fill_idle(word, {timestamp, ring_->slot[word & WEFT_SLOT_MASK].event_count + 1});
        store_release(&ring_->position, ((position() + length) << WEFT_POS_SHIFT) | (~word & WEFT_SLOT_MASK));
    }

    const weft_geometry g_;
    weft_set_header *const header_;
    weft_ring *const ring_;
    uint8_t *const data_;
    const weft_reader_page *const page_;
    uint32_t emitted_ = 0;
};

}  // namespace weft

#endif
