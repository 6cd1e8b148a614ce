// Counted memory: one payload, many readers. A Chunk is a block of memory with a count; a Slice is a
// counted view into one. Counts are plain integers: chunks are made, shared and dropped on the loop
// thread only. A job on another thread may *read* the bytes of a slice that its request holds; the
// request itself is destroyed on the loop thread, when the completion has come back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace raftd {

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Usual capacity of a chunk; a payload that is larger gets a chunk of its own.
inline constexpr uint32_t kChunkBytes = 1u << 20;

class Slice;

/// A counted block of memory. Bytes are not initialised.
class Chunk {
public:
    /// A slice over a whole new chunk; the slice holds its only count.
    static Slice make(uint32_t capacity = kChunkBytes);
    /// Bytes of all chunks alive (the loop thread's; for bounds and metrics).
    static uint64_t live_bytes();

    std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
    uint32_t capacity() const { return capacity_; }
    bool shared() const { return count_ > 1; }

    Chunk(const Chunk&) = delete;
    Chunk& operator=(const Chunk&) = delete;

private:
    friend class Slice;
    explicit Chunk(uint32_t capacity) : count_(1), capacity_(capacity) {}
    static void destroy(Chunk* chunk) noexcept;

    uint32_t count_;
    uint32_t capacity_;
};

/// A counted view of bytes in a chunk; empty when default-made.
class Slice {
public:
    Slice() = default;
    Slice(const Slice& other) : chunk_(other.chunk_), offset_(other.offset_), bytes_(other.bytes_) {
        if (chunk_ != nullptr) ++chunk_->count_;
    }
    Slice(Slice&& other) noexcept
        : chunk_(std::exchange(other.chunk_, nullptr)),
          offset_(std::exchange(other.offset_, 0)),
          bytes_(std::exchange(other.bytes_, 0)) {}
    Slice& operator=(Slice other) noexcept {
        std::swap(chunk_, other.chunk_);
        std::swap(offset_, other.offset_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Slice() {
        if (chunk_ != nullptr && --chunk_->count_ == 0) Chunk::destroy(chunk_);
    }

    /// A new chunk that holds a copy of `bytes`.
    static Slice copy_of(ByteView bytes);

    std::byte* data() const { return chunk_ == nullptr ? nullptr : chunk_->data() + offset_; }
    uint32_t size() const { return bytes_; }
    bool empty() const { return bytes_ == 0; }
    ByteView view() const { return {data(), bytes_}; }
    MutableBytes writable() const { return {data(), bytes_}; }
    Chunk* chunk() const { return chunk_; }
    uint32_t offset() const { return offset_; }
    /// The part [first, first + count) of this one. Requires: it lies inside.
    Slice part(uint32_t first, uint32_t count) const;
    Slice from(uint32_t first) const { return part(first, bytes_ - first); }
    /// Grows this view by the bytes of `next` when they follow at once in the same chunk.
    bool join(const Slice& next);

private:
    friend class Chunk;
    Slice(Chunk* counted, uint32_t offset, uint32_t bytes)
        : chunk_(counted), offset_(offset), bytes_(bytes) {}

    Chunk* chunk_ = nullptr;
    uint32_t offset_ = 0;
    uint32_t bytes_ = 0;
};

}  // namespace raftd
