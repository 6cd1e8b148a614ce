// Durations counted in buckets of at most 1.6 % width, so that quantiles cost no sorting and no memory that
// grows.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/instant.h"

namespace raftd::cli {

class Histogram {
public:
    void add(Duration value) {
        auto ns = static_cast<uint64_t>(value.ns < 0 ? 0 : value.ns);
        ++buckets_[bucket_of(ns)];
        ++count_;
        if (value > max_) max_ = value;
    }
    /// The least duration that `part` (0..1) of all are not above, up to the bucket's width. 0 when empty.
    Duration quantile(double part) const {
        if (count_ == 0) return {};
        auto wanted = static_cast<uint64_t>(part * static_cast<double>(count_));
        if (wanted >= count_) wanted = count_ - 1;
        uint64_t seen = 0;
        for (size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen > wanted)
                return {static_cast<int64_t>(top_of(i)) < max_.ns ? static_cast<int64_t>(top_of(i))
                                                                  : max_.ns};
        }
        return max_;
    }
    Duration max() const { return max_; }
    uint64_t count() const { return count_; }

private:
    static constexpr unsigned kBits = 6;  // 64 buckets for each power of two
    static size_t bucket_of(uint64_t ns) {
        if (ns < (1u << kBits)) return ns;
        auto shift = static_cast<unsigned>(std::bit_width(ns)) - kBits - 1;
        return (size_t{shift} << kBits) + (ns >> shift);
    }
    static uint64_t top_of(size_t bucket) {
        if (bucket < (1u << (kBits + 1))) return bucket;
        auto shift = static_cast<unsigned>(bucket >> kBits) - 1;
        return (((bucket & ((1u << kBits) - 1)) + (1u << kBits) + 1) << shift) - 1;
    }
    std::array<uint64_t, (64 - kBits + 1) << kBits> buckets_{};
    uint64_t count_ = 0;
    Duration max_{};
};

}  // namespace raftd::cli
