#include "base/bytes.h"

#include <new>

#include "base/check.h"

namespace raftd {
namespace {
// Per thread: each thread that makes chunks (a simulated world, a client) has its own books.
thread_local uint64_t chunk_bytes_live = 0;
}  // namespace

Slice Chunk::make(uint32_t capacity) {
    void* memory = ::operator new(sizeof(Chunk) + capacity);
    chunk_bytes_live += capacity;
    return {new (memory) Chunk(capacity), 0, capacity};
}

uint64_t Chunk::live_bytes() { return chunk_bytes_live; }

void Chunk::destroy(Chunk* chunk) noexcept {
    chunk_bytes_live -= chunk->capacity_;
    chunk->~Chunk();
    ::operator delete(chunk);
}

Slice Slice::copy_of(ByteView bytes) {
    CHECK_LE(bytes.size(), UINT32_MAX);
    Slice made = Chunk::make(static_cast<uint32_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(made.data(), bytes.data(), bytes.size());
    return made;
}

Slice Slice::part(uint32_t first, uint32_t count) const {
    CHECK_LE(uint64_t{first} + count, bytes_);
    Slice result = *this;
    result.offset_ += first;
    result.bytes_ = count;
    return result;
}

bool Slice::join(const Slice& next) {
    if (chunk_ != next.chunk_ || next.offset_ != offset_ + bytes_) return false;
    bytes_ += next.bytes_;
    return true;
}

}  // namespace raftd
