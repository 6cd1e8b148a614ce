// A new cluster from a save: what it takes over, that machines make the same, where it is cut, what it
// refuses, and that a power cut leaves it whole or not there.
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "cli/new_cluster.h"
#include "cli/restored_cluster.h"
#include "daemon/members.h"
#include "sim/machine.h"
#include "tests/support/saved_cluster.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

using snapshot::RestoreUpto;
using snapshot::Saved;
using snapshot::SavedCluster;

const SavedCluster& source() {
    static SavedCluster cluster;
    return cluster;
}

/// A machine with the save and nothing else.
sim::SimStorage machine_with_save(const SavedCluster& from = source()) {
    sim::SimStorage storage;
    sim::SimFiles files(storage);
    SavedCluster cluster = SavedCluster();
    storage.make_dir("/member");
    cluster.put_snapshot(files, "/member");
    snapshot::put_file(files, "/save", snapshot::tar_of(snapshot::files_of_save(files, "/member")));
    EXPECT_EQ(cluster.log.end, from.log.end);
    storage.sync_dir("/");
    return storage;
}

RestoredCluster plan(size_t members = 3, size_t here = SIZE_MAX) {
    RestoredCluster cluster;
    cluster.folder = "/new";
    cluster.spec.name = "fresh";
    cluster.spec.id = {7, 8};
    for (uint64_t i = 1; i <= members; ++i) {
        const std::string name = "m" + std::to_string(i);
        const bool local = here == SIZE_MAX || here == i;
        cluster.spec.members.push_back({.id = NodeId{6 + i},
                                        .name = name,
                                        .peer = "h:1",
                                        .client = "h:2",
                                        .http = {},
                                        .data = local ? name : ""});
    }
    cluster.cluster_toml = "members";
    return cluster;
}

Result<snapshot::Restored> restore(io::Files& files, RestoredCluster cluster,
                                   std::optional<RestoreUpto> upto = {}) {
    TRY(saved, Saved::open(files, "/save"));
    TRY_VOID(saved.verify());
    if (upto) {
        TRY(cut, snapshot::find_cut(saved, *upto));
        cluster.cut = cut;
    }
    return make_restored_cluster(files, saved, cluster);
}

daemon::State state_of(io::Files& files, const snapshot::DataDir& dir) {
    auto file = snapshot::StateFile::open(files, dir.path + "/snapshot", dir.current.snapshot->state);
    EXPECT_TRUE(file) << file.error().what;
    auto state = daemon::State::load(source().limits, *file);
    EXPECT_TRUE(state) << state.error().what;
    return std::move(*state);
}

/// All records of its archives, each read with chain and body checked, and joined to the one before.
std::map<uint64_t, std::string> records_of(io::Files& files, const snapshot::DataDir& dir) {
    std::map<uint64_t, std::string> records;
    const snapshot::SnapshotManifest& manifest = *dir.current.snapshot;
    for (const snapshot::ArchiveInfo& archive : manifest.archives) {
        auto verified = snapshot::verify_archive(files, dir.path + "/snapshot", archive.name());
        EXPECT_TRUE(verified) << verified.error().what;
        auto reader = snapshot::ArchiveReader::open(files, dir.path + "/snapshot/" + archive.name());
        if (!reader) continue;
        EXPECT_EQ(reader->info(), archive);
        for (size_t frame = 0; frame < reader->frames().size(); ++frame) {
            auto content = reader->content(frame);
            EXPECT_TRUE(content);
            EntryCursor cursor(*content);
            while (const EntryHeader* header = cursor.next()) {
                if (header->kind != EntryKind::batch) continue;
                RecordReader in(*header, cursor.body());
                for (uint64_t lsn = header->lsn_first; auto record = in.next(); ++lsn)
                    records[lsn] = as_text(*record);
            }
        }
    }
    return records;
}

/// The member's directory is one that a start takes: genesis, snapshot, state and empty log agree.
snapshot::DataDir expect_whole(io::Files& files, const std::string& path, const LogPoint& end) {
    auto dir = snapshot::inspect(files, path);
    EXPECT_TRUE(dir) << dir.error().what;
    if (!dir) return {};
    EXPECT_EQ(dir->base, snapshot::genesis_point(dir->manifest));
    EXPECT_EQ(dir->base.index, end.index);
    EXPECT_EQ(dir->base.term, end.term);
    EXPECT_EQ(dir->base.lsn_next, end.lsn_next);
    EXPECT_EQ(dir->base.timestamp_ms, end.timestamp_ms);
    EXPECT_EQ(dir->manifest.chain_before, end.chain);
    EXPECT_NE(dir->base.chain, end.chain);
    EXPECT_EQ(dir->base.chain, checksum(as_bytes(snapshot::encode_manifest(dir->manifest))));
    wal::Options options;
    options.dir = path + "/wal";
    options.cluster_id = dir->identity.cluster_id;
    options.incarnation = dir->identity.incarnation;
    options.base = dir->base;
    auto walk = wal::LogWalk::open(files, options);
    EXPECT_TRUE(walk) << walk.error().what;
    if (walk) {
        EXPECT_EQ(walk->found().last, dir->base);
        EXPECT_EQ(walk->found().hard, (HardState{end.term, NodeId{}}));
    }
    return std::move(*dir);
}

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

TEST(Restore, APowerCutAtAnyCallLeavesItWholeOrNotThere) {
    const sim::SimStorage before = machine_with_save();
    uint64_t whole = 0, absent = 0, calls = 0;
    bool reached = true;
    for (uint64_t n = 1; reached; ++n) {
        reached = false;
        for (uint64_t seed = 1; seed <= 3; ++seed) {
            SCOPED_TRACE("call " + std::to_string(n) + " seed " + std::to_string(seed));
            Random random(n * 10 + seed);
            sim::SimStorage storage = before;
            // And once more, somewhere in the second try, after what the first left was removed by hand.
            for (int round = 1; round <= 2; ++round) {
                const uint64_t cut = storage.calls() + (round == 1 ? n : 1 + random.below(n));
                storage.fault = [&](uint64_t number, const sim::DiskCall&) {
                    if (round == 1) reached |= number == cut;
                    return sim::Verdict{0, number == cut};
                };
                {
                    sim::SimWorld world(storage);
                    world.machine().run([&] { (void)restore(world.machine().files(), plan(2)); });
                }
                storage.fault = nullptr;
                storage.crash(random, sim::CrashPolicy::draw(random));
                sim::SimFiles files(storage);
                auto saved = Saved::open(files, "/save");
                ASSERT_TRUE(saved && saved->verify());
                int failed = 0;
                files.list("/new", failed);
                absent += failed == ENOENT;
                if (failed == 0) {
                    ++whole;
                    for (const char* path : {"/new/m1/data", "/new/m2/data"})
                        records_of(files, expect_whole(files, path, source().log.end));
                    break;
                }
                if (HasFailure()) return;
                for (const std::string& path : storage.paths())
                    if (path.starts_with("/new")) storage.remove(path);
            }
            calls = n;
        }
    }
    printf("%lu calls, %lu times whole, %lu times not there\n", calls, whole, absent);
    EXPECT_GT(whole, 2u);
    EXPECT_GT(absent, 100u);
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
