#include "sim/storage.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "sim/machine.h"

namespace raftd::sim {
namespace {

std::string text_at(const SimStorage& storage, std::string_view path) {
    auto bytes = storage.visible_bytes(path);
    return std::string(as_text(bytes));
}

/// Makes `path` with `content`; synced as asked.
InodeRef make(SimStorage& storage, std::string_view path, std::string_view content, bool sync_name,
              bool sync_content) {
    int error = 0;
    uint64_t bytes = 0;
    InodeRef file = storage.open(path, true, false, false, error);
    EXPECT_EQ(error, 0);
    EXPECT_EQ(storage.write(*file, 0, as_bytes(content), bytes), 0);
    if (sync_content) {
        EXPECT_EQ(storage.sync(*file), 0);
    }
    if (sync_name) {
        EXPECT_EQ(storage.sync_dir(""), 0);
    }
    return file;
}

// A disk that kept what was never synced would hide every missing sync.
TEST(SimStorage, PowerCutKeepsSyncedContentUnderSyncedNamesOnly) {
    SimStorage storage;
    make(storage, "both", "x", true, true);
    make(storage, "content", "x", false, true);
    Random random(1);
    storage.crash(random, CrashPolicy::lose_all());
    EXPECT_EQ(storage.paths(), std::vector<std::string>{"both"});
    EXPECT_EQ(text_at(storage, "both"), "x");
}

TEST(SimStorage, NameWithoutContentIsAnEmptyFile) {
    SimStorage storage;
    make(storage, "a", "hello", true, false);
    Random random(1);
    storage.crash(random, CrashPolicy::lose_all());
    EXPECT_EQ(storage.size_of("a"), 0u);
    EXPECT_EQ(storage.paths().size(), 1u);
}

TEST(SimStorage, EverySubsetOfUnsyncedSectorsIsPossible) {
    std::set<std::string> seen;
    for (uint64_t seed = 0; seed < 400; ++seed) {
        SimStorage storage;
        InodeRef file = make(storage, "a", std::string(3 * kSectorBytes, 'o'), true, true);
        uint64_t bytes = 0;
        std::string fresh(3 * kSectorBytes, 'n');
        storage.write(*file, 0, as_bytes(fresh), bytes);
        Random random(seed);
        storage.crash(random, {0.5, 0.5, 0.5, 0.0, 0.0});
        std::string now = text_at(storage, "a"), picture;
        for (size_t i = 0; i < 3; ++i) picture += now[i * kSectorBytes];
        seen.insert(picture);
    }
    EXPECT_EQ(seen.size(), 8u);
}

TEST(SimStorage, OneSectorMayTearAtAByte) {
    bool torn = false;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        SimStorage storage;
        InodeRef file = make(storage, "a", std::string(kSectorBytes, 'o'), true, true);
        uint64_t bytes = 0;
        std::string fresh(kSectorBytes, 'n');
        storage.write(*file, 0, as_bytes(fresh), bytes);
        Random random(seed);
        storage.crash(random, {0.5, 0.5, 0.5, 1.0, 0.0});
        std::string now = text_at(storage, "a");
        torn |= now.front() != now.back();
    }
    EXPECT_TRUE(torn);
}

TEST(SimStorage, SizeMayComeBeforeData) {
    bool zeros = false, stale = false;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        SimStorage storage;
        make(storage, "gone", std::string(kBlockBytes, 's'), true, true);
        storage.remove("gone");
        InodeRef file = make(storage, "a", "", true, true);
        uint64_t bytes = 0;
        std::string fresh(kSectorBytes, 'n');
        storage.write(*file, 0, as_bytes(fresh), bytes);
        Random random(seed);
        storage.crash(random, {0.0, 0.5, 1.0, 0.0, 0.5});
        std::string now = text_at(storage, "a");
        if (now.empty()) continue;
        zeros |= now[0] == '\0';
        stale |= now[0] == 's';
    }
    EXPECT_TRUE(zeros);
    EXPECT_TRUE(stale);
}

// What is in a directory goes with its name, and a power cut keeps all of it under one of the two names.
TEST(SimStorage, ARenamedDirectoryTakesItsFilesAlong) {
    uint64_t before = 0, after = 0;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        SimStorage storage;
        Random random(seed);
        int error = 0;
        storage.make_dir("d");
        storage.make_dir("d/e");
        InodeRef file = storage.open("d/e/f", true, true, false, error);
        for (const char* dir : {"", "d", "d/e"}) storage.sync_dir(dir);
        ASSERT_EQ(storage.rename("d", "x"), 0);
        EXPECT_EQ(storage.open("x/e/f", false, false, false, error), file);
        EXPECT_EQ(storage.open("d/e/f", false, false, false, error), nullptr);
        storage.crash(random, {});
        bool renamed = storage.open("x/e/f", false, false, false, error) != nullptr;
        EXPECT_NE(renamed, storage.open("d/e/f", false, false, false, error) != nullptr);
        ++(renamed ? after : before);
    }
    EXPECT_GT(before, 0u);
    EXPECT_GT(after, 0u);
}

TEST(SimStorage, RenameAndRemoveAreKeptOrLost) {
    std::set<std::vector<std::string>> seen;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        SimStorage storage;
        make(storage, "a", "1", true, true);
        make(storage, "b", "2", true, true);
        storage.rename("a", "c");
        storage.remove("b");
        Random random(seed);
        storage.crash(random, {});
        seen.insert(storage.paths());
    }
    EXPECT_EQ(seen.size(), 4u);
}

// After a failed sync the pages look clean: what is read isn't what the disk has, and no later sync repairs
// it.
TEST(SimStorage, FailedSyncLeavesTheCacheLying) {
    SimStorage storage;
    InodeRef file = make(storage, "a", "old", true, true);
    uint64_t bytes = 0;
    storage.write(*file, 0, as_bytes("new"), bytes);
    storage.fault = [](uint64_t, const DiskCall& call) { return Verdict{call.op == DiskOp::sync ? EIO : 0}; };
    EXPECT_EQ(storage.sync(*file), EIO);
    storage.fault = nullptr;
    EXPECT_EQ(storage.sync(*file), 0);
    EXPECT_EQ(text_at(storage, "a"), "new");
    storage.drop_cache(*file);
    EXPECT_EQ(text_at(storage, "a"), "old");
}

TEST(SimStorage, FullDiskWritesShortThenRefuses) {
    SimStorage storage;
    InodeRef file = make(storage, "a", "1234", true, true);
    storage.set_capacity(6);
    uint64_t bytes = 0;
    EXPECT_EQ(storage.write(*file, 4, as_bytes("5678"), bytes), 0);
    EXPECT_EQ(bytes, 2u);
    EXPECT_EQ(storage.write(*file, 6, as_bytes("78"), bytes), ENOSPC);
    EXPECT_EQ(storage.write(*file, 0, as_bytes("123456"), bytes), 0);
    storage.set_capacity(100);
    EXPECT_EQ(storage.write(*file, 6, as_bytes("78"), bytes), 0);
}

TEST(SimStorage, CopyIsAnImageOfItsOwn) {
    SimStorage storage;
    InodeRef file = make(storage, "a", "old", true, true);
    SimStorage image = storage;
    uint64_t bytes = 0;
    storage.write(*file, 0, as_bytes("new"), bytes);
    EXPECT_EQ(text_at(image, "a"), "old");
    EXPECT_TRUE(image.flip_bit("a", 0, 0));
    EXPECT_EQ(text_at(storage, "a"), "new");
    EXPECT_NE(text_at(image, "a"), "old");
}

TEST(SimStorage, DirectoryLostTakesWhatIsInIt) {
    SimStorage storage;
    int error = 0;
    ASSERT_EQ(storage.make_dir("d"), 0);
    ASSERT_NE(storage.open("d/f", true, true, false, error), nullptr);
    ASSERT_EQ(storage.sync_dir("d"), 0);
    Random random(1);
    storage.crash(random, CrashPolicy::lose_all());
    EXPECT_TRUE(storage.paths().empty());
}

TEST(SimWorld, WritesCompleteInOrderAndAreDurableThen) {
    SimStorage storage;
    make(storage, "a", "", true, true);
    SimWorld world(storage);
    int error = 0;
    io::FileId file = world.io().disk.open("a", error);
    std::vector<uint64_t> order;
    world.on_event([&](io::Event& event) {
        order.push_back(static_cast<uint64_t>(std::get<io::Completed>(event.what).token));
        if (order.size() == 2) {
            EXPECT_EQ(as_text(storage.durable_bytes("a")), "xy");
        }
    });
    Slice x = Slice::copy_of(as_bytes("x")), y = Slice::copy_of(as_bytes("y"));
    world.io().disk.write(file, 0, {&x, 1}, false, io::Token{1});
    world.io().disk.write(file, 1, {&y, 1}, true, io::Token{2});
    world.run_until_idle();
    EXPECT_EQ(order, (std::vector<uint64_t>{1, 2}));
}

TEST(SimWorld, CreateFillsSyncsAndNames) {
    SimStorage storage;
    SimWorld world(storage);
    io::FileId made = io::kNoFile;
    world.on_event([&](io::Event& event) { made = std::get<io::Completed>(event.what).file; });
    world.io().disk.create("s", 64 << 10, io::Prefill::zeros, true, io::Token{1});
    world.run_until_idle();
    ASSERT_NE(made, io::kNoFile);
    Random random(1);
    storage.crash(random, CrashPolicy::lose_all());
    EXPECT_EQ(storage.size_of("s"), 64u << 10);
}

TEST(SimWorld, CreateOnAFullDiskLeavesNothing) {
    SimStorage storage;
    storage.set_capacity(1000);
    SimWorld world(storage);
    int error = 0;
    world.on_event([&](io::Event& event) { error = std::get<io::Completed>(event.what).error; });
    world.io().disk.create("s", 64 << 10, io::Prefill::zeros, true, io::Token{1});
    world.run_until_idle();
    EXPECT_EQ(error, ENOSPC);
    EXPECT_TRUE(storage.paths().empty());
    EXPECT_FALSE(storage.has_unsynced());
}

TEST(SimWorld, FailedSyncEndsTheProcessWithItsCode) {
    SimStorage storage;
    make(storage, "a", "", true, true);
    storage.fault = [](uint64_t, const DiskCall& call) { return Verdict{call.op == DiskOp::sync ? EIO : 0}; };
    SimWorld world(storage);
    int error = 0;
    io::FileId file = world.io().disk.open("a", error);
    bool answered = false;
    world.on_event([&](io::Event&) { answered = true; });
    Slice x = Slice::copy_of(as_bytes("x"));
    world.io().disk.write(file, 0, {&x, 1}, true, io::Token{1});
    world.run_until_idle();
    ASSERT_TRUE(world.ended());
    EXPECT_EQ(world.ended()->code, ExitCode::sync_failed);
    EXPECT_FALSE(answered);
}

TEST(SimWorld, PowerCutAtEachCallStopsEverything) {
    for (uint64_t cut = 1; cut <= 6; ++cut) {
        SimStorage storage;
        SimWorld world(storage, cut);
        storage.fault = [&](uint64_t number, const DiskCall&) { return Verdict{0, number == cut}; };
        bool answered = false;
        world.on_event([&](io::Event&) { answered = true; });
        world.machine().run(
            [&] { world.io().disk.create("s", 4096, io::Prefill::zeros, true, io::Token{1}); });
        world.run_until_idle();
        EXPECT_EQ(answered, cut > 4) << cut;  // open, fill, sync, sync_dir
    }
}

TEST(SimWorld, TimerComesOnceAtItsLocalTime) {
    SimStorage storage;
    SimWorld world(storage);
    world.clock_model().set_rate(world.kernel().now(), 2.0);
    int woken = 0;
    Instant at{};
    world.on_event([&](io::Event& event) { ++woken, at = event.now; });
    Instant wanted = world.io().clock.now() + seconds(1);
    world.io().clock.wake_at(wanted + seconds(1));
    world.io().clock.wake_at(wanted);
    world.run_until_idle();
    EXPECT_EQ(woken, 1);
    EXPECT_GE(at, wanted);
    EXPECT_LT(at, wanted + milliseconds(5));
}

TEST(Kernel, FiresInOrderOfTimeThenOfAsking) {
    struct Listener : Actor {
        std::vector<uint64_t> seen;
        void fire(uint32_t, uint64_t data) override { seen.push_back(data); }
    } listener;
    Kernel kernel(1);
    uint32_t actor = kernel.add(&listener);
    Random random(7);
    std::vector<std::pair<int64_t, uint64_t>> wanted;
    for (uint64_t i = 0; i < 500; ++i) {
        auto at = static_cast<int64_t>(2'000'000'000 + random.below(50));
        wanted.push_back({at, i});
        kernel.schedule(Instant{at}, actor, 0, i);
    }
    std::stable_sort(wanted.begin(), wanted.end(), [](auto& a, auto& b) { return a.first < b.first; });
    while (kernel.step()) {
    }
    ASSERT_EQ(listener.seen.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(listener.seen[i], wanted[i].second);
}

}  // namespace
}  // namespace raftd::sim
