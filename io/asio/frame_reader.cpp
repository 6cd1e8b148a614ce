#include "io/asio/frame_reader.h"

#include <algorithm>

#include "base/check.h"

namespace raftd::io::asio {
namespace {

constexpr size_t kSpareBlocks = 32;
/// What a receive may take in beyond the frame at hand. A larger frame than this is received by itself, so
/// that little of it has to be moved when it turns out to need a chunk of its own.
constexpr uint32_t kAheadBytes = 64u << 10;
constexpr uint32_t kRoomMin = 4u << 10;
constexpr uint32_t kTrust = 32;
constexpr uint32_t kAlign = 8;

constexpr uint32_t aligned(uint32_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }
static_assert(proto::kFrameHeaderBytes % kAlign == 0, "a payload is aligned when its frame is");

}  // namespace

Slice BlockPool::take() {
    if (spare_.empty()) return Chunk::make(kBlockBytes);
    Slice block = std::move(spare_.back());
    spare_.pop_back();
    return block;
}

void BlockPool::give(Slice block) {
    if (block.size() == kBlockBytes && !block.chunk()->shared() && spare_.size() < kSpareBlocks)
        spare_.push_back(std::move(block));
}

Slice BlockPool::pack(ByteView bytes) {
    if (bytes.size() > kBlockBytes / 4) return Slice::copy_of(bytes);
    auto size = static_cast<uint32_t>(bytes.size());
    if (!packing_.empty() && !packing_.chunk()->shared()) packed_ = 0;
    if (packing_.empty() || packed_ + size > packing_.size()) {
        packing_ = take();
        packed_ = 0;
    }
    Slice copy = packing_.part(packed_, size);
    if (size > 0) std::memcpy(copy.data(), bytes.data(), size);
    packed_ += aligned(size);
    return copy;
}

void FrameReader::move_to(Slice block) {
    if (pending() > 0) std::memcpy(block.data(), block_.data() + begin_, pending());
    end_ = pending();
    begin_ = 0;
    if (!block_.empty()) pool_->give(std::move(block_));
    block_ = std::move(block);
}

uint32_t FrameReader::usual_bytes() const {
    // A group of entries of one chunk's size, and what its frame has beside them.
    return options_.steady ? kChunkBytes + proto::kFrameSlackBytes : BlockPool::kBlockBytes;
}

Slice FrameReader::new_block(uint32_t bytes) {
    return bytes == BlockPool::kBlockBytes ? pool_->take() : Chunk::make(bytes);
}

/// Moves a frame that has begun to come up by less than 8 bytes, so that it needn't be copied when it is
/// whole. Its chunk belongs to this reader alone from begin_ on.
void FrameReader::align_partial() {
    uint32_t to = aligned(begin_);
    if (frame_bytes_ == 0 || to == begin_ || to + pending() > block_.size()) return;
    std::memmove(block_.data() + to, block_.data() + begin_, pending());
    end_ = to + pending();
    begin_ = to;
}

MutableBytes FrameReader::room() {
    if (block_.empty()) move_to(new_block(usual_bytes()));
    align_partial();
    uint32_t wanted = frame_bytes_ != 0 ? frame_bytes_ : kRoomMin;  // of the block, from begin_ on
    if (uint64_t{begin_} + wanted > block_.size()) {
        uint64_t trusted = std::min<uint64_t>(wanted, uint64_t{pending()} * kTrust);
        uint32_t bytes = std::max(usual_bytes(), static_cast<uint32_t>(trusted));
        if (uint64_t{begin_} + std::min(wanted, bytes) > block_.size() || end_ == block_.size())
            move_to(new_block(bytes));
    }
    uint32_t free = block_.size() - end_;
    uint32_t ask = frame_bytes_ > kAheadBytes ? frame_bytes_ - pending() : kAheadBytes;
    CHECK_GT(free, 0u);
    return {block_.data() + end_, std::min(free, ask)};
}

FrameReader::Got FrameReader::next(proto::FrameHeader& header, Slice& payload) {
    if (fault_ != proto::FrameFault::none) return Got::bad;
    if (pending() < sizeof header) return Got::need_more;
    const std::byte* frame = block_.data() + begin_;
    std::memcpy(&header, frame, sizeof header);
    fault_ = proto::check_header(header, options_.frame_bytes_max);
    if (fault_ != proto::FrameFault::none) return Got::bad;
    if (pending() < header.length) {
        frame_bytes_ = header.length;
        return Got::need_more;
    }
    frame_bytes_ = 0;
    uint32_t payload_bytes = header.length - proto::kFrameHeaderBytes;
    ByteView view{frame + proto::kFrameHeaderBytes, payload_bytes};
    fault_ = proto::check_payload(header, view);
    if (fault_ != proto::FrameFault::none) return Got::bad;
    payload = begin_ % kAlign == 0 ? block_.part(begin_ + proto::kFrameHeaderBytes, payload_bytes)
                                   : pool_->pack(view);
    begin_ += header.length;
    return Got::frame;
}

void FrameReader::rest() {
    if (block_.empty() || pending() > 0) return;
    if (options_.steady && block_.size() == usual_bytes()) {
        begin_ = end_ = block_.chunk()->shared() ? aligned(end_) : 0;
        if (end_ + kRoomMin <= block_.size()) return;
    }
    pool_->give(std::move(block_));
    begin_ = end_ = 0;
}

}  // namespace raftd::io::asio
