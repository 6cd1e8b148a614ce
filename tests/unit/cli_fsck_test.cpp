// raftctl fsck over a whole data directory: every damage is found, named by file and offset and weighed; what
// is mended stands up to a start and to power cuts; and nothing is touched that isn't understood.
#include <gtest/gtest.h>

#include "cli/fsck_check.h"
#include "sim/machine.h"
#include "tests/support/saved_cluster.h"
#include "wal/format.h"
#include "wal/make.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

using snapshot::MemoryStore;
using snapshot::SavedCluster;

constexpr const char* kDir = "/n1/data";

/// A store in memory that is there, broken, or gone.
struct FakeStore final : snapshot::StoreMaker {
    MemoryStore content;
    std::optional<Error> broken;
    bool removed = false;
    struct View final : snapshot::Store {
        const MemoryStore& of;
        explicit View(const MemoryStore& store) : of(store) {}
        Result<void> write(const snapshot::StoreBatch&) override { return error(Errc::io, "only read"); }
        Result<void> flush() override { return {}; }
        Result<std::optional<snapshot::StoreMark>> mark() const override { return of.mark(); }
        Result<void> for_each(
            const std::function<void(std::string_view, std::string_view)>& visit) const override {
            return of.for_each(visit);
        }
    };
    Result<std::unique_ptr<snapshot::Store>> open() override {
        if (broken) return *broken;
        return std::unique_ptr<snapshot::Store>(new View(content));
    }
    Result<void> remove() override {
        removed = true;
        broken.reset();
        content = {};
        return {};
    }
};

/// n1's directory: a snapshot with archives, a log of several segments that reaches back to the genesis, and
/// a store that stands in the middle of it.
struct Member {
    sim::SimStorage storage;
    wal::Options options;
    LogPoint last;
    FakeStore store;

    Member() {
        SavedCluster cluster;
        for (const char* dir : {"/n1"}) storage.make_dir(dir);
        storage.sync_dir("/");
        sim::SimFiles files(storage);
        EXPECT_TRUE(snapshot::make_folders(files, kDir));
        cluster.put_snapshot(files, std::string(kDir) + "/snapshot");
        const snapshot::GenesisMember& me = cluster.genesis.members.front();
        EXPECT_TRUE(snapshot::finish_folders(
            files, kDir,
            {cluster.genesis.cluster_id, cluster.genesis.cluster_name, me.id, me.name, me.incarnation}));
        store.content.newest = {cluster.genesis.cluster_id, me.incarnation, cluster.log.end};
        for (int i = 0; i < 200; ++i) cluster.write_records(2, 0, 0);
        last = cluster.log.end;
        options.dir = std::string(kDir) + "/wal";
        options.cluster_id = cluster.genesis.cluster_id;
        options.incarnation = me.incarnation;
        options.base = snapshot::genesis_point(cluster.genesis);
        options.first_segment_bytes = options.segment_bytes = 64 << 10;
        options.group_bytes_max = 1 << 10;
        wal::LogMaker maker(files, options, {Term{5}, NodeId{2}});
        EXPECT_TRUE(maker.append(cluster.entries));
        EXPECT_TRUE(maker.finish());
        EXPECT_FALSE(storage.has_unsynced());
    }
    std::string path(const std::string& file) const { return std::string(kDir) + "/" + file; }
    FsckReport fsck(bool repair = false) {
        sim::SimFiles files(storage);
        FsckReport report = fsck_directory({.files = files, .store = &store, .repair = repair}, kDir);
        EXPECT_EQ(files.open_count(), 0u);
        return report;
    }
    void put(const std::string& file, const std::string& content) {
        sim::SimFiles files(storage);
        snapshot::put_file(files, path(file), content);
    }
    /// File names in snapshot/ that begin so.
    std::string named(const std::string& folder, const std::string& prefix, size_t number = 0) {
        int failed = 0;
        std::vector<std::string> found;
        for (const std::string& name : storage.list(path(folder), failed))
            if (name.starts_with(prefix)) found.push_back(folder + "/" + name);
        EXPECT_GT(found.size(), number) << prefix;
        return found.size() > number ? found[number] : "";
    }
    /// Whether the log can be read to its end, as it was written.
    bool readable() {
        sim::SimFiles files(storage);
        auto walk = wal::LogWalk::open(files, options);
        if (!walk || walk->found().last != last || walk->found().hard != HardState{Term{5}, NodeId{2}})
            return false;
        uint64_t entries = 0;
        for (;;) {
            auto some = walk->next(64 << 10);
            if (!some) return false;
            if (some->empty()) return entries == raw(last.index) - raw(options.base.index);
            EntryCursor cursor(some->view());
            while (cursor.next()) ++entries;
        }
    }
};

std::string first_segment() { return "wal/" + wal::segment_name(1); }

/// The one find of a report, as words.
std::string only(const FsckReport& report) {
    if (report.finds.size() != 1) return std::to_string(report.finds.size()) + " finds";
    const Find& find = report.finds.front();
    return std::string(text_of(find.weight)) + " " + find.part + " " + find.file +
           (find.offset ? " " + std::to_string(*find.offset) : "");
}

TEST(Fsck, AWholeDirectoryIsGoodAndStaysAsItIs) {
    Member member;
    std::map<std::string, std::vector<std::byte>> before;
    for (const std::string& path : member.storage.paths()) before[path] = member.storage.visible_bytes(path);
    for (bool repair : {false, true}) {
        FsckReport report = member.fsck(repair);
        EXPECT_EQ(report.finds.size(), 0u) << only(report);
        EXPECT_EQ(report.name, "n1");
        ASSERT_EQ(report.facts.size(), 5u);
        EXPECT_EQ(report.facts[2].first, "log");
        EXPECT_NE(report.facts[2].second.find("term 5, vote 2"), std::string::npos);
        EXPECT_EQ(report.facts[4].first, "state");
    }
    EXPECT_FALSE(member.store.removed);
    EXPECT_EQ(member.storage.paths().size(), before.size());
    for (const auto& [path, bytes] : before) EXPECT_EQ(member.storage.visible_bytes(path), bytes) << path;
}

TEST(Fsck, NamesEachDamageByFileAndOffset) {
    struct Case {
        const char* what;
        std::function<void(Member&)> harm;
        std::string finds;
    };
    auto flip = [](std::string file, uint64_t at) {
        return [file, at](Member& member) { ASSERT_TRUE(member.storage.flip_bit(member.path(file), at, 2)); };
    };
    const std::string segment = first_segment();
    const std::vector<Case> cases = {
        {"identity", flip("identity.toml", 100), "damaged identity identity.toml 0"},
        {"a copy of the boots", flip("boots", 24), "mendable boots boots"},
        {"both copies",
         [&](Member& m) {
             flip("boots", 24)(m);
             flip("boots", (16 << 10) + 24)(m);
         },
         "damaged boots boots 0"},
        {"CURRENT", flip("snapshot/CURRENT", 20), "mendable snapshot snapshot/CURRENT"},
        {"two bytes of CURRENT",
         [&](Member& m) { flip("snapshot/CURRENT", 20)(m), flip("snapshot/CURRENT", 21)(m); },
         "damaged snapshot snapshot/"},
        {"segment header", flip(segment, 20), "damaged log " + segment + " 0"},
        {"seal", flip(segment, wal::kSealAt + 9), "mendable log " + segment + " 4096"},
        {"group header", flip(segment, wal::kFirstGroupAt + 20), "damaged log " + segment + " 8192"},
        {"entry", flip(segment, wal::kFirstGroupAt + wal::kGroupHeaderBytes + 10),
         "damaged log " + segment + " 8320"},
        {"archive", [&](Member& m) { flip(m.named("snapshot", "1-"), 30)(m); },
         "damaged snapshot snapshot/1-"},
        {"archive gone",
         [](Member& m) {
             m.storage.remove(m.path(m.named("snapshot", "1-")));
             m.storage.sync_dir(m.path("snapshot"));
         },
         "damaged snapshot snapshot/1-"},
        {"state file", [&](Member& m) { flip(m.named("snapshot", "state-"), 70)(m); },
         "damaged snapshot snapshot/state-"},
        {"manifest", [&](Member& m) { flip(m.named("snapshot", "manifest-", 1), 70)(m); },
         "damaged snapshot "},
        {"store", [](Member& m) { m.store.broken = error(Errc::damaged, "state: a sum is wrong"); },
         "mendable state state"},
        {"store that is further than the log",
         [](Member& m) { m.store.content.newest->applied.index = m.last.index + 1; }, "mendable state state"},
        {"store of another history", [](Member& m) { m.store.content.newest->applied.chain ^= 1; },
         "mendable state state"},
        {"store of another member", [](Member& m) { m.store.content.newest->incarnation.low ^= 1; },
         "mendable state state"},
        {"store that can't be opened",
         [](Member& m) { m.store.broken = error(Errc::io, "state: no space left on device"); },
         "leftover state state"},
    };
    for (const Case& one : cases) {
        Member member;
        one.harm(member);
        FsckReport report = member.fsck();
        EXPECT_TRUE(only(report).starts_with(one.finds)) << one.what << ": " << only(report);
        EXPECT_EQ(report.damages(), one.finds.starts_with("leftover") ? 0u : 1u) << one.what;
        EXPECT_FALSE(report.finds.empty() || report.finds.front().what.empty());
    }
}

/// A footer, a seal, a torn creation, files that were being written, and the store.
void hurt_mendably(Member& member) {
    const std::string first = member.path(first_segment());
    const std::string second = member.path("wal/" + wal::segment_name(2));
    auto block = member.storage.visible_bytes(first);
    wal::Seal seal{};
    std::memcpy(&seal, block.data() + wal::kSealAt, sizeof seal);
    ASSERT_NE(seal.footer_offset, 0u);
    ASSERT_TRUE(member.storage.flip_bit(first, seal.footer_offset + 80, 1));
    ASSERT_TRUE(member.storage.flip_bit(second, wal::kSealAt + 30, 1));
    ASSERT_TRUE(member.storage.flip_bit(member.path("boots"), 30, 1));
    member.put("wal/" + wal::segment_name(99), "torn" + std::string(8000, '\0'));
    member.put("wal/x.tmp", "x");
    member.put("boots.tmp", "x");
    member.put("snapshot/archive.tmp", "x");
    member.put("notes.txt", "mine");
    member.store.broken = error(Errc::damaged, "state: a sum is wrong");
}

TEST(Fsck, MendsWhatCanBeMadeAgainAndNothingElse) {
    Member member;
    hurt_mendably(member);
    FsckReport found = member.fsck();
    EXPECT_EQ(found.damages(), 4u);  // boots, footer, seal, store
    EXPECT_EQ(found.repaired(), 0u);
    FsckReport report = member.fsck(true);
    EXPECT_EQ(report.damages(), 0u);
    EXPECT_EQ(report.repaired(), 8u);
    EXPECT_TRUE(member.store.removed);
    FsckReport again = member.fsck();
    EXPECT_EQ(only(again), "leftover files notes.txt") << "nobody's file is left alone";
    EXPECT_TRUE(member.readable());
    sim::SimWorld world(member.storage);
    auto opened = wal::open(world.io(), member.options);
    ASSERT_TRUE(opened) << opened.error().what;
    EXPECT_EQ(opened->last, member.last);
    EXPECT_FALSE(opened->report.finished_roll);
}

// What only others have stays as it was found, and so does all of a directory that isn't understood.
TEST(Fsck, TouchesNothingOfADirectoryThatIsNotUnderstood) {
    Member member;
    hurt_mendably(member);
    ASSERT_TRUE(member.storage.flip_bit(member.path("identity.toml"), 100, 1));
    const auto before = member.storage.paths();
    FsckReport report = member.fsck(true);
    EXPECT_EQ(report.repaired(), 0u);
    EXPECT_FALSE(member.store.removed);
    EXPECT_EQ(member.storage.paths(), before);
}

TEST(Fsck, APowerCutDuringARepairLeavesItToTheNextOne) {
    for (uint64_t cut = 1;; ++cut) {
        Member member;
        hurt_mendably(member);
        const uint64_t before = member.storage.calls();
        member.storage.fault = [&](uint64_t number, const sim::DiskCall& call) {
            const bool changes =
                call.op != sim::DiskOp::read && call.op != sim::DiskOp::open && call.op != sim::DiskOp::list;
            return sim::Verdict{.cut_power = changes && number == before + cut};
        };
        try {
            member.fsck(true);
        } catch (const sim::ProcessEnded&) {
        }
        member.storage.fault = nullptr;
        const uint64_t calls = member.storage.calls() - before;
        const bool ran = !member.storage.dead();
        Random random(cut);
        member.storage.crash(random, sim::CrashPolicy::draw(random));
        FsckReport report = member.fsck(true);
        EXPECT_EQ(report.damages(), 0u) << "cut at call " << cut;
        EXPECT_TRUE(member.readable()) << "cut at call " << cut;
        if (ran && cut > calls) break;
        ASSERT_LT(cut, 5000u);
    }
}

// Whatever a flipped bit changes for a reader, fsck has named; no bit makes it fail in another way.
TEST(Fsck, NoFlippedBitIsMissed) {
    const Member made;
    Random random(7);
    uint64_t harmful = 0, named = 0;
    for (int i = 0; i < 600; ++i) {
        Member member = made;
        const std::vector<std::string> paths = member.storage.paths();
        const std::string path = paths[random.below(paths.size())];
        const uint64_t bytes = std::min<uint64_t>(member.storage.size_of(path), 40 << 10);
        if (bytes == 0) continue;
        const uint64_t at = random.below(bytes);
        ASSERT_TRUE(member.storage.flip_bit(path, at, static_cast<int>(random.below(8))));
        const bool log = path.find("/wal/") != std::string::npos;
        // Of boots there are two copies, most of them padding.
        const bool harms = log ? !member.readable() : !path.ends_with("/LOCK") && !path.ends_with("/boots");
        FsckReport report = member.fsck();
        harmful += harms;
        named += report.damages() != 0;
        EXPECT_TRUE(!harms || report.damages() != 0) << path << " at byte " << at;
        for (const Find& find : report.finds)
            EXPECT_TRUE(!log || find.weight == Weight::leftover || member.path(find.file) == path);
    }
    EXPECT_GT(harmful, 300u);
    EXPECT_GE(named, harmful);
}

}  // namespace
}  // namespace raftd::cli
