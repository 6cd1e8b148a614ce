#include "wal/dump.h"

#include "tests/support/wal_rig.h"

namespace raftd::wal {
namespace {

Dumped dump(sim::SimStorage& storage, uint64_t id, DumpForm form = DumpForm::text) {
    sim::SimWorld world(storage);
    Result<Dumped> dumped = dump_segment(world.machine().files(), segment_path("d/wal", id), form);
    EXPECT_TRUE(dumped);
    return dumped ? *dumped : Dumped{};
}
size_t lines_of(const std::string& text, const std::string& kind) {
    size_t count = 0;
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        count += text.compare(at, kind.size(), kind) == 0;
    return count;
}

/// Segment 1: three groups, sealed by a cut; segment 2: one group and its closing marker.
void fill_log(WalRig& rig) {
    rig.init();
    ASSERT_TRUE(rig.start());
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(rig.until_durable(rig.write(rig.model.log().size(), 2, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.write(4, 1, {Term{2}, NodeId{1}})));
    rig.until_quiet();
    rig.kill();
}

TEST(WalDump, ShowsEveryPartOfAGoodSegment) {
    WalRig rig;
    fill_log(rig);
    Dumped first = dump(rig.storage, 1);
    EXPECT_EQ(first.damages, 0u) << first.text;
    EXPECT_EQ(lines_of(first.text, "segment at=0 id=1 "), 1u) << first.text;
    EXPECT_EQ(lines_of(first.text, "group "), 3u);
    EXPECT_EQ(lines_of(first.text, "seal "), 1u);
    EXPECT_EQ(lines_of(first.text, "footer "), 1u);
    EXPECT_NE(first.text.find("next_segment=2 next_index=5"), std::string::npos);
    Dumped second = dump(rig.storage, 2, DumpForm::jsonl);
    EXPECT_EQ(second.damages, 0u);
    EXPECT_EQ(lines_of(second.text, "{\"kind\":\"group\",\"at\":8192,"), 1u) << second.text;
    EXPECT_EQ(dump(rig.storage, 3).text.substr(0, 6), "unused");
}

// The tool is for broken files: it must name the place and go on behind it.
TEST(WalDump, NamesDamageAndGoesOnBehindIt) {
    WalRig rig;
    fill_log(rig);
    rig.storage.flip_bit(segment_path("d/wal", 1), kFirstGroupAt + 5, 1);
    Dumped dumped = dump(rig.storage, 1);
    EXPECT_EQ(dumped.damages, 1u);
    EXPECT_EQ(lines_of(dumped.text, "damage at=8192 "), 1u) << dumped.text;
    EXPECT_EQ(lines_of(dumped.text, "group "), 2u);
    rig.storage.flip_bit(segment_path("d/wal", 1), 9, 1);
    dumped = dump(rig.storage, 1);
    EXPECT_GE(dumped.damages, 1u);
    EXPECT_EQ(lines_of(dumped.text, "damage at=0 "), 1u) << dumped.text;
}

TEST(WalDump, NoFlippedBitBreaksIt) {
    WalRig made;
    fill_log(made);
    Random random(1);
    for (int i = 0; i < 500; ++i) {
        sim::SimStorage storage = made.storage;
        const uint64_t id = 1 + random.below(2);
        for (int flips = 0; flips < 3; ++flips)
            storage.flip_bit(segment_path("d/wal", id), random.below(28'000),
                             static_cast<int>(random.below(8)));
        EXPECT_FALSE(dump(storage, id, DumpForm::jsonl).text.empty());
    }
}

}  // namespace
}  // namespace raftd::wal
