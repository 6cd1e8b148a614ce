#include "io/asio/send_queue.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::io::asio {

void SendQueue::add(const Slice& part) {
    if (part.empty()) return;
    bytes_ += part.size();
    if (part.size() >= kCopyBelow) {
        open_ = false;
        if (parts_.empty() || !parts_.back().join(part)) parts_.push_back(part);
        return;
    }
    if (block_.empty() || used_ + part.size() > block_.size()) {
        if (!block_.empty()) pool_->give(std::move(block_));
        block_ = pool_->take();
        used_ = 0;
        open_ = false;
    }
    std::memcpy(block_.data() + used_, part.data(), part.size());
    Slice copy = block_.part(used_, part.size());
    used_ += part.size();
    if (open_)
        CHECK(parts_.back().join(copy));
    else
        parts_.push_back(std::move(copy));
    open_ = true;
}

size_t SendQueue::gather(std::span<iovec> into) const {
    size_t count = std::min(into.size(), parts_.size());
    for (size_t i = 0; i < count; ++i) into[i] = {parts_[i].data(), parts_[i].size()};
    return count;
}

void SendQueue::sent(uint64_t bytes) {
    CHECK_LE(bytes, bytes_);
    bytes_ -= bytes;
    while (bytes > 0) {
        Slice& front = parts_.front();
        if (bytes < front.size()) {
            front = front.from(static_cast<uint32_t>(bytes));
            return;
        }
        bytes -= front.size();
        parts_.pop_front();
    }
    if (bytes_ == 0) clear();
}

void SendQueue::clear() {
    parts_.clear();
    if (!block_.empty()) pool_->give(std::move(block_));
    used_ = 0;
    open_ = false;
    bytes_ = 0;
}

}  // namespace raftd::io::asio
