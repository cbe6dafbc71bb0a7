/* The clock page: less than a microsecond off, never backwards, also across the death of a daemon. */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ring/clock_page.h"
#include "ring/shared.h"
#include "ring/test_cases.h"
#include "ust/clock.h"

using namespace weft;
using namespace weft_test;

namespace {

/* ---- the servo on a simulated clock ---- */

/* 2.6 GHz counter; a kernel clock that runs at a rate somebody keeps changing; samples with some noise. */
class Simulated {
public:
    ClockSample sample() {
        noise_ = noise_ * 6364136223846793005ull + 1442695040888963407ull;
        return {ticks_, static_cast<uint64_t>(ns_) + (noise_ >> 33) % 40};
    }
    void pass(uint64_t ns) {
        ticks_ += static_cast<uint64_t>(static_cast<double>(ns) * 2.6);
        ns_ += static_cast<double>(ns) * (1 + rate_);
    }
    void set_rate(double rate) { rate_ = rate; }
    void suspend(uint64_t ticks_after, uint64_t ns) {
        ticks_ = ticks_after;
        ns_ += static_cast<double>(ns);
    }
    uint64_t ticks() const { return ticks_; }
    double ns() const { return ns_; }

private:
    uint64_t ticks_ = 1000000000, noise_ = 1;
    double ns_ = 5e9, rate_ = 0;
};

ClockServo started(Simulated &clock) {
    const ClockSample first = clock.sample();
    clock.pass(10000000);
    ClockServo servo;
    servo.start(first, clock.sample());
    return servo;
}

/* Runs `corrections`, each followed by readings all over its interval. Returns the worst error after the first few. */
double run(Simulated &clock, ClockServo &servo, int corrections, int settle) {
    double worst = 0;
    uint64_t last = 0;
    for (int i = 0; i < corrections; i++) {
        const uint64_t interval = servo.interval_ns();
        for (int part = 0; part < 10; part++) {
            clock.pass(interval / 10);
            const uint64_t read = clock_line(servo.line(), clock.ticks());
            CHECK(read >= last);
            last = read;
            if (i >= settle)
                worst = std::max(worst, std::abs(static_cast<double>(read) - clock.ns()));
        }
        const ClockSample now = clock.sample();
        const weft_clock_parameters old = servo.line();
        servo.correct(now, clock.ticks() + servo.ticks_of(400));
        for (uint64_t ahead = 0; ahead < 2000; ahead += 100) /* old line until publication, new one from then on */
            CHECK(clock_line(servo.line(), clock.ticks() + ahead) >= clock_line(old, clock.ticks()));
    }
    return worst;
}

void a_steady_clock_is_followed() {
    Simulated clock;
    clock.set_rate(40e-6);
    ClockServo servo = started(clock);
    CHECK(run(clock, servo, 100, 0) < 300);
    CHECK_EQUAL(servo.interval_ns(), ClockServo::kIntervalMax);
}

void a_clock_that_is_slewed_is_followed() {
    Simulated clock;
    ClockServo servo = started(clock);
    for (int i = 0; i < 50; i++) {
        clock.set_rate((i % 7 - 3) * 0.2e-6); /* steps of frequency as time daemons make them */
        CHECK(run(clock, servo, 5, 0) < 1000);
    }
}

void a_violent_slew_is_caught_up_soon() {
    Simulated clock;
    ClockServo servo = started(clock);
    run(clock, servo, 20, 0);
    clock.set_rate(500e-6);
    CHECK(run(clock, servo, 40, 20) < 1000);
}

void a_line_that_is_ahead_slows_down_and_one_behind_jumps() {
    for (const int64_t off : {100000, 5000000, -100000, -5000000}) {
        Simulated clock;
        weft_clock_parameters line = started(clock).line();
        line.base_ns += static_cast<uint64_t>(off);
        const ClockSample first = clock.sample();
        clock.pass(10000000);
        ClockServo servo;
        CHECK(servo.take_over(line, first, clock.sample()));
        CHECK(run(clock, servo, 60, 40) < 1000);
    }
}

void a_line_of_another_boot_is_not_taken_over() {
    Simulated clock;
    const ClockSample first = clock.sample();
    clock.pass(10000000);
    const ClockSample second = clock.sample();
    ClockServo servo;
    CHECK(!servo.take_over({second.ticks + 1, second.ns, 1ull << 31, 0}, first, second));
    CHECK(!servo.take_over({first.ticks, first.ns + 2000000000, 1ull << 31, 0}, first, second));
    CHECK(!servo.take_over({0, 0, 0, 0}, first, second));
}

/* A suspended machine's counter may begin at zero, or go on while the kernel's clock stands still. */
void a_suspended_machine_is_right_again_soon() {
    Simulated clock;
    ClockServo servo = started(clock);
    run(clock, servo, 20, 0);
    clock.suspend(5000, 1000000);
    servo.correct(clock.sample(), clock.ticks() + 1000);
    CHECK(run(clock, servo, 60, 30) < 1000);
    clock.suspend(clock.ticks() + 26000000000000, 0);
    servo.correct(clock.sample(), clock.ticks() + 1000);
    CHECK(run(clock, servo, 60, 30) < 1000);
}

/* ---- the page on this machine ---- */

std::string temporary() {
    char pattern[] = "/tmp/weft-clock-XXXXXX";
    return mkdtemp(pattern);
}

std::unique_ptr<ClockPage> opened(const std::string &path) {
    std::unique_ptr<ClockPage> page;
    const Failure bad = ClockPage::open(path, &page);
    CHECK_EQUAL(bad.message, "");
    return page;
}

/* Reads for `ms` milliseconds. The error is what lies outside the two readings of the kernel's clock around it. */
uint64_t worst_error(const weft_clock_page *page, int ms) {
    const uint64_t end = weft_clock_system() + static_cast<uint64_t>(ms) * 1000000;
    uint64_t worst = 0, last = 0;
    while (weft_clock_system() < end) {
        const uint64_t before = weft_clock_system(), read = weft_clock_read(page), after = weft_clock_system();
        worst = std::max({worst, before > read ? before - read : 0, read > after ? read - after : 0});
        CHECK(read >= last);
        last = read;
        if (after % 64 == 0)
            usleep(300);
    }
    return worst;
}

void the_page_is_less_than_a_microsecond_off() {
    if (!counter_usable()) {
        std::printf("# skipped: no usable counter\n");
        return;
    }
    const std::string folder = temporary();
    const std::unique_ptr<ClockPage> page = opened(folder + "/clock");
    const uint64_t worst = worst_error(page->page(), 700);
    std::printf("# worst error %llu ns\n", static_cast<unsigned long long>(worst));
    CHECK(worst < 1000);
    CHECK_EQUAL(page->page()->valid, 1u);
    struct stat status;
    CHECK_EQUAL(fstat(page->read_only_fd(), &status), 0);
    CHECK_EQUAL(status.st_mode & 0777, 0644u);
    CHECK_EQUAL(write(page->read_only_fd(), "x", 1), -1);
    std::filesystem::remove_all(folder);
}

void time_goes_on_when_the_next_daemon_takes_over() {
    const std::string path = temporary() + "/clock";
    const std::unique_ptr<ClockPage> reader = opened(path); /* stays mapped, as in an application */
    opened(path).reset();
    const uint64_t before = weft_clock_read(reader->page());
    const std::unique_ptr<ClockPage> next = opened(path);
    CHECK(weft_clock_read(reader->page()) >= before);
    CHECK(worst_error(reader->page(), 100) < 1000);
    std::filesystem::remove_all(std::filesystem::path(path).parent_path());
}

void a_page_of_somebody_else_is_refused() {
    const std::string path = temporary() + "/clock";
    std::ofstream(path) << "no page";
    std::unique_ptr<ClockPage> page;
    CHECK_EQUAL(ClockPage::open(path, &page).error, EPERM);
    unlink(path.c_str());
    CHECK_EQUAL(symlink("/dev/null", path.c_str()), 0);
    CHECK_EQUAL(ClockPage::open(path, &page).error, ELOOP);
    std::filesystem::remove_all(std::filesystem::path(path).parent_path());
}

#if defined(__x86_64__)
bool usable(const std::string &flags, const std::string &source) {
    const std::string root = temporary(), folder = root + "/sys/devices/system/clocksource/clocksource0";
    std::filesystem::create_directories(root + "/proc");
    std::filesystem::create_directories(folder);
    std::ofstream(root + "/proc/cpuinfo") << "processor\t: 0\nflags\t\t: fpu " << flags << "\n";
    std::ofstream(folder + "/current_clocksource") << source << "\n";
    const bool result = counter_usable(root);
    std::filesystem::remove_all(root);
    return result;
}

void only_a_constant_counter_is_used() {
    CHECK(usable("tsc constant_tsc nonstop_tsc", "tsc"));
    CHECK(usable("nonstop_tsc constant_tsc lm", "kvm-clock"));
    CHECK(!usable("tsc constant_tsc", "tsc"));
    CHECK(!usable("tsc", "tsc"));
    CHECK(!usable("constant_tsc nonstop_tsc", "hpet"));
    CHECK(!usable("constant_tsc nonstop_tsc", "acpi_pm"));
}
#endif

}  // namespace

int main(int argc, char **argv) {
    return run_cases(
        {
            {"a steady clock is followed", a_steady_clock_is_followed},
            {"a clock that is slewed is followed", a_clock_that_is_slewed_is_followed},
            {"a violent slew is caught up soon", a_violent_slew_is_caught_up_soon},
            {"a line that is ahead slows down and one behind jumps", a_line_that_is_ahead_slows_down_and_one_behind_jumps},
            {"a line of another boot is not taken over", a_line_of_another_boot_is_not_taken_over},
            {"a suspended machine is right again soon", a_suspended_machine_is_right_again_soon},
            {"the page is less than a microsecond off", the_page_is_less_than_a_microsecond_off},
            {"time goes on when the next daemon takes over", time_goes_on_when_the_next_daemon_takes_over},
            {"a page of somebody else is refused", a_page_of_somebody_else_is_refused},
#if defined(__x86_64__)
            {"only a constant counter is used", only_a_constant_counter_is_used},
#endif
        },
        argc, argv);
}
