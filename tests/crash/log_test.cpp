// The write-ahead log: appends, votes, rolls, cuts, removal of old segments, replacement by a snapshot, the
// first start. What must be there is what WalRig's model says of every write that was acknowledged.
#include <gtest/gtest.h>

#include "tests/crash/enumerator.h"
#include "tests/crash/totals.h"
#include "tests/support/wal_rig.h"

namespace raftd::crash {
namespace {

using wal::WalRig;

/// What recoveries met, of all scripts.
struct Met {
    uint64_t torn = 0, finished_rolls = 0, torn_creations = 0, began_anew = 0;
} met;

class WalLife final : public Life {
public:
    explicit WalLife(std::unique_ptr<WalRig> rig) : rig_(std::move(rig)) {}

    sim::SimStorage& disk() override { return rig_->storage; }
    WalRig& rig() { return *rig_; }
    std::unique_ptr<Life> copy() override { return std::make_unique<WalLife>(rig_->copy()); }
    bool start() override {
        const bool up = rig_->start();
        EXPECT_TRUE(up || rig_->storage.dead()) << rig_->why();
        if (!up) return false;
        met.torn += rig_->found.report.torn_bytes != 0;
        met.finished_rolls += rig_->found.report.finished_roll;
        met.torn_creations += rig_->found.report.removed_torn_creation;
        met.began_anew += rig_->found.report.began_anew;
        return true;
    }
    void go_on(Random& random) override {
        EXPECT_TRUE(rig_->until_durable(rig_->append(1 + random.below(4))));
        EXPECT_TRUE(rig_->until_durable(rig_->append(1)));
        if (random.chance(0.5)) rig_->until_quiet();
    }
    void end() override { rig_->kill(); }

private:
    std::unique_ptr<WalRig> rig_;
};

using Step = std::function<void(WalRig&)>;

Script script(std::string name, const Step& prepare, const Step& run) {
    return {std::move(name),
            [prepare]() -> std::unique_ptr<Life> {
                auto rig = std::make_unique<WalRig>(7);
                rig->init();
                EXPECT_TRUE(rig->start()) << rig->why();
                prepare(*rig);
                return std::make_unique<WalLife>(std::move(rig));
            },
            [run](Life& life) { run(static_cast<WalLife&>(life).rig()); }};
}

void some_entries(WalRig& rig) {
    ASSERT_TRUE(rig.until_durable(rig.write(0, 3, {Term{1}, NodeId{1}})));
    ASSERT_TRUE(rig.until_durable(rig.append(4)));
}

// Small groups, of which every subset of sectors is made, and large ones.
Script append_script() {
    return script("append", some_entries, [](WalRig& rig) {
        ASSERT_TRUE(rig.until_durable(rig.append(1, 10)));
        for (int i = 0; i < 4; ++i) {
            rig.append(2, 3000);
            ASSERT_TRUE(rig.until_durable(rig.append(3)));
        }
        rig.until_quiet();
    });
}

Script vote_script() {
    return script("vote", some_entries, [](WalRig& rig) {
        for (uint64_t term = 2; term < 6; ++term) {
            ASSERT_TRUE(rig.until_durable(rig.write(7, 0, {Term{term}, NodeId{}})));
            ASSERT_TRUE(rig.until_durable(rig.write(7, 0, {Term{term}, NodeId{1 + term % 3}})));
        }
    });
}

// For lack of room, while the segment behind the next is being made.
Script roll_script() {
    return script(
        "roll",
        [](WalRig& rig) {
            rig.write(0, 1, {Term{1}, NodeId{1}});
            while (rig.wal->counters().rolls == 0) ASSERT_TRUE(rig.until_durable(rig.append(6, 2000)));
            rig.until_quiet();
        },
        [](WalRig& rig) {
            const uint64_t rolls = rig.wal->counters().rolls;
            while (rig.wal->counters().rolls < rolls + 2) ASSERT_TRUE(rig.until_durable(rig.append(8, 3000)));
            rig.append(1);
            rig.until_quiet();
        });
}

// Below what is durable, below what is in flight, twice in a row, to nothing at all.
Script truncate_script() {
    return script("truncate", some_entries, [](WalRig& rig) {
        rig.append(5);
        rig.write(9, 3, {Term{2}, NodeId{2}});
        ASSERT_TRUE(rig.until_durable(rig.write(5, 4, {Term{3}, NodeId{2}})));
        rig.append(2);
        ASSERT_TRUE(rig.until_durable(rig.write(4, 0, {Term{4}, NodeId{}})));
        ASSERT_TRUE(rig.until_durable(rig.write(2, 2, {Term{5}, NodeId{1}})));
        rig.until_quiet();
        ASSERT_TRUE(rig.until_durable(rig.write(0, 2, {Term{6}, NodeId{1}})));
        rig.until_quiet();
    });
}

// Oldest first, as a snapshot lets them go.
Script drop_script() {
    return script(
        "drop",
        [](WalRig& rig) {
            rig.write(0, 1, {Term{1}, NodeId{1}});
            while (rig.wal->counters().rolls < 3) ASSERT_TRUE(rig.until_durable(rig.append(6, 3000)));
            rig.until_quiet();
            rig.options.base = rig.model.end();  // as the snapshot would say at the next start
        },
        [](WalRig& rig) {
            rig.wal->drop_below(rig.model.end());
            rig.append(2);
            rig.until_quiet();
        });
}

// The log is replaced by a snapshot: behind its end, and inside it where it holds another entry. What comes
// back begins behind the snapshot; nothing of the old log does, but the promises.
Script reset_script(uint64_t index) {
    auto base = std::make_shared<LogPoint>();
    return script(
        "reset to " + std::to_string(index),
        [base, index](WalRig& rig) {
            some_entries(rig);
            ASSERT_TRUE(rig.until_durable(rig.write(2, 6, {Term{2}, NodeId{}})));
            *base = rig.snapshot_point(index, Term{1});  // no entry of this log
            rig.append(2);                               // under way
            rig.install(*base);
        },
        [base, index](WalRig& rig) {
            ASSERT_TRUE(rig.until_durable(rig.reset(*base, {Term{3}, NodeId{}})));
            rig.append(2);
            ASSERT_TRUE(rig.until_durable(rig.write(index + 1, 2, {Term{4}, NodeId{1}})));
            rig.until_quiet();
        });
}

// What a killed process wrote and didn't sync is there for the next one: which may only build on it once it
// is on the disk.
Script restart_script() {
    return script(
        "restart",
        [](WalRig& rig) {
            some_entries(rig);
            rig.append(3, 2000);
            ASSERT_TRUE(rig.storage.has_unsynced());
            rig.kill();
        },
        [](WalRig& rig) {
            ASSERT_TRUE(rig.start()) << rig.why();
            ASSERT_TRUE(rig.until_durable(rig.append(2)));
        });
}

TEST(CrashLog, Append) {
    look_at(append_script());
    EXPECT_GT(met.torn, 10u);
}
TEST(CrashLog, Restart) { look_at(restart_script()); }
TEST(CrashLog, Vote) { look_at(vote_script()); }
TEST(CrashLog, Roll) {
    look_at(roll_script());
    EXPECT_GT(met.finished_rolls, 0u);
}
TEST(CrashLog, Truncate) { look_at(truncate_script()); }
TEST(CrashLog, Drop) { look_at(drop_script()); }
TEST(CrashLog, Reset) {
    for (uint64_t index : {3, 9, 50}) look_at(reset_script(index));
    EXPECT_GT(met.began_anew, 0u);
    EXPECT_GT(met.torn_creations, 0u);
}

/// What a sync of the log is for, by what was written right before it.
std::string purpose(const Sync& sync) {
    if (sync.directory) return sync.before == sim::DiskOp::remove ? "removal" : "name";
    if (sync.before != sim::DiskOp::write || sync.before_path != sync.path) return "zeros";
    if (sync.offset == 0) return "header";
    if (sync.offset == wal::kSealAt) return "seal";
    return sync.bytes % wal::kBlockBytes == 0 ? "group" : "footer";
}

// A sync that is forgotten is noticed: of each group, of each header of a segment, of each name that a seal
// leads to. Not missed, by what a start does without: a footer (it scans), a seal (the good header behind it
// finishes the roll), the zeros (the header's sync has them too), the name of a segment that isn't used yet,
// the last removal, and at the end of each script the closing marker, which promises nothing.
TEST(CrashLog, NoSyncCanBeForgotten) {
    uint64_t syncs = 0, noticed = 0;
    std::map<std::string, uint64_t> unnoticed;
    for (const Script& script : {append_script(), vote_script(), roll_script(), truncate_script(),
                                 drop_script(), reset_script(9), restart_script()}) {
        const Forgotten found = forget_each_sync(script, {.disks = 200});
        uint64_t markers = 0, names = 0;
        for (const Sync& sync : found.unnoticed) {
            const std::string what = purpose(sync);
            ++unnoticed[what];
            markers += what == "group", names += what == "name";
            EXPECT_NE(what, "header") << script.name << " " << sync.path;
        }
        // That one cuts two groups off before anybody heard that they are durable, and is idle twice.
        EXPECT_LE(markers, script.name == "truncate" ? 4u : 1u) << script.name;
        EXPECT_LE(names, 1u) << script.name;
        syncs += found.syncs, noticed += found.syncs - found.unnoticed.size();
    }
    printf("%lu syncs forgotten, %lu of them noticed; not missed:", syncs, noticed);
    for (const auto& [what, count] : unnoticed) printf(" %lu x %s", count, what.c_str());
    printf("\n");
    EXPECT_GT(noticed, 50u);
}

}  // namespace
}  // namespace raftd::crash
