// The file that a save makes: whole under its name, or not there, wherever the power goes; and what a member
// sends that isn't a save never gets a name.
#include <gtest/gtest.h>

#include "cli/save_file.h"
#include "sim/machine.h"
#include "snapshot/saved.h"
#include "tests/support/saved_cluster.h"

namespace raftd::cli {
namespace {

using Contents = std::vector<std::pair<std::string, std::string>>;

const Contents& member_files() {
    static const Contents contents = [] {
        sim::SimStorage storage;
        sim::SimFiles files(storage);
        storage.make_dir("/member");
        snapshot::SavedCluster cluster(3);
        cluster.put_snapshot(files, "/member");
        return snapshot::files_of_save(files, "/member");
    }();
    return contents;
}

Result<void> write_all(SaveFile& file, const Contents& contents, bool force) {
    TRY_VOID(file.open(force));
    for (const auto& [name, content] : contents) {
        TRY_VOID(file.begin(name, content.size()));
        // In parts, as they come.
        for (size_t at = 0; at < content.size(); at += 700)
            TRY_VOID(file.add(as_bytes(content).subspan(at, std::min<size_t>(700, content.size() - at))));
    }
    return file.finish();
}

Result<void> save(io::Files& files, const Contents& contents, bool force = false) {
    SaveFile file(files, "/backup/save", "7", 1000);
    auto done = write_all(file, contents, force);
    if (!done) file.discard();
    return done;
}

sim::SimStorage empty_machine() {
    sim::SimStorage storage;
    storage.make_dir("/backup");
    storage.sync_dir("/");
    return storage;
}

std::vector<std::string> names_in(sim::SimStorage& storage) {
    int failed = 0;
    return storage.list("/backup", failed);
}

TEST(SaveFile, IsReadBackAndKeepsNothingElse) {
    sim::SimStorage storage = empty_machine();
    sim::SimFiles files(storage);
    auto done = save(files, member_files());
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(names_in(storage), std::vector<std::string>{"save"});
    EXPECT_FALSE(storage.has_unsynced());
    auto again = save(files, member_files());
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::conflict);
    EXPECT_TRUE(save(files, member_files(), true));
    EXPECT_EQ(names_in(storage), std::vector<std::string>{"save"});
}

// A save takes long: the name may be somebody else's by then.
TEST(SaveFile, AFileMadeMeanwhileIsNeverReplaced) {
    for (bool force : {false, true}) {
        sim::SimStorage storage = empty_machine();
        sim::SimFiles files(storage);
        SaveFile file(files, "/backup/save", "7", 1000);
        ASSERT_TRUE(file.open(force));
        for (const auto& [name, content] : member_files()) {
            ASSERT_TRUE(file.begin(name, content.size()));
            ASSERT_TRUE(file.add(as_bytes(content)));
        }
        snapshot::put_file(files, "/backup/save", "theirs");
        auto done = file.finish();
        std::string content;
        ASSERT_EQ(io::read_file(files, "/backup/save", 1u << 20, content).error, 0);
        EXPECT_EQ(done.has_value(), force);
        EXPECT_EQ(content == "theirs", !force);
        if (done) continue;
        EXPECT_EQ(done.error().code, Errc::conflict) << done.error().what;
        file.discard();
        EXPECT_EQ(names_in(storage), std::vector<std::string>{"save"});
    }
}

TEST(SaveFile, WhatIsNoSaveGetsNoName) {
    for (size_t i = 0; i < member_files().size(); ++i) {
        Contents damaged = member_files();
        damaged[i].second[damaged[i].second.size() / 2] ^= 4;
        Contents renamed = member_files();
        renamed[i].first = "../" + renamed[i].first;
        Contents less = member_files();
        less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
        for (const Contents& contents : {damaged, renamed, less}) {
            sim::SimStorage storage = empty_machine();
            sim::SimFiles files(storage);
            auto done = save(files, contents);
            ASSERT_FALSE(done) << i;
            EXPECT_NE(done.error().code, Errc::ok);
            EXPECT_EQ(names_in(storage), std::vector<std::string>{});
        }
    }
}

TEST(SaveFile, APowerCutAtAnyCallLeavesTheOneBeforeOrAWholeOne) {
    uint64_t fresh = 0, old = 0, calls = 0;
    sim::SimStorage before = empty_machine();
    {
        sim::SimFiles files(before);
        snapshot::put_file(files, "/backup/save", "an older one");
        before.sync_dir("/backup");
    }
    bool reached = true;
    for (uint64_t n = 1; reached; ++n) {
        reached = false;
        for (uint64_t seed = 1; seed <= 4; ++seed) {
            SCOPED_TRACE("call " + std::to_string(n) + " seed " + std::to_string(seed));
            Random random(n * 10 + seed);
            sim::SimStorage storage = before;
            const uint64_t cut = storage.calls() + n;
            storage.fault = [&](uint64_t number, const sim::DiskCall&) {
                reached |= number == cut;
                return sim::Verdict{0, number == cut};
            };
            {
                sim::SimWorld world(storage);
                world.machine().run([&] { (void)save(world.machine().files(), member_files(), true); });
            }
            storage.fault = nullptr;
            storage.crash(random, sim::CrashPolicy::draw(random));
            sim::SimFiles files(storage);
            std::string content;
            ASSERT_EQ(io::read_file(files, "/backup/save", 1u << 20, content).error, 0);
            if (content == "an older one") {
                ++old;
                continue;
            }
            ++fresh;
            auto saved = snapshot::Saved::open(files, "/backup/save");
            ASSERT_TRUE(saved) << saved.error().what;
            EXPECT_TRUE(saved->verify());
            calls = n;
        }
    }
    printf("up to call %lu, %lu times the new one, %lu times the old one\n", calls, fresh, old);
    EXPECT_GT(fresh, 4u);
    EXPECT_GT(old, 40u);
}

}  // namespace
}  // namespace raftd::cli
