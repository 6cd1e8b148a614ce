// Whole directories: the first start of a member (init, `member add`) and `snapshot restore`. Before the call
// has come back there may be nothing, and then it is made anew; afterwards all of it is there.
#include <gtest/gtest.h>

#include "snapshot/data_dir.h"
#include "tests/crash/totals.h"
#include "tests/support/restored_cluster.h"
#include "wal/wal.h"

namespace raftd::crash {
namespace {

void remove_all(io::Files& files, const std::string& path) {
    int failed = 0;
    for (const std::string& name : files.list(path, failed)) remove_all(files, path + "/" + name);
    files.remove(path);
}

/// A member's directory that processes are started on: each start has a number above all before (H7).
class FolderLife : public Life {
public:
    sim::SimStorage& disk() override { return disk_; }
    bool start() override {
        return in_process([this](io::Files& files) {
            there_ = is_there(files);
            EXPECT_TRUE(there_ || !promised_) << "what was made is gone";
            if (there_) take_boot(files);
        });
    }
    void go_on(Random&) override {
        in_process([this](io::Files& files) {
            if (!there_) make_anew(files);
            take_boot(files);
        });
    }
    void end() override {}

    /// False: the power went.
    bool in_process(const std::function<void(io::Files&)>& part) {
        sim::SimWorld world(disk_, ++lives_);
        const bool up = world.machine().run([&] { part(world.machine().files()); });
        EXPECT_TRUE(up || disk_.dead()) << world.ended()->why;
        return up && !disk_.dead();
    }
    virtual void make(io::Files& files) = 0;
    /// Who asked for it was told that it is there.
    void made() { promised_ = true; }

protected:
    /// Whole; half of it is a failure, or isn't there.
    virtual bool is_there(io::Files& files) = 0;
    virtual void remove_rest(io::Files& files) = 0;
    virtual std::string member_dir() const = 0;

    void make_anew(io::Files& files) {
        remove_rest(files);
        make(files);
        there_ = promised_ = true;
        EXPECT_TRUE(is_there(files));
    }
    void take_boot(io::Files& files) {
        auto dir = snapshot::open(files, member_dir(), ++lives_);
        ASSERT_TRUE(dir) << dir.error().what;
        EXPECT_GT(dir->boots.mine.number, boots_);
        boots_ = dir->boots.mine.number;
    }

    sim::SimStorage disk_;
    bool promised_ = false, there_ = false;
    uint64_t boots_ = 0, lives_ = 0;
};

class FirstStart final : public FolderLife {
public:
    FirstStart() {
        genesis_ = cli::source().genesis;
        disk_.make_dir("d");
        disk_.sync_dir("");
    }
    std::unique_ptr<Life> copy() override { return std::make_unique<FirstStart>(*this); }
    void make(io::Files& files) override {
        auto made = snapshot::create(files, kDir, genesis_, NodeId{1});
        ASSERT_TRUE(made) << made.error().what;
        auto log = wal::create_first(files, log_options());
        ASSERT_TRUE(log) << log.error().what;
    }

private:
    static constexpr const char* kDir = "d/data";

    wal::Options log_options() const {
        wal::Options options;
        options.dir = std::string(kDir) + "/wal";
        options.cluster_id = genesis_.cluster_id;
        options.incarnation = genesis_.members[0].incarnation;
        options.base = snapshot::genesis_point(genesis_);
        options.first_segment_bytes = options.segment_bytes = 64 << 10;
        options.disk_free_reserve = 0;
        return options;
    }
    /// What a start refuses isn't there; what it takes is an empty log of this member.
    bool is_there(io::Files& files) override {
        auto dir = snapshot::inspect(files, kDir);
        if (!dir) return false;
        EXPECT_EQ(dir->base, snapshot::genesis_point(genesis_));
        auto walk = wal::LogWalk::open(files, log_options());
        if (!walk) return false;
        EXPECT_EQ(walk->found().last, dir->base);
        EXPECT_EQ(walk->found().hard, HardState{});
        return true;
    }
    void remove_rest(io::Files& files) override { remove_all(files, kDir); }
    std::string member_dir() const override { return kDir; }

    snapshot::Manifest genesis_;
};

class Restore final : public FolderLife {
public:
    Restore() { disk_ = cli::machine_with_save(); }
    std::unique_ptr<Life> copy() override { return std::make_unique<Restore>(*this); }
    void make(io::Files& files) override {
        auto made = cli::restore(files, cli::plan(2));
        ASSERT_TRUE(made) << made.error().what;
    }

private:
    bool is_there(io::Files& files) override {
        auto saved = cli::Saved::open(files, "/save");
        EXPECT_TRUE(saved && saved->verify()) << "the save itself";
        int failed = 0;
        files.list("/new", failed);
        if (failed == ENOENT) return false;
        expect_settings(files);
        for (const char* path : {"/new/m1/data", "/new/m2/data"}) {
            const snapshot::DataDir dir = cli::expect_whole(files, path, cli::source().log.end);
            EXPECT_TRUE(dir.current.snapshot);
            if (!dir.current.snapshot) return true;
            auto state =
                snapshot::StateFile::open(files, dir.path + "/snapshot", dir.current.snapshot->state);
            EXPECT_TRUE(state) << state.error().what;
            const auto records = cli::records_of(files, dir);
            EXPECT_EQ(records.size(), cli::source().records.size());
        }
        return true;
    }
    static void expect_settings(io::Files& files) {
        std::string text;
        EXPECT_EQ(io::read_file(files, "/new/cluster.toml", 1000, text).error, 0);
        EXPECT_EQ(text, "members");
        for (const char* path : {"/new/m1/raftd.toml", "/new/m2/raftd.toml"}) {
            EXPECT_EQ(io::read_file(files, path, 10'000, text).error, 0);
            EXPECT_TRUE(text.find("name = \"m") != std::string::npos && text.ends_with('\n')) << path;
            EXPECT_EQ(text.find('\0'), std::string::npos) << path;
        }
    }
    void remove_rest(io::Files& files) override {
        remove_all(files, "/new.unfinished");
        remove_all(files, "/new");
    }
    std::string member_dir() const override { return "/new/m1/data"; }
};

template <class T>
Script script(const char* name, double cost = 1) {
    return {name, [] { return std::make_unique<T>(); },
            [](Life& life) {
                auto& folder = static_cast<FolderLife&>(life);
                folder.in_process([&](io::Files& files) { folder.make(files); });
                folder.made();
            },
            cost};
}

TEST(CrashFolders, FirstStart) { look_at(script<FirstStart>("first start")); }
TEST(CrashFolders, Restore) { look_at(script<Restore>("restore", 4)); }

// Nothing is promised before the call has come back, so of several syncs of one directory the last one
// counts.
TEST(CrashFolders, SlowNoSyncCanBeForgotten) {
    for (const Script& it : {script<FirstStart>("first start"), script<Restore>("restore", 4)}) {
        const Forgotten found = forget_each_sync(it, {.disks = 30, .backwards = true});
        for (const Sync& sync : found.unnoticed) EXPECT_TRUE(sync.directory) << text_of(sync);
        EXPECT_GT(found.syncs, 2 * found.unnoticed.size());
    }
}

}  // namespace
}  // namespace raftd::crash
