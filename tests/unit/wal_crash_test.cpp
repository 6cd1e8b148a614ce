// Power cuts at every call the log makes to the disk, each with several random subsets of what wasn't synced,
// each followed by a recovery (itself cut now and then), an append, a second crash and a second recovery.
#include <functional>

#include "tests/support/wal_rig.h"

namespace raftd::wal {
namespace {

using Script = std::function<void(WalRig&)>;

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

/// Runs `script` with the power cut at its n-th disk call, for every n there is.
Tally cut_everywhere(const Script& prepare, const Script& script, uint64_t subsets) {
    Tally tally;
    bool reached = true;
    for (uint64_t n = 1; reached && !testing::Test::HasFatalFailure(); ++n) {
        reached = false;
        for (uint64_t seed = 1; seed <= subsets; ++seed) {
            SCOPED_TRACE("call " + std::to_string(n) + " seed " + std::to_string(seed));
            Random random(n * 1000 + seed);
            WalRig rig(n * 1000 + seed);
            rig.init();
            EXPECT_TRUE(rig.start()) << rig.why();
            prepare(rig);
            const uint64_t cut = rig.storage.calls() + n;
            rig.storage.fault = [&rig, cut, &reached](uint64_t number, const sim::DiskCall&) {
                reached |= number == cut;
                return sim::Verdict{0, number == cut};
            };
            script(rig);
            rig.crash();
            ++tally.states;
            recover(rig, random, tally);
            if (testing::Test::HasFatalFailure()) return tally;
            EXPECT_TRUE(rig.until_durable(rig.append(1 + random.below(4))));
            EXPECT_TRUE(rig.until_durable(rig.append(1)));
            if (random.chance(0.5)) rig.until_quiet();
            rig.crash();
            EXPECT_TRUE(rig.start()) << rig.why();
            if (testing::Test::HasFailure()) return tally;
        }
    }
    return tally;
}

void some_entries(WalRig& rig) {
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.append(4)));
}

void report(const char* name, const Tally& tally) {
    testing::Test::RecordProperty(name, static_cast<int>(tally.states));
    printf("%-9s %5lu crash states, %5lu recoveries, %4lu torn, %3lu rolls finished, %3lu torn creations\n",
           name, tally.states, tally.recoveries, tally.torn, tally.finished_rolls, tally.torn_creations);
}

// Acknowledged entries and votes must be there after a power cut at any moment of appending.
TEST(WalCrash, Append) {
    Tally tally = cut_everywhere(
        some_entries,
        [](WalRig& rig) {
            for (int i = 0; i < 4; ++i) {
                rig.append(2, 3000);
                if (!rig.until_durable(rig.append(3))) return;
            }
            rig.until_quiet();
        },
        40);
    report("append", tally);
    EXPECT_GT(tally.torn, 10u);
}

// A promise (term, vote) must survive, and no older one may come back.
TEST(WalCrash, Vote) {
    Tally tally = cut_everywhere(
        some_entries,
        [](WalRig& rig) {
            for (uint64_t term = 2; term < 6; ++term) {
                if (!rig.until_durable(rig.write(7, 0, {Term{term}, NodeId{}}))) return;
                if (!rig.until_durable(rig.write(7, 0, {Term{term}, NodeId{term % 3}}))) return;
            }
        },
        40);
    report("vote", tally);
}

// A roll for lack of room, with the next segment being made at the same time.
TEST(WalCrash, Roll) {
    Tally tally = cut_everywhere(
        [](WalRig& rig) {
            rig.write(0, 1, {Term{1}, NodeId{1}});
            while (rig.wal->counters().rolls == 0) ASSERT_TRUE(rig.until_durable(rig.append(6, 2000)));
            rig.until_quiet();
        },
        [](WalRig& rig) {
            const uint64_t rolls = rig.wal->counters().rolls;
            while (rig.wal->counters().rolls < rolls + 2)
                if (!rig.until_durable(rig.append(8, 3000))) return;
            rig.append(1);
            rig.until_quiet();
        },
        30);
    report("roll", tally);
    EXPECT_GT(tally.finished_rolls, 0u);
}

// Cuts of the log: below what is durable, below what is in flight, twice in a row, to nothing at all.
TEST(WalCrash, Truncate) {
    Tally tally = cut_everywhere(
        some_entries,
        [](WalRig& rig) {
            rig.append(5);
            rig.write(9, 3, {Term{2}, NodeId{2}});
            if (!rig.until_durable(rig.write(5, 4, {Term{3}, NodeId{2}}))) return;
            rig.append(2);
            if (!rig.until_durable(rig.write(4, 0, {Term{4}, NodeId{}}))) return;
            if (!rig.until_durable(rig.write(2, 2, {Term{5}, NodeId{1}}))) return;
            rig.until_quiet();
        },
        20);
    report("truncate", tally);
    EXPECT_GT(tally.finished_rolls, 0u);
}

// Removal of old segments, oldest first.
TEST(WalCrash, Drop) {
    Tally tally = cut_everywhere(
        [](WalRig& rig) {
            rig.write(0, 1, {Term{1}, NodeId{1}});
            while (rig.wal->counters().rolls < 3) ASSERT_TRUE(rig.until_durable(rig.append(6, 3000)));
            rig.until_quiet();
            rig.options.base = rig.model.end();  // as a snapshot would say at the next start
        },
        [](WalRig& rig) {
            rig.wal->drop_below(rig.model.end());
            rig.append(2);
            rig.until_quiet();
        },
        30);
    report("drop", tally);
}

// The log is replaced by a snapshot: behind its end, and inside it where it holds another entry. Whenever the
// power goes, what comes back begins behind the snapshot; nothing of the old log does, but the promises.
TEST(WalCrash, Reset) {
    for (uint64_t index : {3, 9, 50}) {
        LogPoint base;
        Tally tally = cut_everywhere(
            [&](WalRig& rig) {
                some_entries(rig);
                ASSERT_TRUE(rig.until_durable(rig.write(2, 6, {Term{2}, NodeId{}})));
                base = rig.snapshot_point(index, Term{1});  // no entry of this log
                rig.append(2);                              // under way
                rig.install(base);
            },
            [&](WalRig& rig) {
                if (!rig.until_durable(rig.reset(base, {Term{3}, NodeId{}}))) return;
                rig.append(2);
                if (!rig.until_durable(rig.write(index + 1, 2, {Term{4}, NodeId{1}}))) return;
                rig.until_quiet();
            },
            20);
        report("reset", tally);
        EXPECT_GT(tally.finished_rolls, 0u);
        EXPECT_GT(tally.began_anew, 0u);
    }
}

// init is cut at every call: what is left is refused, or is a whole empty log.
TEST(WalCrash, FirstStart) {
    uint64_t whole = 0, refused = 0;
    for (uint64_t n = 1; n <= 8; ++n) {
        for (uint64_t seed = 1; seed <= 40; ++seed) {
            WalRig rig(seed);
            const uint64_t cut = rig.storage.calls() + n;
            rig.storage.fault = [cut](uint64_t number, const sim::DiskCall&) {
                return sim::Verdict{0, number == cut};
            };
            {
                sim::SimWorld maker(rig.storage, seed);
                maker.machine().run([&] { (void)create_first(maker.machine().files(), rig.options); });
            }
            rig.model.asked = {{WriteId{}, {}, {}, {}}};
            rig.crash();
            if (rig.start()) {
                ++whole;
                EXPECT_TRUE(rig.until_durable(rig.write(0, 2, {Term{1}, NodeId{1}})));
                rig.crash();
                EXPECT_TRUE(rig.start()) << rig.why();
            } else {
                ++refused;
                EXPECT_EQ(rig.refused.code, Errc::damaged) << rig.why();
            }
        }
    }
    EXPECT_GT(whole, 40u);
    EXPECT_GT(refused, 40u);
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
