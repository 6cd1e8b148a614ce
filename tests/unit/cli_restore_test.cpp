// A new cluster from a save: what it takes over, that machines make the same, where it is cut, what it
// refuses. That a power cut leaves it whole or not there: tests/crash/restore_test.cpp.
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "cli/new_cluster.h"
#include "cli/restored_cluster.h"
#include "daemon/members.h"
#include "sim/machine.h"
#include "tests/support/restored_cluster.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

TEST(Restore, TakesOverRecordsProducersCursorsAndCheckpoints) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    auto made = restore(files, plan());
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_FALSE(storage.has_unsynced());
    for (uint64_t i = 1; i <= 3; ++i) {
        snapshot::DataDir dir = expect_whole(files, "/new/m" + std::to_string(i) + "/data", source().log.end);
        EXPECT_EQ(dir.identity.cluster_id, (ClusterId{7, 8}));
        EXPECT_EQ(dir.identity.id, NodeId{6 + i});
        EXPECT_EQ(dir.manifest.min_members, 0u) << "a rule of the former membership";
        const auto records = records_of(files, dir);
        ASSERT_EQ(records.size(), source().records.size());
        for (const auto& [lsn, record] : source().records) EXPECT_EQ(records.at(lsn), record.text);
        daemon::State state = state_of(files, dir);
        const daemon::State& old = source().state;
        EXPECT_EQ(state.point(), dir.base);
        ASSERT_NE(state.find("job"), nullptr);
        EXPECT_EQ(state.find("job")->last, old.find("job")->last);
        EXPECT_EQ(state.find("job")->records, old.find("job")->records);
        EXPECT_NE(state.find("job")->answer(1), nullptr);
        EXPECT_EQ(state.retained().cursors().size(), old.retained().cursors().size());
        EXPECT_EQ(state.retained().checkpoints().size(), old.retained().checkpoints().size());
        EXPECT_EQ(state.first_lsn(), old.first_lsn());
        EXPECT_EQ(state.archives().marks(), old.archives().marks());
        ASSERT_EQ(state.configs().size(), 1u) << "a plain configuration";
        EXPECT_EQ(state.configs().begin()->first, dir.base.index);
        EXPECT_EQ(state.used_ids(), (std::set<NodeId>{NodeId{1}, NodeId{2}, NodeId{3}, NodeId{6}, NodeId{7},
                                                      NodeId{8}, NodeId{9}}));
    }
}

// Several machines restore apart, each its own member, and begin from the same bytes.
TEST(Restore, IsTheSameOnEveryMachine) {
    std::map<std::string, std::string> first;
    for (size_t here = 1; here <= 3; ++here) {
        sim::SimStorage storage = machine_with_save();
        sim::SimFiles files(storage);
        RestoredCluster cluster = plan(3, here);
        cluster.salt_seed = here;
        ASSERT_TRUE(restore(files, cluster));
        const std::string folder = "/new/m" + std::to_string(here) + "/data/snapshot";
        std::map<std::string, std::string> found;
        for (auto& [name, content] : snapshot::files_of_save(files, folder)) found[name] = content;
        if (here == 1) first = found;
        EXPECT_EQ(found, first);
        int failed = 0;
        EXPECT_EQ(files.list("/new", failed),
                  (std::vector<std::string>{"cluster.toml", "m" + std::to_string(here)}));
    }
    EXPECT_GE(first.size(), 7u);
}

TEST(Restore, AnotherPlanIsAnotherHistory) {
    std::set<uint64_t> chains;
    for (int i = 0; i < 4; ++i) {
        sim::SimStorage storage = machine_with_save();
        sim::SimFiles files(storage);
        RestoredCluster cluster = plan();
        if (i == 1) cluster.spec.id.low ^= 1;
        if (i == 2) cluster.spec.members[0].peer = "elsewhere:1";
        // The last record ends the log where the save ends but for its cut entry: other state, no producers.
        auto made =
            restore(files, cluster,
                    i == 3 ? std::optional(RestoreUpto{RestoreUpto::By::lsn, source().batch_ends.back()})
                           : std::nullopt);
        ASSERT_TRUE(made) << made.error().what;
        chains.insert(made->snapshot.at.chain);
    }
    EXPECT_EQ(chains.size(), 4u);
}

TEST(Restore, CutAtEveryRecordKeepsWholeBatchesUpToIt) {
    const uint64_t last = source().records.rbegin()->first;
    uint64_t first_end = source().batch_ends.front();
    for (uint64_t upto = 1; upto <= last; ++upto) {
        SCOPED_TRACE(upto);
        sim::SimStorage storage = machine_with_save();
        sim::SimFiles files(storage);
        auto made = restore(files, plan(1), RestoreUpto{RestoreUpto::By::lsn, upto});
        if (upto < first_end) {  // the first batch isn't whole below it
            ASSERT_FALSE(made);
            EXPECT_EQ(made.error().code, Errc::not_found);
            continue;
        }
        ASSERT_TRUE(made) << made.error().what;
        const auto behind = std::upper_bound(source().batch_ends.begin(), source().batch_ends.end(), upto);
        const uint64_t kept = *std::prev(behind);
        snapshot::DataDir dir =
            expect_whole(files, "/new/m1/data",
                         {made->genesis.at.index, made->genesis.at.term, made->genesis.chain_before,
                          Lsn{kept + 1}, made->genesis.timestamp_ms});
        const auto records = records_of(files, dir);
        ASSERT_EQ(records.size(), kept);
        for (const auto& [lsn, record] : records) EXPECT_EQ(record, source().records.at(lsn).text);
        daemon::State state = state_of(files, dir);
        EXPECT_EQ(state.producers(), 0u);
        EXPECT_EQ(state.retained().cursors().size(), 0u);
        EXPECT_EQ(state.archives().open_first(), dir.base.index + 1);
        uint64_t bytes = 0;
        for (const auto& archive : dir.current.snapshot->archives) bytes += archive.content_bytes;
        EXPECT_EQ(state.archives().bytes_total(), bytes);
        for (const auto& [id, checkpoint] : state.retained().checkpoints())
            EXPECT_LE(raw(checkpoint.upto), kept);
        if (HasFailure()) return;
    }
}

TEST(Restore, CutAtATimeKeepsWhatWasWrittenUntilThen) {
    for (uint64_t ms : {uint64_t{1}, uint64_t{1200}, uint64_t{1500}, uint64_t{999'999}}) {
        SCOPED_TRACE(ms);
        uint64_t wanted = 0;
        for (const auto& [lsn, record] : source().records)
            if (record.timestamp_ms <= ms) wanted = lsn;
        sim::SimStorage storage = machine_with_save();
        sim::SimFiles files(storage);
        auto made = restore(files, plan(1), RestoreUpto{RestoreUpto::By::time_ms, ms});
        ASSERT_EQ(made.has_value(), wanted != 0);
        if (!made) {
            EXPECT_EQ(made.error().code, Errc::not_found);
            continue;
        }
        auto dir = snapshot::inspect(files, "/new/m1/data");
        ASSERT_TRUE(dir);
        EXPECT_EQ(records_of(files, *dir).size(), wanted);
    }
}

TEST(Restore, WhatIsBeyondTheEndIsRefused) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    auto made = restore(files, plan(), RestoreUpto{RestoreUpto::By::lsn, source().records.size() + 1});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::not_found);
    EXPECT_NE(made.error().what.find("beyond the end"), std::string::npos) << made.error().what;
}

// A restored cluster is saved and restored in its turn: its archives have one more seam.
TEST(Restore, ARestoredClusterIsSavedAndRestoredAgain) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    for (uint64_t generation = 1; generation <= 4; ++generation) {
        SCOPED_TRACE(generation);
        RestoredCluster cluster = plan(1);
        cluster.folder = "/new" + std::to_string(generation);
        cluster.spec.id = {7, 8 + generation};
        cluster.spec.members[0].id = NodeId{6 + generation};
        // The third one is cut where the second began, the fourth below.
        std::optional<RestoreUpto> upto;
        if (generation >= 3) upto = {RestoreUpto::By::lsn, source().records.size() - (generation - 3) * 40};
        auto made = restore(files, cluster, upto);
        ASSERT_TRUE(made) << made.error().what;
        auto dir = snapshot::inspect(files, cluster.folder + "/m1/data");
        ASSERT_TRUE(dir) << dir.error().what;
        EXPECT_EQ(dir->current.snapshot->seams.size(), generation <= 2 ? generation : 1);
        EXPECT_EQ(state_of(files, *dir).point(), dir->base);
        records_of(files, *dir);
        snapshot::put_file(files, "/save",
                           snapshot::tar_of(snapshot::files_of_save(files, dir->path + "/snapshot")));
    }
}

// What stands at S comes to a new member as a snapshot, never as an empty log that seems to reach S.
TEST(Restore, AMemberAddedLaterBeginsBeforeEverything) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    auto made = restore(files, plan());
    ASSERT_TRUE(made);
    storage.make_dir("/later");
    snapshot::Identity identity{made->genesis.cluster_id, "fresh", NodeId{10}, "m4", {3, 4}};
    ASSERT_TRUE(snapshot::create(files, "/later/data", made->genesis, identity));
    auto dir = snapshot::inspect(files, "/later/data");
    ASSERT_TRUE(dir) << dir.error().what;
    EXPECT_EQ(dir->base.index, Index{});
    EXPECT_EQ(dir->base.lsn_next, Lsn{1});
    EXPECT_EQ(daemon::configuration_at(dir->current, dir->base.index).index, Index{});
    auto survivor = examine_survivor(files, "/later/data");
    ASSERT_FALSE(survivor);
    EXPECT_EQ(survivor.error().code, Errc::conflict);
}

TEST(Restore, NothingIsMadeOverWhatExists) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    storage.make_dir("/new");
    snapshot::put_file(files, "/new/precious", "data");
    auto made = restore(files, plan());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::conflict);
    std::string content;
    EXPECT_EQ(io::read_file(files, "/new/precious", 100, content).error, 0);
    EXPECT_EQ(content, "data");
}

// Each of two calls that begin at once may have looked before the other made anything: one of them makes the
// cluster, and the other one changes nothing.
TEST(Restore, OfTwoAtOnceIntoOneFolderOneWins) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    uint64_t begun = 0, tried = 0;
    RestoredCluster first = plan();
    first.begun = [&] { ++begun; };
    std::vector<std::string> before;
    first.go_on = [&] {  // somewhere in the middle of it, again and again
        before = storage.paths();
        RestoredCluster second = plan();
        second.begun = [&] { ++begun; };
        auto made = restore(files, second);
        EXPECT_FALSE(made);
        EXPECT_EQ(made.error().code, Errc::conflict) << made.error().what;
        EXPECT_EQ(storage.paths(), before);
        ++tried;
        return true;
    };
    ASSERT_TRUE(restore(files, first));
    EXPECT_EQ(begun, 1u) << "who begins may remove what is there";
    EXPECT_GT(tried, 3u);
    records_of(files, expect_whole(files, "/new/m1/data", source().log.end));
}

// The other one had its folder whole before this one's got its name.
TEST(Restore, TheNameIsTakenByThen) {
    struct Taken final : sim::SimFiles {
        using SimFiles::SimFiles;
        io::FileResult rename(std::string_view from, std::string_view to) override {
            return to == "/new" ? io::FileResult{ENOTEMPTY, 0} : SimFiles::rename(from, to);
        }
    };
    sim::SimStorage storage = machine_with_save();
    Taken files(storage);
    auto made = restore(files, plan());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::conflict) << made.error().what;
}

TEST(Restore, IdsThatWereUsedAreRefusedAndRaised) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    RestoredCluster cluster = plan();
    for (uint64_t i = 0; i < 3; ++i) cluster.spec.members[i].id = NodeId{i + 1};
    auto made = restore(files, cluster);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::bad_input);
    EXPECT_TRUE(raise_ids(cluster.spec, NodeId{7}));
    EXPECT_EQ(cluster.spec.members[2].id, NodeId{9});
    EXPECT_FALSE(raise_ids(cluster.spec, NodeId{7}));
}

TEST(Restore, AMembersFolderIsOneInTheNewFolder) {
    sim::SimStorage storage = machine_with_save();
    sim::SimFiles files(storage);
    for (const char* data : {"../x", "/x", "a/b", "."}) {
        RestoredCluster cluster = plan();
        cluster.spec.members[1].data = data;
        auto made = restore(files, cluster);
        ASSERT_FALSE(made) << data;
        EXPECT_EQ(made.error().code, Errc::bad_input);
    }
    auto none = restore(files, plan(3, 0));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::bad_input);
    for (const std::string& path : storage.paths())
        EXPECT_TRUE(path == "/save" || path.starts_with("/member")) << path;
}

}  // namespace
}  // namespace raftd::cli
