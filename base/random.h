// A small seeded generator (xoshiro-like quality by SplitMix64). The only source of randomness in
// raft/, daemon/ and sim/: the same seed gives the same run.
#pragma once

#include <cstdint>

namespace raftd {

class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    /// Uniform in [0, bound); 0 when bound is 0.
    uint64_t below(uint64_t bound) {
        __extension__ using Wide = unsigned __int128;
        return static_cast<uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
    }
    /// Uniform in [low, high]. Requires: low <= high.
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
    /// True with probability p.
    bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < p; }
    /// A generator for a part of the work, independent of how much this one is used afterwards.
    Random split() { return Random(next()); }
    uint64_t state() const { return state_; }

private:
    uint64_t state_;
};

}  // namespace raftd
