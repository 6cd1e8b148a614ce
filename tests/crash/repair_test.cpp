// The repair of a damaged log: power cuts at each call of a mend, and again while the next process mends.
// What must be there is the whole log as it was acknowledged, and no hole but those that the damage made.
#include <gtest/gtest.h>

#include "tests/crash/enumerator.h"
#include "tests/crash/totals.h"
#include "tests/support/group_places.h"
#include "tests/support/mend_rig.h"

namespace raftd::crash {
namespace {

using wal::Hole;
using wal::WalRig;

/// How starts found the log behind a power cut.
struct Repairs {
    uint64_t whole = 0, damaged = 0, cut_mends = 0;
} repairs;

/// Each start is followed by the repair of what it found.
class MendLife final : public Life {
public:
    MendLife(std::unique_ptr<WalRig> rig, std::vector<Hole> made)
        : rig_(std::move(rig)), made_(std::move(made)) {}

    sim::SimStorage& disk() override { return rig_->storage; }
    std::unique_ptr<Life> copy() override { return std::make_unique<MendLife>(rig_->copy(), made_); }
    bool start() override {
        if (!rig_->start_with_holes()) {
            EXPECT_TRUE(rig_->storage.dead()) << rig_->why();
            return false;
        }
        const std::vector<Hole>& holes = rig_->wal->holes();
        ++(holes.empty() ? repairs.whole : repairs.damaged);
        for (const Hole& hole : holes)
            EXPECT_TRUE(std::any_of(made_.begin(), made_.end(), [&](const Hole& made) {
                return made.from == hole.from && made.to == hole.to;
            })) << hole.what;
        if (!mend()) ++repairs.cut_mends;
        return !rig_->storage.dead();
    }
    void go_on(Random& random) override {
        EXPECT_TRUE(rig_->until_durable(rig_->append(1 + random.below(4))));
        if (random.chance(0.5)) rig_->until_quiet();
        rig_->check_content();
    }
    void end() override { rig_->kill(); }
    /// False: the power went.
    bool mend() {
        const bool done = wal::mend_all(*rig_);
        EXPECT_TRUE(done || rig_->storage.dead());
        return done;
    }
    WalRig& rig() { return *rig_; }

private:
    std::unique_ptr<WalRig> rig_;
    std::vector<Hole> made_;
};

/// The groups that are lost, by their place among those of all segments.
using Lost = std::function<std::vector<size_t>(const std::vector<wal::GroupPlace>& places)>;

Script repair_script(std::string name, const Lost& lost) {
    Script script;
    script.name = std::move(name);
    script.start_calls = 70;
    script.prepare = [lost]() -> std::unique_ptr<Life> {
        auto rig = std::make_unique<WalRig>(11);
        rig->options.holes = true;
        rig->init();
        EXPECT_TRUE(rig->start()) << rig->why();
        rig->write(0, 2, {Term{1}, NodeId{1}});
        while (rig->wal->counters().rolls < 2) EXPECT_TRUE(rig->until_durable(rig->append(5, 3000)));
        EXPECT_TRUE(rig->until_durable(rig->write(rig->model.log().size(), 3, {Term{2}, NodeId{2}})));
        EXPECT_TRUE(rig->until_durable(rig->append(2)));
        rig->until_quiet();
        rig->crash(sim::CrashPolicy::keep_all());
        const std::vector<wal::GroupPlace> places = wal::group_places(rig->storage);
        for (const size_t at : lost(places)) {
            rig->storage.flip_bit(places.at(at).path, places.at(at).offset + 40, 1);
            wal::Seal seal;
            const auto bytes = rig->storage.durable_bytes(places.at(at).path);
            std::memcpy(&seal, bytes.data() + wal::kSealAt, sizeof seal);
            const uint64_t footer = std::exchange(seal.footer_offset, 0);
            if (footer == 0) continue;  // as if there had been no room for it: a start scans
            wal::SegmentHeader header;
            std::memcpy(&header, bytes.data(), sizeof header);
            wal::sign(seal, {seal.segment_id, header.salt});
            rig->storage.overwrite(places.at(at).path, wal::kSealAt,
                                   {reinterpret_cast<const std::byte*>(&seal), sizeof seal});
        }
        EXPECT_TRUE(rig->start_with_holes()) << rig->why();
        EXPECT_EQ(rig->wal->holes().size(), lost(places).size());
        rig->until_quiet();
        std::vector<Hole> made = rig->wal->holes();
        return std::make_unique<MendLife>(std::move(rig), std::move(made));
    };
    script.run = [](Life& life) {
        auto& mending = static_cast<MendLife&>(life);
        ASSERT_TRUE(mending.mend());
        ASSERT_TRUE(mending.rig().until_durable(mending.rig().append(1)));
    };
    return script;
}

/// Groups of the second segment: sealed, with one before and one behind it.
std::vector<size_t> of_the_middle(const std::vector<wal::GroupPlace>& places, size_t count) {
    std::vector<size_t> found;
    for (size_t i = 0; i < places.size() && found.size() < count; ++i)
        if (places[i].path == wal::segment_path("d/wal", 2) && i % 2 == 0) found.push_back(i);
    return found;
}

TEST(CrashRepair, AMiddleSegment) {
    look_at(repair_script("repair: middle", [](const auto& places) { return of_the_middle(places, 1); }));
    EXPECT_GT(repairs.whole, 0u);
    EXPECT_GT(repairs.damaged, 0u);
    EXPECT_GT(repairs.cut_mends, 0u);
}
TEST(CrashRepair, TwoHolesOfOneSegment) {
    look_at(repair_script("repair: two holes", [](const auto& places) { return of_the_middle(places, 2); }));
}
// It is sealed first, and another one is active from then on.
TEST(CrashRepair, TheActiveSegment) {
    look_at(repair_script("repair: active",
                          [](const auto& places) { return std::vector<size_t>{places.size() - 2}; }));
}

}  // namespace
}  // namespace raftd::crash
