// One member alone with a copy of its disk: what a start finds there after a power cut, and a real node on
// it.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "daemon/node.h"
#include "sim/machine.h"
#include "sim/store.h"
#include "snapshot/archive_reader.h"
#include "snapshot/data_dir.h"
#include "snapshot/state_file.h"
#include "wal/whole.h"

namespace raftd::sim {

/// What a member knows to be on its disk.
struct OnDisk {
    LogPoint durable;    // the end of what its core counts as durable
    Index snapshot{};    // in force
    uint64_t boots = 0;  // number of the newest start that has spoken
};

class LoneMember {
public:
    LoneMember(const SimStorage& its_disk, const SimStoreDisk& its_store, const daemon::NodeOptions& options)
        : disk(its_disk), store(its_store), options_(options) {}
    LoneMember(const LoneMember& other) : LoneMember(other.disk, other.store, other.options_) {
        known = other.known;
        base_ = other.base_;
    }
    ~LoneMember() { end(); }

    /// Everything there is read and checked against what is known. False: the power went.
    bool look() {
        SimWorld world(disk, ++lives_);
        return world.machine().run([&] { look_at(world.machine().files()); }) && !disk.dead();
    }
    /// A node comes up. False: the power went.
    bool start() {
        world_ = std::make_unique<SimWorld>(disk, ++lives_);
        maker_ = std::make_unique<SimStoreMaker>(store);
        options_.store = maker_.get();
        const bool up = world_->machine().run([&] { open(); });
        EXPECT_TRUE(up || disk.dead()) << world_->ended()->why;
        return up && !disk.dead() && node_ != nullptr;
    }
    /// As a process sees it, whatever is synced.
    uint64_t boots_written() {
        SimFiles files(disk);
        auto dir = snapshot::inspect(files, options_.settings.data_dir);
        return dir ? dir->boots.mine.number : 0;
    }
    void run_for(Duration time) {
        world_->run_for(time);
        EXPECT_TRUE(!world_->ended() || disk.dead()) << world_->ended()->why;
    }
    void end() {
        node_.reset();
        world_.reset();
    }
    const daemon::Node& node() const { return *node_; }
    /// All that this node knows is on the disk is known from now on.
    static void note(const daemon::Node& node, OnDisk& known) {
        const raft::View view = node.core().view();
        if (auto point = node.log_at(view.durable); point && view.durable >= known.durable.index)
            known.durable = *point;
        if (node.snapshot() != nullptr) known.snapshot = std::max(known.snapshot, node.snapshot()->at.index);
    }

    SimStorage disk;
    SimStoreDisk store;
    OnDisk known;

private:
    void open() {
        auto opened = daemon::Node::open(world_->io(), options_);
        if (disk.dead()) return;
        ASSERT_TRUE(opened) << opened.error().what;
        node_ = std::move(*opened);
        const raft::View view = node_->core().view();
        EXPECT_GE(view.last, known.durable.index);
        EXPECT_GE(view.base.index, base_);  // what went doesn't come back
        base_ = view.base.index;
        EXPECT_GE(node_->snapshot() == nullptr ? Index{} : node_->snapshot()->at.index, known.snapshot);
        known.boots = boots_written();
        auto started = node_->start();
        EXPECT_TRUE(started) << started.error().what;
        world_->set_handler(node_.get());
    }
    void look_at(io::Files& files) {
        auto dir = snapshot::inspect(files, options_.settings.data_dir);
        ASSERT_TRUE(dir) << dir.error().what;
        EXPECT_GE(dir->base.index, known.snapshot);
        EXPECT_GE(dir->boots.mine.number, known.boots);
        std::optional<LogPoint> found;
        if (dir->base.index == known.durable.index) found = dir->base;
        if (dir->current.snapshot) look_at_snapshot(files, *dir, found);
        wal::Options log;
        log.dir = dir->path + "/wal";
        log.cluster_id = dir->identity.cluster_id;
        log.incarnation = dir->identity.incarnation;
        log.base = dir->base;
        auto walk = wal::LogWalk::open(files, log);
        if (!walk && walk.error().code == Errc::conflict) return;  // a snapshot was being installed
        ASSERT_TRUE(walk) << walk.error().what;
        look_at_log(*walk, found);
        if (known.durable.index <= dir->base.index) return;  // superseded by the snapshot
        ASSERT_TRUE(found) << "entry " << raw(known.durable.index) << " is gone";
        EXPECT_EQ(*found, known.durable);
    }
    void look_at_log(wal::LogWalk& walk, std::optional<LogPoint>& found) {
        walk.seek(walk.found().base.index);
        for (;;) {
            auto some = walk.next(1u << 20);
            ASSERT_TRUE(some) << some.error().what;
            if (some->empty()) return;
            EntryCursor cursor(some->view());
            while (const EntryHeader* header = cursor.next())
                if (Index{header->index} == known.durable.index) found = point_after(*header);
        }
    }
    void look_at_snapshot(io::Files& files, const snapshot::DataDir& dir, std::optional<LogPoint>& found) {
        const std::string folder = dir.path + "/snapshot";
        const snapshot::SnapshotManifest& manifest = *dir.current.snapshot;
        LogPoint at = manifest.begin();
        for (const snapshot::ArchiveInfo& archive : manifest.archives) {
            auto verified = snapshot::verify_archive(files, folder, archive.name());
            ASSERT_TRUE(verified) << verified.error().what;
            EXPECT_EQ(archive.before, at);
            at = archive.end;
            if (at.index == known.durable.index) found = at;
        }
        EXPECT_EQ(at, manifest.at);
        auto file = snapshot::StateFile::open(files, folder, manifest.state);
        ASSERT_TRUE(file) << file.error().what;
        auto state = daemon::State::load(options_.state_limits, *file);
        ASSERT_TRUE(state) << state.error().what;
        EXPECT_EQ(state->point(), manifest.at);
    }

    daemon::NodeOptions options_;
    std::unique_ptr<SimWorld> world_;
    std::unique_ptr<SimStoreMaker> maker_;
    std::unique_ptr<daemon::Node> node_;
    Index base_{};
    uint64_t lives_ = 0;
};

}  // namespace raftd::sim
