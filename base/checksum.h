// XXH3-64, the one checksum of disk and wire. It holds against accidents, not against intent.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace raftd {

uint64_t checksum(ByteView bytes, uint64_t seed = 0);

/// The same over parts in turn, equal to the checksum of the bytes end to end.
class Checksummer {
public:
    explicit Checksummer(uint64_t seed = 0);
    ~Checksummer();
    Checksummer(const Checksummer&) = delete;
    Checksummer& operator=(const Checksummer&) = delete;
    void add(ByteView bytes);
    uint64_t result() const;

private:
    void* state_;
};

}  // namespace raftd
