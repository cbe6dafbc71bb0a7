/* Why a ring was closed: which check its memory failed. The names are part of news, logs and tests. */
#ifndef WEFT_RING_CAUSE_H
#define WEFT_RING_CAUSE_H

#include <cstdint>

namespace weft {

enum class Cause : uint8_t {
    kNone,
    kReservedBit,         /* position word: a bit that no writer sets */
    kNotReady,            /* bytes in a ring that the daemon has not allocated */
    kPositionBackwards,   /* behind what was consumed or seen before */
    kPositionTooFar,      /* discard mode: further ahead than a ring is long */
    kPositionUnsettled,   /* never still long enough to read the slot it selects */
    kEntrySequence,       /* table entry of another sub-buffer than the one asked for */
    kEntryEndBeyond,      /* sub-buffer's end outside the sub-buffer */
    kEntryEndBackwards,   /* sub-buffer's end before bytes that were already consumed */
    kTimestampBackwards,  /* an end before its begin */
    kTimestampMismatch,   /* a begin that is not the end of what lies before */
    kTimestampFuture,     /* more than a year after now */
    kEventCountBackwards, /* fewer events than were already consumed */
    kEventCountMismatch,  /* a sub-buffer that does not continue the count of the one before */
    kEventCountTooBig,    /* more events than the bytes can hold, or bytes without event */
    kLossBackwards,       /* fewer lost events than were already reported */
    kLossTooBig,          /* a sum of losses beyond 64 bits */
    kReaderState,         /* the reader page does not describe a reader of this ring */
};

inline const char *cause_name(Cause cause) {
    switch (cause) {
    case Cause::kNone: return "none";
    case Cause::kReservedBit: return "reserved-bit";
    case Cause::kNotReady: return "not-ready";
    case Cause::kPositionBackwards: return "position-backwards";
    case Cause::kPositionTooFar: return "position-too-far";
    case Cause::kPositionUnsettled: return "position-unsettled";
    case Cause::kEntrySequence: return "entry-sequence";
    case Cause::kEntryEndBeyond: return "entry-end-beyond";
    case Cause::kEntryEndBackwards: return "entry-end-backwards";
    case Cause::kTimestampBackwards: return "timestamp-backwards";
    case Cause::kTimestampMismatch: return "timestamp-mismatch";
    case Cause::kTimestampFuture: return "timestamp-future";
    case Cause::kEventCountBackwards: return "event-count-backwards";
    case Cause::kEventCountMismatch: return "event-count-mismatch";
    case Cause::kEventCountTooBig: return "event-count-too-big";
    case Cause::kLossBackwards: return "loss-backwards";
    case Cause::kLossTooBig: return "loss-too-big";
    case Cause::kReaderState: return "reader-state";
    }
    return "unknown";
}

}  // namespace weft

#endif
