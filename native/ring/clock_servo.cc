#include "ring/clock_servo.h"

#include <algorithm>
#include <cstdlib>

namespace weft {

namespace {

constexpr int64_t kJumpNs = 1000;           /* a line further behind than this jumps instead of catching up */
constexpr int64_t kLostNs = 1000000000;     /* a line this far off is no line of this clock: reboot, suspend, migration */
constexpr int64_t kCalmNs = 200, kWildNs = 500;
constexpr double kBendMax = 0.1;            /* the slope never changes by more, so time always goes on */
constexpr double kOne = 4294967296.0;       /* mult of one ns per tick */

double slope(const ClockSample &from, const ClockSample &to) {
    return static_cast<double>(to.ns - from.ns) / static_cast<double>(to.ticks - from.ticks);
}

uint64_t mult_of(double ns_per_tick) { return static_cast<uint64_t>(ns_per_tick * kOne + 0.5); }

}  // namespace

uint64_t clock_line(const weft_clock_parameters &line, uint64_t ticks) {
    if (ticks < line.base_tsc)
        return line.base_ns;
    return line.base_ns + static_cast<uint64_t>((static_cast<unsigned __int128>(ticks - line.base_tsc) * line.mult) >> 32);
}

void ClockServo::start(const ClockSample &first, const ClockSample &second) {
    line_ = {second.ticks, second.ns, mult_of(slope(first, second)), 0};
    last_ = second;
    interval_ = kIntervalMin;
    error_ = 0;
}

bool ClockServo::take_over(const weft_clock_parameters &line, const ClockSample &first, const ClockSample &second) {
    if (line.base_tsc > second.ticks || line.mult == 0)
        return false;
    if (std::llabs(static_cast<int64_t>(clock_line(line, second.ticks) - second.ns)) > kLostNs)
        return false;
    line_ = line;
    last_ = first;
    interval_ = kIntervalMin;
    return true;
}

/* The counter began anew or stood still (suspend, migration): the old slope, on the kernel's time. */
void ClockServo::anchor(const ClockSample &sample, uint64_t begin_ticks) {
    last_ = sample;
    line_.base_tsc = begin_ticks;
    line_.base_ns = sample.ns;
    interval_ = kIntervalMin;
    error_ = 0;
}

void ClockServo::correct(const ClockSample &sample, uint64_t begin_ticks) {
    if (sample.ticks <= last_.ticks || sample.ns <= last_.ns)
        return anchor(sample, begin_ticks);
    const double measured = slope(last_, sample);
    error_ = static_cast<int64_t>(clock_line(line_, sample.ticks) - sample.ns);
    last_ = sample;
    const int64_t size = std::llabs(error_);
    if (size < kCalmNs)
        interval_ = std::min(interval_ * 2, kIntervalMax);
    else if (size > kWildNs)
        interval_ = std::max(interval_ / 4, kIntervalMin);
    const uint64_t ahead = static_cast<uint64_t>(measured * static_cast<double>(begin_ticks - sample.ticks));
    uint64_t begin_ns = clock_line(line_, begin_ticks);
    double bend = 0;
    if (error_ < -kJumpNs || error_ > kLostNs)
        begin_ns = sample.ns + ahead;
    else
        bend = static_cast<double>(error_) / static_cast<double>(interval_);
    line_ = {begin_ticks, begin_ns, mult_of(measured * (1 - std::clamp(bend, -kBendMax, kBendMax))), 0};
}

uint64_t ClockServo::ticks_of(uint64_t ns) const {
    return static_cast<uint64_t>(static_cast<double>(ns) * kOne / static_cast<double>(line_.mult));
}

}  // namespace weft
