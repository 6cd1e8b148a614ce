#include "base/features.h"

#include <gtest/gtest.h>

namespace raftd {
namespace {

// A kind that came into an older level would be met by programs that don't know it: the outage of H17.
TEST(Features, EachKindHasTheLevelThatBroughtItForGood) {
    EXPECT_EQ(level_of(EntryKind::batch), 1u);
    EXPECT_EQ(level_of(EntryKind::noop), 1u);
    EXPECT_EQ(level_of(EntryKind::membership), 1u);
    EXPECT_EQ(level_of(EntryKind::feature), 1u);
    EXPECT_EQ(level_of(EntryKind::producer), 2u);
    for (EntryKind kind :
         {EntryKind::cut, EntryKind::trim, EntryKind::retention, EntryKind::cursor,
          EntryKind::checkpoint_begin, EntryKind::checkpoint_chunk, EntryKind::checkpoint_commit})
        EXPECT_EQ(level_of(kind), 3u) << static_cast<int>(kind);
    for (auto kind = uint8_t{0}; kind < 64; ++kind) {
        uint32_t level = level_of(EntryKind{kind});
        EXPECT_LE(level, kFeatureLevelNewest);
        EXPECT_EQ(kind_allowed(EntryKind{kind}, 1), level == 1) << int{kind};
        EXPECT_FALSE(level == 0 && kind_allowed(EntryKind{kind}, UINT32_MAX)) << int{kind};
    }
}

TEST(Features, EachLevelHasAName) {
    EXPECT_EQ(feature_level_max(), kFeatureLevelNewest);
    for (uint32_t level = 1; level <= kFeatureLevelNewest; ++level)
        EXPECT_STRNE(name_of_feature_level(level), "") << level;
    EXPECT_STREQ(name_of_feature_level(kFeatureLevelNewest + 1), "");
}

TEST(Features, TheBodyIsOneNumber) {
    std::vector<std::byte> body = encode_feature(2);
    EXPECT_EQ(body, (std::vector<std::byte>{std::byte{2}, std::byte{0}, std::byte{0}, std::byte{0}}));
    EXPECT_EQ(decode_feature(body), 2u);
    EXPECT_FALSE(decode_feature(encode_feature(0)));
    EXPECT_FALSE(decode_feature(ByteView(body).first(3)));
    body.push_back(std::byte{0});
    EXPECT_FALSE(decode_feature(body));
}

}  // namespace
}  // namespace raftd
