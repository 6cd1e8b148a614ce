// Long lives of a log: random writes, cuts, kills and power cuts, also in the recoveries. Power cuts at every
// call of scripted work: tests/crash/log_test.cpp.
#include <functional>

#include "tests/support/wal_rig.h"

namespace raftd::wal {
namespace {

struct Tally {
    uint64_t states = 0, recoveries = 0, torn = 0, finished_rolls = 0, torn_creations = 0, began_anew = 0;
};

/// Recovers, with power cuts in the recovery itself, and leaves the log running.
void recover(WalRig& rig, Random& random, Tally& tally) {
    while (random.chance(0.4)) {
        const uint64_t cut = rig.storage.calls() + 1 + random.below(25);
        rig.storage.fault = [cut](uint64_t number, const sim::DiskCall&) {
            return sim::Verdict{0, number == cut};
        };
        const bool up = rig.start();
        ++tally.recoveries;
        ASSERT_TRUE(up || rig.storage.dead()) << rig.why();
        rig.crash();
    }
    ASSERT_TRUE(rig.start()) << rig.why();
    ++tally.recoveries;
    tally.torn += rig.found.report.torn_bytes != 0;
    tally.finished_rolls += rig.found.report.finished_roll;
    tally.torn_creations += rig.found.report.removed_torn_creation;
    tally.began_anew += rig.found.report.began_anew;
}

void report(const char* name, const Tally& tally) {
    testing::Test::RecordProperty(name, static_cast<int>(tally.states));
    printf("%-9s %5lu crash states, %5lu recoveries, %4lu torn, %3lu rolls finished, %3lu torn creations\n",
           name, tally.states, tally.recoveries, tally.torn, tally.finished_rolls, tally.torn_creations);
}

// A long life: random writes, cuts, kills and power cuts at random calls.
TEST(WalCrash, RandomLives) {
    Tally tally;
    for (uint64_t seed = 1; seed <= 30; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random(seed);
        WalRig rig(seed);
        rig.options.group_bytes_max = 4096 << random.below(4);
        rig.init();
        ASSERT_TRUE(rig.start()) << rig.why();
        rig.write(0, 1, {Term{1}, NodeId{1}});
        for (int life = 0; life < 15; ++life) {
            const uint64_t cut = rig.storage.calls() + 1 + random.below(120);
            rig.storage.fault = [cut](uint64_t number, const sim::DiskCall&) {
                return sim::Verdict{0, number == cut};
            };
            while (!rig.world->ended()) {
                const uint64_t size = rig.model.log().size();
                WriteId id;
                if (random.chance(0.15))
                    id = rig.write(size - random.below(std::min<uint64_t>(size, 20) + 1), random.below(4),
                                   {Term{rig.term() + 1}, NodeId{random.below(3)}});
                else
                    id = rig.append(random.below(5), 4000);
                if (random.chance(0.6) && !rig.until_durable(id)) break;
                if (random.chance(0.05)) rig.until_quiet();
                if (random.chance(0.05)) break;
            }
            if (random.chance(0.2) && !rig.storage.dead())
                rig.kill(), rig.storage.fault = nullptr;
            else
                rig.crash();
            ++tally.states;
            recover(rig, random, tally);
            if (HasFailure()) return;
        }
    }
    report("lives", tally);
}

}  // namespace
}  // namespace raftd::wal
