#include "cli/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace raftd::cli {
namespace {

// A quantile that is off would make every number of the benchmark wrong without a sign.
TEST(Histogram, QuantilesAreWithinTwoPercent) {
    Histogram histogram;
    Random random(3);
    std::vector<int64_t> all;
    for (int i = 0; i < 20'000; ++i) {
        auto ns = static_cast<int64_t>(random.below(1ull << random.between(1, 40)));
        all.push_back(ns);
        histogram.add({ns});
    }
    std::sort(all.begin(), all.end());
    for (double part : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        auto rank = std::min(all.size() - 1, static_cast<size_t>(part * static_cast<double>(all.size())));
        auto exact = static_cast<double>(all[rank]), got = static_cast<double>(histogram.quantile(part).ns);
        EXPECT_GE(got, exact) << part;
        EXPECT_LE(got, exact * 1.02 + 1) << part;
    }
    EXPECT_EQ(histogram.max().ns, all.back());
    EXPECT_EQ(histogram.quantile(1.0), histogram.max());
    EXPECT_EQ(histogram.count(), all.size());
}

TEST(Histogram, ExtremesHaveABucket) {
    Histogram histogram;
    EXPECT_EQ(histogram.quantile(0.5), Duration{});
    histogram.add({-5});
    EXPECT_EQ(histogram.quantile(0.5), Duration{});
    histogram.add({INT64_MAX});
    EXPECT_EQ(histogram.quantile(0.9), (Duration{INT64_MAX}));
}

}  // namespace
}  // namespace raftd::cli
