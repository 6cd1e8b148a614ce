// Snapshots of whole members: archives and states that are taken while appends go on, what goes and what
// stays, and what a start makes of it.
#include <gtest/gtest.h>

#include "snapshot/archive_reader.h"
#include "tests/support/sim_fixture.h"

namespace raftd::sim {
namespace {

/// Who is down for a while must find the segments that it lacks.
ClusterOptions long_segments() {
    ClusterOptions options = small_archives();
    options.wal_keep_bytes = uint64_t{1} << 50;
    options.archives_first = true;
    return options;
}

struct SnapshotTest : SimFixture, testing::Test {
    explicit SnapshotTest(const ClusterOptions& options = small_archives()) : SimFixture(33, options) {}

    void SetUp() override { start_loaded(seconds(10)); }
    Index snapshot_of(uint32_t member) const {
        const auto* snapshot = cluster.node(member)->snapshot();
        return snapshot == nullptr ? Index{} : snapshot->at.index;
    }
    size_t segments(uint32_t member) {
        int error = 0;
        return cluster.storage(member).list("/data/wal", error).size();
    }
    /// All appended is applied by all, whose states and archives are equal and read back.
    void expect_all_equal() {
        expect_states_equal();
        run_for(seconds(2));
        for (uint32_t i = 1; i <= cluster.count(); ++i) {
            ASSERT_NE(cluster.node(i)->snapshot(), nullptr);
            const auto& archives = cluster.node(i)->snapshot()->archives;
            cluster.truth().check_archives(i, archives);
            for (const auto& archive : archives) {
                SimFiles files(cluster.storage(i));
                auto verified = snapshot::verify_archive(files, "/data/snapshot", archive.name());
                EXPECT_TRUE(verified) << verified.error().what;
            }
        }
        EXPECT_GT(reached[Reach::archives_compared], 0u);
        expect_read_whole();
    }
};

struct LongSnapshotTest : SnapshotTest {
    LongSnapshotTest() : SnapshotTest(long_segments()) {}
};

TEST_F(SnapshotTest, MembersMakeTheSameArchivesAndTheLogStopsGrowing) {
    // Kept: 2 of 64 KiB, what one archive spans, the active one, and the one made ahead.
    for (int round = 0; round < 3; ++round) {
        for (uint32_t i = 1; i <= cluster.count(); ++i) {
            EXPECT_GT(snapshot_of(i), Index{500} + 1000u * static_cast<uint64_t>(round));
            EXPECT_GT(cluster.node(i)->core().view().base.index, Index{100});
            EXPECT_LE(segments(i), 8u);
        }
        run_for(seconds(10));
    }
    expect_all_equal();
}

// What a snapshot covers is committed, whoever is heard. A member that began at its log's first entry instead
// took the oldest configuration that it still knew for the one in force there, and told a member of then that
// it was removed.
TEST_F(SnapshotTest, AMemberThatStartsAloneKnowsThatItsSnapshotIsCommitted) {
    const uint32_t member = follower();
    for (uint32_t i = 1; i <= cluster.count(); ++i) cluster.kill(i);
    cluster.start(member);
    const raft::View view = cluster.node(member)->core().view();
    ASSERT_LT(view.base.index, snapshot_of(member));
    EXPECT_EQ(view.commit, snapshot_of(member));
    for (uint32_t i = 1; i <= cluster.count(); ++i)
        if (i != member) cluster.start(i);
    run_for(seconds(3));
    expect_all_equal();
}

// H5: below the newest snapshot there is no log that would make the state again.
TEST_F(SnapshotTest, AStateThatIsGoneComesFromTheSnapshot) {
    for (int round = 0; round < 3; ++round) {
        const uint32_t member = follower();
        const Index at = snapshot_of(member);
        cluster.kill(member);
        if (round == 0) cluster.store(member).delete_all();
        if (round == 1) cluster.store(member).damage();
        if (round == 2) cluster.store(member).roll_back(1000);
        cluster.start(member);
        EXPECT_GE(state(member).applied(), at);
        EXPECT_LE(state(member).applied(), at + 200);
        run_for(seconds(3));
    }
    expect_all_equal();
}

// B61, B62: a kill or a power cut at any call to the disk leaves a snapshot in force, and nothing is lost.
TEST_F(LongSnapshotTest, IsWholeWhereverTheProcessEnds) {
    for (uint32_t round = 0; round < 60; ++round) {
        const uint32_t member = round % cluster.count() + 1;
        uint64_t left = 1 + kernel.random.below(60);
        cluster.storage(member).fault = [&left](uint64_t, const DiskCall& call) {
            const bool of_snapshot = call.path.find("/snapshot") != std::string_view::npos;
            if (of_snapshot && left != 0) --left;
            return Verdict{0, of_snapshot && left == 0};
        };
        until([&] { return !cluster.up(member); });
        until([&] { return cluster.up(member); });
        run_for(milliseconds(1500));
    }
    EXPECT_GE(reached[Reach::power_cut_inside_turn], 60u);
    expect_all_equal();
}

// H19: a disk that is full for snapshots, or fails, is an alarm; appends go on, and it heals by itself.
TEST_F(SnapshotTest, ADiskThatRefusesIsAnAlarmAndTriedAgain) {
    for (int error : {ENOSPC, EIO}) {
        const uint32_t member = leader();
        const Index before = snapshot_of(member);
        cluster.storage(member).fault = [error](uint64_t, const DiskCall& call) {
            const bool writes =
                call.op == DiskOp::write && call.path.find("/snapshot/archive.tmp") != std::string_view::npos;
            return Verdict{writes ? error : 0, false};
        };
        run_for(seconds(5));
        EXPECT_LE(snapshot_of(member), before + 80);
        EXPECT_NE(cluster.node(member)->dump().find("alarm=snapshot"), std::string::npos);
        const uint64_t acked = writer->acked();
        run_for(seconds(5));
        EXPECT_GT(writer->acked(), acked + 300);
        cluster.storage(member).fault = nullptr;
        until([&] {
            return snapshot_of(member) > before + 300 &&
                   cluster.node(member)->dump().find("alarm=snapshot") == std::string::npos;
        });
    }
    expect_all_equal();
}

}  // namespace
}  // namespace raftd::sim
