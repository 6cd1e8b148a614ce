#include "io/asio/request.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

namespace raftd::io::asio {

CompletionQueue::CompletionQueue() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    CHECK_GE(descriptor_, 0);
}

CompletionQueue::~CompletionQueue() { ::close(descriptor_); }

void CompletionQueue::put(RequestPtr request) {
    bool was_empty = false;
    {
        std::lock_guard lock(mutex_);
        was_empty = done_.empty();
        done_.push_back(std::move(request));
        if (was_empty) ++wakeups_;
    }
    if (!was_empty) return;
    uint64_t one = 1;
    // Can't block or fail: the counter never comes near its limit.
    [[maybe_unused]] ssize_t written = ::write(descriptor_, &one, sizeof one);
}

void CompletionQueue::take(std::vector<RequestPtr>& into) {
    // Cleared before the swap: what is put after the swap makes it readable again.
    uint64_t count = 0;
    [[maybe_unused]] ssize_t got = ::read(descriptor_, &count, sizeof count);
    std::lock_guard lock(mutex_);
    into.swap(done_);
}

uint64_t CompletionQueue::wakeups() {
    std::lock_guard lock(mutex_);
    return wakeups_;
}

}  // namespace raftd::io::asio
