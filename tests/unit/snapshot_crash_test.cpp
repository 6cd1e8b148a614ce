// Power cuts at every call to the disk of taking a snapshot, each with several random subsets of what wasn't
// synced, each followed by a start (itself cut now and then), another snapshot, a second crash and a second
// start. CURRENT always leads to a whole snapshot, never an older one than was in force, and leftovers go.
#include <gtest/gtest.h>

#include "sim/machine.h"
#include "snapshot/archive_reader.h"
#include "snapshot/data_dir.h"
#include "snapshot/snapshot_dir.h"
#include "tests/support/archive_log.h"
#include "tests/support/memory_store.h"

namespace raftd::snapshot {
namespace {

constexpr const char* kDir = "d/data";
constexpr const char* kSnapshots = "d/data/snapshot";
constexpr uint64_t kEntriesInArchive = 5;

Manifest one_member() {
    Manifest manifest;
    manifest.cluster_id = {1, 2};
    manifest.cluster_name = "crash";
    manifest.members.push_back(
        {NodeId{1}, "n1", "n1:1", "n1:2", genesis_incarnation(manifest.cluster_id, NodeId{1}), false, 0});
    return manifest;
}

class SnapshotRig {
public:
    explicit SnapshotRig(uint64_t seed) : log_(genesis_point(one_member())), random_(seed) {
        storage.make_dir("d");
        storage.sync_dir("");
        Random content(seed);
        log_.random(content, 60, 800);
        in_process([&](io::Files& files) {
            auto made = create(files, kDir, one_member(), NodeId{1});
            ASSERT_TRUE(made) << made.error().what;
        });
        EXPECT_FALSE(storage.has_unsynced());
    }

    /// False: the power went.
    bool in_process(const std::function<void(io::Files&)>& part) {
        sim::SimWorld world(storage, random_.next());
        const bool up = world.machine().run([&] { part(world.machine().files()); });
        if (up) {
            EXPECT_EQ(world.machine().files().open_count(), 0u);
        }
        return up && !storage.dead();
    }
    void crash() {
        storage.fault = nullptr;
        storage.crash(random_, sim::CrashPolicy::draw(random_));
    }
    void cut_at(uint64_t call, bool* reached = nullptr) {
        storage.fault = [call, reached](uint64_t number, const sim::DiskCall&) {
            if (reached != nullptr) *reached |= number == call;
            return sim::Verdict{0, number == call};
        };
    }

    /// As a member does: archives up to S, the state at S, the manifest, CURRENT; then what is older goes.
    void take(uint64_t archives) {
        in_process([&](io::Files& files) {
            auto current = read_current(files, kSnapshots);
            ASSERT_TRUE(current) << current.error().what;
            SnapshotManifest manifest = current->snapshot.value_or(SnapshotManifest{});
            manifest.cluster_id = current->genesis.cluster_id;
            manifest.cluster_name = current->genesis.cluster_name;
            manifest.genesis_name = current->genesis_name;
            manifest.genesis_hash = genesis_point(current->genesis).chain;
            manifest.configs = {{Index{}, membership_of(current->genesis), current->genesis.members}};
            LogPoint at = current->base();
            for (uint64_t i = 0; i < archives; ++i) {
                ArchiveWriter writer(kSnapshots, at, 1);
                auto added = writer.add(files, entries(raw(at.index), kEntriesInArchive));
                ASSERT_TRUE(added) << added.error().what;
                auto info = writer.finish(files);
                ASSERT_TRUE(info) << info.error().what;
                manifest.archives.push_back(*info);
                at = info->end;
            }
            manifest.at = at;
            MemoryStore store;
            store.keys = state_at(at.index);
            auto state = write_state_file(files, kSnapshots, at, store);
            ASSERT_TRUE(state) << state.error().what;
            manifest.state = *state;
            begun_ = at.index;
            auto done = put_in_force(files, kSnapshots, manifest);
            ASSERT_TRUE(done) << done.error().what;
            in_force_ = at.index;
            Current now{manifest.name(), current->genesis, current->genesis_name, manifest};
            ASSERT_TRUE(remove_leftovers(files, kSnapshots, now));
        });
    }

    /// A start: whole, as new as was in force, and nothing is left over. False: the power went.
    bool start() {
        return in_process([&](io::Files& files) {
            auto dir = open(files, kDir, 7);
            ASSERT_TRUE(dir) << dir.error().what;
            EXPECT_GE(dir->base.index, in_force_);
            EXPECT_LE(dir->base.index, begun_);
            in_force_ = dir->base.index;
            std::function<sim::Verdict(uint64_t, const sim::DiskCall&)> fault;
            std::swap(fault, storage.fault);  // the rest is a look from outside
            std::set<std::string> names{"CURRENT", dir->current.name, dir->current.genesis_name};
            if (dir->current.snapshot) check(files, *dir->current.snapshot, names);
            int error = 0;
            const auto found = files.list(kSnapshots, error);
            EXPECT_EQ(std::set<std::string>(found.begin(), found.end()), names);
            std::swap(fault, storage.fault);
        });
    }
    Index in_force() const { return in_force_; }

    sim::SimStorage storage;

private:
    ByteView entries(uint64_t after, uint64_t count) const {
        const uint64_t from = after == 0 ? 0 : log_.ends.at(after - 1);
        return log_.view().subspan(from, log_.ends.at(after + count - 1) - from);
    }
    static std::map<std::string, std::string> state_at(Index index) {
        std::map<std::string, std::string> keys{{"f", std::to_string(raw(index))}};
        for (uint64_t i = 0; i < raw(index); ++i) keys["k" + std::to_string(i)] = std::string(i * 7, 'v');
        return keys;
    }
    void check(io::Files& files, const SnapshotManifest& manifest, std::set<std::string>& names) {
        LogPoint at = genesis_point(one_member());
        for (const ArchiveInfo& archive : manifest.archives) {
            auto verified = verify_archive(files, kSnapshots, archive.name());
            ASSERT_TRUE(verified) << verified.error().what;
            EXPECT_EQ(*verified, archive);
            EXPECT_EQ(archive.before, at);
            at = archive.end;
            names.insert(archive.name());
        }
        EXPECT_EQ(at, log_.points.at(raw(manifest.at.index) - 1));
        EXPECT_EQ(at, manifest.at);
        auto state = StateFile::open(files, kSnapshots, manifest.state);
        ASSERT_TRUE(state) << state.error().what;
        EXPECT_EQ(state->at(), manifest.at);
        std::map<std::string, std::string> keys;
        EXPECT_TRUE(state->for_each([&](auto key, auto value) { keys.emplace(key, value); }));
        EXPECT_EQ(keys, state_at(manifest.at.index));
        names.insert(manifest.state.name);
    }

    ArchiveLog log_;
    Random random_;
    Index in_force_{}, begun_{};
};

void start_with_cuts(SnapshotRig& rig, Random& random) {
    while (random.chance(0.4)) {
        rig.cut_at(rig.storage.calls() + 1 + random.below(20));
        rig.start();
        if (testing::Test::HasFailure()) return;
        rig.crash();
    }
    ASSERT_TRUE(rig.start());
}

/// Takes a snapshot with the power cut at its n-th disk call, for every n there is.
uint64_t cut_everywhere(uint64_t before, uint64_t archives, uint64_t subsets) {
    uint64_t states = 0;
    bool reached = true;
    for (uint64_t n = 1; reached && !testing::Test::HasFailure(); ++n) {
        reached = false;
        for (uint64_t seed = 1; seed <= subsets && !testing::Test::HasFailure(); ++seed) {
            SCOPED_TRACE("call " + std::to_string(n) + " seed " + std::to_string(seed));
            Random random(n * 1000 + seed);
            SnapshotRig rig(n * 1000 + seed);
            for (uint64_t i = 0; i < before; ++i) rig.take(1);
            const Index had = rig.in_force();
            rig.cut_at(rig.storage.calls() + n, &reached);
            rig.take(archives);
            rig.crash();
            ++states;
            start_with_cuts(rig, random);
            EXPECT_GE(rig.in_force(), had);
            rig.take(1);
            rig.crash();
            start_with_cuts(rig, random);
            EXPECT_GT(rig.in_force(), had);
        }
    }
    return states;
}

TEST(SnapshotCrash, First) { EXPECT_GT(cut_everywhere(0, 2, 20), 300u); }

TEST(SnapshotCrash, BehindAnother) { EXPECT_GT(cut_everywhere(2, 2, 20), 300u); }

}  // namespace
}  // namespace raftd::snapshot
