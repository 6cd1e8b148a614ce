// Bounds-checked little-endian reading and writing of plain values. A reader never reads past its
// end: it turns false and stays so, which the caller asks once at the end.
#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"

namespace raftd {

static_assert(std::endian::native == std::endian::little, "formats are written as they lie in memory");

class ByteReader {
public:
    explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

    template <class T>
    requires std::is_trivially_copyable_v<T> T get() {
        T value{};
        if (!take(sizeof(T))) return value;
        std::memcpy(&value, bytes_.data() + at_ - sizeof(T), sizeof(T));
        return value;
    }
    ByteView bytes(uint64_t count) {
        if (!take(count)) return {};
        return bytes_.subspan(at_ - count, count);
    }
    /// A text with its u32 length before it.
    std::string_view text() { return as_text(bytes(get<uint32_t>())); }
    ByteView rest() const { return ok_ ? bytes_.subspan(at_) : ByteView{}; }
    bool ok() const { return ok_; }
    bool done() const { return ok_ && at_ == bytes_.size(); }

private:
    bool take(uint64_t count) {
        if (!ok_ || count > bytes_.size() - at_) return ok_ = false;
        at_ += count;
        return true;
    }
    ByteView bytes_;
    uint64_t at_ = 0;
    bool ok_ = true;
};

class ByteWriter {
public:
    template <class T>
    requires std::is_trivially_copyable_v<T>
    void put(const T& value) {
        const auto* first = reinterpret_cast<const std::byte*>(&value);
        bytes_.insert(bytes_.end(), first, first + sizeof(T));
    }
    void put_bytes(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    void put_text(std::string_view text) {
        put(static_cast<uint32_t>(text.size()));
        put_bytes(as_bytes(text));
    }
    ByteView view() const { return bytes_; }
    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

}  // namespace raftd
