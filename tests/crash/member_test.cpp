// A real member's daemon: taking snapshots while appends go on, a trim, an install of what another member
// took. The power is cut at every call of it to its disk; each disk is read and checked whole, a real node
// starts on it (one that is alone in its cluster also leads, writes and compacts), is cut again, and so on.
#include <gtest/gtest.h>

#include "tests/crash/totals.h"
#include "tests/support/lone_member.h"
#include "tests/support/sim_asker.h"

namespace raftd::crash {
namespace {

using sim::LoneMember;
using sim::OnDisk;
using sim::SimFixture;

sim::ClusterOptions small(uint32_t members) {
    sim::ClusterOptions options;
    options.members = members;
    options.segment_bytes = 32u << 10;
    options.buffer_bytes = 64u << 10;
    options.wal_keep_bytes = 0;
    options.state.archive = {.bytes = 8u << 10, .entries = 12};
    return options;
}

class MemberLife final : public Life {
public:
    explicit MemberLife(std::unique_ptr<LoneMember> member) : member_(std::move(member)) {}

    sim::SimStorage& disk() override { return member_->disk; }
    std::unique_ptr<Life> copy() override {
        return std::make_unique<MemberLife>(std::make_unique<LoneMember>(*member_));
    }
    bool start() override {
        if (!member_->look() || !member_->start()) return false;
        LoneMember::note(member_->node(), member_->known);
        return true;
    }
    void go_on(Random& random) override {
        member_->run_for(milliseconds(1100 + static_cast<int64_t>(random.below(200))));
        if (!member_->disk.dead()) LoneMember::note(member_->node(), member_->known);
    }
    void end() override { member_->end(); }
    void lost_power(Random& random) override { member_->store.cut_power(random); }

private:
    std::unique_ptr<LoneMember> member_;
};

/// A member of a running cluster: the script. Its copies are alone.
class ClusterLife final : public Life {
public:
    explicit ClusterLife(uint64_t seed, uint32_t members) : world(seed, small(members)) {
        world.start_all();
        sim::ClientLoad load;
        load.appends_per_second = 100;
        load.reads_per_second = 0;
        world.start_writer(load);
    }
    sim::SimStorage& disk() override { return world.cluster.storage(member); }
    std::unique_ptr<Life> copy() override {
        auto made = std::make_unique<LoneMember>(disk(), world.cluster.store(member),
                                                 world.cluster.node_options(member));
        if (const daemon::Node* node = world.cluster.node(member)) {
            LoneMember::note(*node, known);
            known.boots = std::max(known.boots, made->boots_written());
        }
        made->known = known;
        return std::make_unique<MemberLife>(std::move(made));
    }
    bool start() override { return true; }
    void go_on(Random&) override {}
    void end() override {}

    Index snapshot() const {
        const auto* found = world.cluster.node(member)->snapshot();
        return found == nullptr ? Index{} : found->at.index;
    }

    SimFixture world;
    uint32_t member = 1;
    OnDisk known;
};

// Two archives and their snapshots: each supersedes the one before, and segments go.
Script take_script() {
    return {
        "take",
        [] {
            auto life = std::make_unique<ClusterLife>(61, 1);
            life->world.until([&] { return life->snapshot() > Index{100}; });
            return life;
        },
        [](Life& life) {
            auto& it = static_cast<ClusterLife&>(life);
            const Index before = it.snapshot();
            it.world.until([&] { return it.snapshot() > before + 12; });
            it.world.run_for(milliseconds(100));
        },
    };
}

Script trim_script() {
    return {
        "trim",
        [] {
            auto life = std::make_unique<ClusterLife>(62, 1);
            life->world.until([&] { return life->snapshot() > Index{200}; });
            life->world.writer->set_appending(false);
            life->world.run_for(seconds(2));
            return life;
        },
        [](Life& life) {
            auto& it = static_cast<ClusterLife&>(life);
            const auto& node = *it.world.cluster.node(1);
            const size_t archives = node.snapshot()->archives.size();
            sim::Asker asker(it.world, 160);
            pb::Request trim;
            trim.mutable_trim()->set_before(150);
            asker.ask(trim);
            it.world.until([&] { return node.snapshot()->archives.size() < archives; });
            it.world.run_for(milliseconds(300));
        },
    };
}

// From the start of a member that is behind, until it has all.
Script install_script() {
    return {
        "install",
        [] {
            auto life = std::make_unique<ClusterLife>(63, 3);
            SimFixture& world = life->world;
            world.until([&] { return world.cluster.truth().committed() > 150; });
            life->member = world.follower();
            const Index last = world.cluster.node(life->member)->core().last();
            life->copy();  // what it knows goes with its process
            world.cluster.kill(life->member);
            world.until([&] {
                const uint32_t leader = world.leader();
                return leader != 0 && world.cluster.node(leader)->core().view().base.index > last;
            });
            world.writer->set_appending(false);
            world.run_for(seconds(1));
            return life;
        },
        [](Life& life) {
            auto& it = static_cast<ClusterLife&>(life);
            SimFixture& world = it.world;
            world.cluster.start(it.member);
            world.until([&] { return world.reached[sim::Reach::snapshot_installed] == 1; });
            world.run_for(seconds(1));
        },
    };
}

TEST(CrashMember, Take) { look_at(take_script()); }
TEST(CrashMember, Trim) { look_at(trim_script()); }
TEST(CrashMember, Install) { look_at(install_script()); }

/// Rests on nothing that is promised: what the log does without (log_test.cpp); the directory that holds a
/// fetched file's new name (CURRENT's sync has it too); the note of what is being fetched; removals; and at a
/// start that follows no power cut, the syncs of what was synced already. The second copy of the boots is
/// only missed when the first is written over.
bool can_do_without(const Sync& sync) {
    if (sync.path.find("/wal") != std::string::npos) {
        const bool group = sync.before == sim::DiskOp::write && sync.before_path == sync.path &&
                           sync.offset >= 8192 && sync.bytes % 4096 == 0;
        return sync.offset != 0 || sync.before != sim::DiskOp::write || group;
    }
    if (sync.directory)
        return sync.before == sim::DiskOp::remove || sync.before_path.find(".part") != std::string::npos ||
               sync.before_path.find("/incoming") != std::string::npos;
    return sync.path.find("/incoming") != std::string::npos || sync.path.ends_with("/boots");
}

TEST(CrashMember, SlowNoSyncCanBeForgotten) {
    for (const Script& it : {trim_script(), install_script()}) {
        const Forgotten found = forget_each_sync(it, {.disks = 180});
        for (const Sync& sync : found.unnoticed) EXPECT_TRUE(can_do_without(sync)) << text_of(sync);
        EXPECT_GT(found.syncs, found.unnoticed.size());
    }
}

}  // namespace
}  // namespace raftd::crash
