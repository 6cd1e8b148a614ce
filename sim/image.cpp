#include "sim/image.h"

#include <algorithm>

namespace raftd::sim {

std::byte* Image::writable(uint64_t number) {
    if (number >= blocks_.size()) blocks_.resize(number + 1);
    BlockRef& ref = blocks_[number];
    if (!ref) {
        ref = BlockRef(new Block);
        std::memset(ref->bytes, 0, kBlockBytes);
    } else if (ref.shared()) {
        BlockRef copy(new Block);
        std::memcpy(copy->bytes, ref->bytes, kBlockBytes);
        ref = std::move(copy);
    }
    return ref->bytes;
}

void Image::resize(uint64_t bytes) {
    if (bytes < size_) {
        zero(bytes, std::min(size_, (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes));
        uint64_t kept = (bytes + kBlockBytes - 1) / kBlockBytes;
        if (blocks_.size() > kept) blocks_.resize(kept);
    }
    size_ = bytes;
}

uint64_t Image::read(uint64_t offset, MutableBytes into) const {
    if (offset >= size_) return 0;
    uint64_t total = std::min<uint64_t>(into.size(), size_ - offset);
    for (uint64_t done = 0; done < total;) {
        uint64_t number = (offset + done) / kBlockBytes, inside = (offset + done) % kBlockBytes;
        uint64_t part = std::min(total - done, kBlockBytes - inside);
        if (number < blocks_.size() && blocks_[number])
            std::memcpy(into.data() + done, blocks_[number]->bytes + inside, part);
        else
            std::memset(into.data() + done, 0, part);
        done += part;
    }
    return total;
}

void Image::write(uint64_t offset, ByteView bytes) {
    for (uint64_t done = 0; done < bytes.size();) {
        uint64_t number = (offset + done) / kBlockBytes, inside = (offset + done) % kBlockBytes;
        uint64_t part = std::min<uint64_t>(bytes.size() - done, kBlockBytes - inside);
        std::memcpy(writable(number) + inside, bytes.data() + done, part);
        done += part;
    }
    size_ = std::max(size_, offset + bytes.size());
}

void Image::zero(uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to;) {
        uint64_t number = at / kBlockBytes, inside = at % kBlockBytes;
        uint64_t part = std::min(to - at, kBlockBytes - inside);
        if (number < blocks_.size() && blocks_[number]) {
            if (part == kBlockBytes)
                blocks_[number] = BlockRef();
            else
                std::memset(writable(number) + inside, 0, part);
        }
        at += part;
    }
    size_ = std::max(size_, to);
}

void Image::share(const Image& other, uint64_t from, uint64_t to) {
    for (uint64_t number = from / kBlockBytes; number * kBlockBytes < to; ++number) {
        BlockRef ref = other.block(number);
        if (number >= blocks_.size()) {
            if (!ref) continue;
            blocks_.resize(number + 1);
        }
        blocks_[number] = std::move(ref);
    }
}

}  // namespace raftd::sim
