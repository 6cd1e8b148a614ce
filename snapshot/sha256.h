// SHA-256 of bytes that come in parts: what names content against intent, where checksums hold against
// accidents only.
#pragma once

#include <array>
#include <memory>

#include "base/bytes.h"

namespace raftd::snapshot {

using Sha256 = std::array<std::byte, 32>;

class Sha256Hasher {
public:
    Sha256Hasher();
    ~Sha256Hasher();
    Sha256Hasher(Sha256Hasher&&) noexcept;
    Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
    void add(ByteView bytes);
    /// Of all that was added; begins anew.
    Sha256 result();

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace raftd::snapshot
