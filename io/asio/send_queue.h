// What a connection still has to send. Small parts are copied end to end into a block, large ones are held as
// they are: below about 2 KiB a part, gathering costs more than copying. Loop thread.
#pragma once

#include <sys/uio.h>

#include <deque>
#include <span>

#include "io/asio/frame_reader.h"

namespace raftd::io::asio {

class SendQueue {
public:
    static constexpr uint32_t kCopyBelow = 2048;

    explicit SendQueue(BlockPool& pool) : pool_(&pool) {}
    void add(const Slice& part);
    bool empty() const { return bytes_ == 0; }
    uint64_t bytes() const { return bytes_; }
    /// Fills `into` from the front; says how many it used.
    size_t gather(std::span<iovec> into) const;
    /// The kernel took the first `bytes`.
    void sent(uint64_t bytes);
    void clear();

private:
    BlockPool* pool_;
    std::deque<Slice> parts_;
    Slice block_;        // copied into
    uint32_t used_ = 0;  // of block_
    bool open_ = false;  // the last part ends at block_'s used_: a copy may extend it
    uint64_t bytes_ = 0;
};

}  // namespace raftd::io::asio
