#include "cli/deadline.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"
#include "cli/command.h"

namespace raftd::cli {

Deadline::Deadline(Duration span) : span_(span), timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
    CHECK(timer_ >= 0);
    itimerspec wanted{};
    if (span.ns <= 0) span_.ns = 1;  // 0 would disarm it
    wanted.it_value.tv_sec = span_.ns / 1'000'000'000;
    wanted.it_value.tv_nsec = span_.ns % 1'000'000'000;
    CHECK_EQ(::timerfd_settime(timer_, 0, &wanted, nullptr), 0);
}

Deadline::~Deadline() { ::close(timer_); }

Duration Deadline::left() const {
    itimerspec now{};
    CHECK_EQ(::timerfd_gettime(timer_, &now), 0);
    return {now.it_value.tv_sec * 1'000'000'000 + now.it_value.tv_nsec};
}

int Deadline::left_ms() const {
    int64_t ms = (left().ns + 999'999) / 1'000'000;
    return ms > 3'600'000 ? 3'600'000 : static_cast<int>(ms);
}

bool pause_for(Duration span) {
    pollfd waiting{interrupt_fd(), POLLIN, 0};
    Deadline deadline(span);
    while (!interrupted() && !deadline.over()) ::poll(&waiting, 1, deadline.left_ms());
    return !interrupted();
}

}  // namespace raftd::cli
