// Splits what a connection receives into whole, undamaged frames. Bytes are received into counted chunks and
// handed on as slices of them: a frame is copied only when it would lie misaligned, or when it is moved,
// while still short, into a chunk that can hold all of it. Memory follows the bytes that came, not those a
// header promises: a chunk is at most 32 times what its frame has already sent. Loop thread.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "proto/frame.h"

namespace raftd::io::asio {

/// Small chunks ready to be received into, shared by all connections of a world.
class BlockPool {
public:
    static constexpr uint32_t kBlockBytes = 64u << 10;
    Slice take();
    /// Takes it back when nobody else holds it, else just lets go.
    void give(Slice block);
    /// An aligned copy, packed with others into a shared chunk.
    Slice pack(ByteView bytes);

private:
    std::vector<Slice> spare_;
    Slice packing_;
    uint32_t packed_ = 0;
};

class FrameReader {
public:
    struct Options {
        uint32_t frame_bytes_max = 17u << 20;
        /// A link between members: its chunks are large, and it keeps the one at hand, so that entries which
        /// the log keeps in place fill whole chunks. Others hold no memory while idle.
        bool steady = false;
    };
    FrameReader(BlockPool& pool, Options options) : pool_(&pool), options_(options) {}

    /// Where the next bytes go; never empty.
    MutableBytes room();
    /// So many bytes came into what room() gave.
    void received(uint32_t bytes) { end_ += bytes; }

    enum class Got : uint8_t { frame, need_more, bad };
    /// The next whole frame. After `bad`, why() says what was wrong, and the stream can't be read on.
    Got next(proto::FrameHeader& header, Slice& payload);
    proto::FrameFault why() const { return fault_; }
    /// Call when no more frames are to be had for now: lets go of memory that nothing is in.
    void rest();
    uint32_t held_bytes() const { return block_.size(); }

private:
    uint32_t pending() const { return end_ - begin_; }
    uint32_t usual_bytes() const;
    Slice new_block(uint32_t bytes);
    void move_to(Slice block);
    void align_partial();

    BlockPool* pool_;
    Options options_;
    Slice block_;                   // the chunk received into, whole
    uint32_t begin_ = 0, end_ = 0;  // [begin_, end_) of it came and is not yet handed on
    uint32_t frame_bytes_ = 0;      // length of the frame at begin_; 0: not known yet
    proto::FrameFault fault_ = proto::FrameFault::none;
};

}  // namespace raftd::io::asio
