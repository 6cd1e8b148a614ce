// A new cluster from one member whose log begins behind archives: they and the state at their end are taken
// over, the log goes on behind them; and what is damaged is refused.
#include <gtest/gtest.h>

#include "snapshot/restore.h"
#include "tests/support/recover_rig.h"
#include "tests/support/saved_cluster.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

using snapshot::SavedCluster;

const ClusterId kRecovered{7, 8};

/// A machine with the data directory of n1, which took a snapshot and has more behind it.
struct Compacted {
    sim::SimStorage storage;
    SavedCluster cluster;
    LogPoint at;                  // of the snapshot
    size_t archives = 0;          // in it
    std::vector<std::byte> tail;  // of the log

    /// `kept`: the log still holds what the archives hold.
    explicit Compacted(bool kept = false, bool members_change = true)
        : at(cluster.log.end), archives(cluster.ends.size()) {
        storage.make_dir("/old");
        storage.sync_dir("/");
        sim::SimFiles files(storage);
        EXPECT_TRUE(snapshot::create(files, "/old/data", cluster.genesis, NodeId{1}));
        cluster.put_snapshot(files, "/old/data/snapshot");
        const size_t archived = cluster.entries.size();
        for (int i = 0; i < 30; ++i) cluster.write_records(3, 0, 0);
        if (members_change) cluster.take(cluster.log.members({1, 2, 3, 8}));
        cluster.take(cluster.log.cursor("late", 100));
        const ByteView all(cluster.entries);
        tail.assign(all.begin() + static_cast<std::ptrdiff_t>(archived), all.end());
        wal::Options options;
        options.dir = "/old/data/wal";
        options.cluster_id = cluster.genesis.cluster_id;
        options.incarnation = cluster.genesis.members[0].incarnation;
        options.base = kept ? snapshot::genesis_point(cluster.genesis) : at;
        options.first_segment_bytes = options.segment_bytes = 64 << 10;
        wal::LogMaker maker(files, options, {Term{9}, NodeId{2}});
        EXPECT_TRUE(maker.append(kept ? all : ByteView(tail)));
        EXPECT_TRUE(maker.finish());
        EXPECT_FALSE(storage.has_unsynced());
    }
};

/// The log of the new directory: the old one's behind S, chained anew, and last the one member.
void expect_log(io::Files& files, const snapshot::DataDir& dir, const Compacted& old, bool configured) {
    wal::Options options;
    options.dir = dir.path + "/wal";
    options.cluster_id = dir.identity.cluster_id;
    options.incarnation = dir.identity.incarnation;
    options.base = dir.base;
    auto walk = wal::LogWalk::open(files, options);
    ASSERT_TRUE(walk) << walk.error().what;
    EXPECT_EQ(walk->found().base, dir.base);
    EXPECT_EQ(walk->found().hard, (HardState{old.cluster.log.term, NodeId{}}));
    auto entries = walk->next(16u << 20);
    ASSERT_TRUE(entries) << entries.error().what;
    EntryCursor now(entries->view());
    expect_chained_anew(old.tail, now, dir.base);
    if (testing::Test::HasFatalFailure()) return;
    const EntryHeader* last = now.next();
    ASSERT_EQ(last != nullptr, configured);
    if (last == nullptr) return;
    auto config = snapshot::decode_configuration(Index{last->index}, now.body());
    ASSERT_TRUE(config.has_value());
    EXPECT_EQ(config->membership, (Membership{{{.id = dir.identity.id}}, {}, false}));
    EXPECT_EQ(now.next(), nullptr);
}

void expect_taken_over(io::Files& files, const Compacted& old, bool configured = true) {
    auto dir = snapshot::inspect(files, "/new/n1/data");
    ASSERT_TRUE(dir) << dir.error().what;
    EXPECT_EQ(dir->identity.cluster_id, kRecovered);
    EXPECT_EQ(dir->identity.name, "n1");
    EXPECT_EQ(dir->base.index, old.at.index);
    EXPECT_EQ(dir->manifest.chain_before, old.at.chain);
    EXPECT_EQ(dir->manifest.members.size(), 1u);
    ASSERT_TRUE(dir->current.snapshot.has_value());
    EXPECT_EQ(dir->current.snapshot->archives.size(), old.archives);
    auto saved = snapshot::Saved::open_folder(files, dir->path + "/snapshot");
    ASSERT_TRUE(saved && saved->verify());
    auto file = saved->state();
    ASSERT_TRUE(file);
    auto state = daemon::State::load(old.cluster.limits, *file);
    ASSERT_TRUE(state) << state.error().what;
    EXPECT_NE(state->find("job"), nullptr) << "producers go on";
    EXPECT_EQ(state->retained().cursors().size(), 6u) << "those of the log come when it is applied";
    EXPECT_TRUE(state->used_ids().contains(NodeId{6}));
    expect_log(files, *dir, old, configured);
}

TEST(RecoverArchives, AreTakenOverAndTheLogGoesOnBehindThem) {
    for (const bool kept : {false, true}) {
        SCOPED_TRACE(kept);
        Compacted old(kept);
        sim::SimFiles files(old.storage);
        const std::vector<std::string> before = old.storage.paths();
        auto survivor = examine_survivor(files, "/old/data");
        ASSERT_TRUE(survivor) << survivor.error().what;
        EXPECT_EQ(survivor->last, old.cluster.log.end);
        EXPECT_EQ(survivor->first_lsn, Lsn{1});
        EXPECT_EQ(survivor->next_id, NodeId{9}) << "above all that archives, state and log have seen";
        EXPECT_EQ(survivor->config.infos.size(), 4u);
        auto made = make_new_cluster(files, *survivor, recover_plan(kRecovered));
        ASSERT_TRUE(made) << made.error().what;
        EXPECT_FALSE(old.storage.has_unsynced());
        expect_taken_over(files, old);
        for (const std::string& path : before) {
            const std::vector<std::string> now = old.storage.paths();
            EXPECT_NE(std::find(now.begin(), now.end(), path), now.end()) << path;
        }
    }
}

// The configuration stands in the archives: the new genesis is what ends it.
TEST(RecoverArchives, NothingIsAddedWhereTheLogHasNoMembership) {
    Compacted old(true, false);
    sim::SimFiles files(old.storage);
    auto survivor = examine_survivor(files, "/old/data");
    ASSERT_TRUE(survivor) << survivor.error().what;
    EXPECT_EQ(survivor->next_id, NodeId{7});
    ASSERT_TRUE(make_new_cluster(files, *survivor, recover_plan(kRecovered)));
    expect_taken_over(files, old, false);
    // And it is a member's directory like any other: it can be recovered in its turn.
    auto again = examine_survivor(files, "/new/n1/data");
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_EQ(again->last.lsn_next, old.cluster.log.end.lsn_next);
    auto made = make_new_cluster(files, *again, recover_plan({9, 9}, "/newer"));
    ASSERT_TRUE(made) << made.error().what;
    auto dir = snapshot::inspect(files, "/newer/n1/data");
    ASSERT_TRUE(dir) << dir.error().what;
    EXPECT_EQ(dir->current.snapshot->seams.size(), 2u);
    EXPECT_EQ(dir->identity.id, NodeId{8});
}

TEST(RecoverArchives, OneDamagedByteInAnyOfThemIsRefused) {
    const Compacted whole;
    uint64_t tried = 0;
    for (const std::string& path : whole.storage.paths()) {
        if (!path.starts_with("/old/data/snapshot/") || path.find("manifest-0.json") != std::string::npos)
            continue;
        SCOPED_TRACE(path);
        Compacted old;
        ASSERT_TRUE(old.storage.flip_bit(path, 20, 2));
        sim::SimFiles files(old.storage);
        auto survivor = examine_survivor(files, "/old/data");
        ASSERT_FALSE(survivor);
        EXPECT_EQ(survivor.error().code, Errc::damaged) << survivor.error().what;
        ++tried;
        if (!path.ends_with(".zst")) continue;
        Compacted lacking;
        lacking.storage.remove(path);
        sim::SimFiles others(lacking.storage);
        EXPECT_FALSE(examine_survivor(others, "/old/data"));
    }
    EXPECT_GE(tried, 6u);
}

TEST(RecoverArchives, APowerCutAtAnyCallLeavesItWholeOrNotThere) {
    const Compacted old;
    const PowerCuts cuts = cut_power_in_recovery(
        old.storage, kRecovered, 3, [](io::Files&, const Survivor&) {},
        [&](io::Files& files) { expect_taken_over(files, old); });
    EXPECT_GT(cuts.whole, 2u);
    EXPECT_GT(cuts.absent, 100u);
}

}  // namespace
}  // namespace raftd::cli
