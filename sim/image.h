// The bytes of one simulated file: a sparse list of counted 4 KiB blocks, copied when written. A block that
// was never written reads as zeros and costs nothing, and a copy of an image shares all blocks; so the
// visible and the durable content of a file stand side by side for the price of what differs.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace raftd::sim {

inline constexpr uint64_t kBlockBytes = 4096;
inline constexpr uint64_t kSectorBytes = 512;  // what a disk writes whole or not at all (or tears, once)

struct Block {
    uint32_t count = 0;
    std::byte bytes[kBlockBytes];
};

/// A counted block; null stands for zeros. Plain counts: the simulator has one thread.
class BlockRef {
public:
    BlockRef() = default;
    explicit BlockRef(Block* block) : block_(block) { hold(); }
    BlockRef(const BlockRef& other) : block_(other.block_) { hold(); }
    BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    BlockRef& operator=(BlockRef other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~BlockRef() {
        if (block_ != nullptr && --block_->count == 0) delete block_;
    }
    explicit operator bool() const { return block_ != nullptr; }
    bool shared() const { return block_ != nullptr && block_->count > 1; }
    Block* operator->() const { return block_; }
    bool operator==(const BlockRef&) const = default;

private:
    void hold() {
        if (block_ != nullptr) ++block_->count;
    }
    Block* block_ = nullptr;
};

class Image {
public:
    uint64_t size() const { return size_; }
    /// Cut bytes are forgotten; new ones are zero.
    void resize(uint64_t bytes);
    /// Reads what there is; returns how much.
    uint64_t read(uint64_t offset, MutableBytes into) const;
    /// Grows the image when needed.
    void write(uint64_t offset, ByteView bytes);
    void zero(uint64_t from, uint64_t to);
    /// Takes over the blocks that [from, to) touches from `other`, whole. Leaves the size alone.
    void share(const Image& other, uint64_t from, uint64_t to);
    /// Blocks that hold something, for stale content.
    const std::vector<BlockRef>& blocks() const { return blocks_; }
    bool same_block(const Image& other, uint64_t number) const {
        return block(number) == other.block(number);
    }

private:
    BlockRef block(uint64_t number) const { return number < blocks_.size() ? blocks_[number] : BlockRef(); }
    std::byte* writable(uint64_t number);

    uint64_t size_ = 0;
    std::vector<BlockRef> blocks_;  // may be shorter than the size: zeros
};

}  // namespace raftd::sim
