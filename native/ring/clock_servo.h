/*
 * How the clock page's line follows the kernel's clock. Pure arithmetic on samples, so that it can be tested without a clock.
 *
 * A line is (base_tsc, base_ns, mult). correct() makes the next one: it begins where the old one is at `begin_ticks` (a moment just
 * ahead, so that nobody has read the old line beyond it) and its slope is the slope measured between the last two samples, bent
 * so that the error is gone when the next correction is due. Only a line that is behind may jump, forwards.
 */
#ifndef WEFT_RING_CLOCK_SERVO_H
#define WEFT_RING_CLOCK_SERVO_H

#include "ring/layout.h"

namespace weft {

struct ClockSample {
    uint64_t ticks;
    uint64_t ns;
};

/* Nanoseconds of `line` at `ticks`, as readers compute them. */
uint64_t clock_line(const weft_clock_parameters &line, uint64_t ticks);

class ClockServo {
public:
    static constexpr uint64_t kIntervalMin = 16000000, kIntervalMax = 500000000;

    /* From two samples some milliseconds apart; readers see the line from `second` on. */
    void start(const ClockSample &first, const ClockSample &second);
    /* Goes on with a dead daemon's line. False: it belongs to another boot, start anew. */
    bool take_over(const weft_clock_parameters &line, const ClockSample &first, const ClockSample &second);
    /* The line that follows, from `begin_ticks` (later than sample.ticks) on. */
    void correct(const ClockSample &sample, uint64_t begin_ticks);

    const weft_clock_parameters &line() const { return line_; }
    uint64_t ticks_of(uint64_t ns) const;
    uint64_t interval_ns() const { return interval_; } /* until the next correction */
    int64_t error_ns() const { return error_; }        /* line minus kernel, at the last correction */

private:
    void anchor(const ClockSample &sample, uint64_t begin_ticks);

    weft_clock_parameters line_{};
    ClockSample last_{};
    uint64_t interval_ = kIntervalMin;
    int64_t error_ = 0;
};

}  // namespace weft

#endif
