// Logs with damage in the middle, for tests of holes and their repair.
#pragma once

#include "tests/support/wal_rig.h"

namespace raftd::wal {

/// Several segments, several terms, a cut, and a closing marker behind it all.
inline void make_long_log(WalRig& rig) {
    rig.options.holes = true;
    rig.init();
    ASSERT_TRUE(rig.start()) << rig.why();
    for (uint64_t term = 1; term <= 4; ++term) {
        const HardState hard{Term{term}, NodeId{1}};
        const uint64_t keep = rig.model.log().size() - (term == 3 ? 2 : 0);
        ASSERT_TRUE(rig.until_durable(rig.write(keep, 5, hard)));
        for (int i = 0; i < 12; ++i) ASSERT_TRUE(rig.until_durable(rig.append(6, 900)));
    }
    rig.until_quiet();
    rig.crash(sim::CrashPolicy::keep_all());
}

/// From the model, as another member would give them.
inline std::vector<Slice> entries_of(const WalRig& rig, const Hole& hole) {
    std::vector<Slice> slices;
    for (uint64_t i = raw(hole.from.index) + 1; i <= raw(hole.to.index); ++i)
        slices.push_back(Slice::copy_of(rig.model.entries.at(rig.model.at(i).chain)));
    return slices;
}

/// Nothing: the process ended.
inline std::optional<Wal::Mended> mend_one(WalRig& rig, const Hole& hole) {
    EXPECT_EQ(rig.model.at(raw(hole.from.index)), hole.from);
    EXPECT_EQ(rig.model.at(raw(hole.to.index)), hole.to);
    std::optional<Wal::Mended> done;
    if (!rig.world->machine().run([&] { rig.wal->mend(hole, entries_of(rig, hole)); })) return done;
    rig.arm();
    while (!(done = rig.wal->take_mended()))
        if (!rig.world->step()) break;
    return done;
}
/// True: no hole is left.
inline bool mend_all(WalRig& rig) {
    while (!rig.wal->holes().empty()) {
        const Hole hole = rig.wal->holes().front();
        const std::optional<Wal::Mended> done = mend_one(rig, hole);
        if (!done) return false;
        EXPECT_EQ(done->failure, "");
        if (!done->failure.empty()) return false;
    }
    return true;
}

/// A log that was made before, damaged while no process ran.
struct Damaged {
    WalRig rig;
    uint64_t holes = 0;
    bool open(const WalRig& made, const std::function<void(sim::SimStorage&)>& hurt) {
        rig.options = made.options;
        rig.storage = made.storage;
        rig.model = made.model;
        rig.skip_ids(1000);
        hurt(rig.storage);
        if (!rig.start_unchecked()) return false;
        EXPECT_EQ(rig.found.last, rig.model.end());
        EXPECT_EQ(rig.found.hard, rig.model.asked.back().hard);
        // Nothing has been asked for since the start.
        rig.model.asked = {{rig.model.acked, rig.found.hard, {}, rig.model.log()}};
        holes = rig.wal->holes().size();
        rig.check_terms();
        return true;
    }
};

}  // namespace raftd::wal
