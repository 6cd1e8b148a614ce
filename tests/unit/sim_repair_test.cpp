// Members whose disks rot while the cluster works (P5, H3): what is damaged is found, named, never delivered,
// and repaired from whoever has it; what nobody has ends the member, which says what is lost.
#include <gtest/gtest.h>

#include "raft/quorum.h"
#include "sim/files.h"
#include "snapshot/data_dir.h"
#include "tests/support/group_places.h"
#include "tests/support/sim_fixture.h"
#include "tests/support/talker.h"

namespace raftd::sim {
namespace {

using wal::group_places;
using wal::GroupPlace;

/// `archives`: the segments that hold them too are kept as well.
ClusterOptions options_for(bool archives) {
    ClusterOptions options;
    options.segment_bytes = 64u << 10;
    options.buffer_bytes = 32u << 10;
    options.wal_keep_bytes = 1u << 30;
    options.state.archive = {.bytes = archives ? 16u << 10 : 1u << 30, .entries = archives ? 64u : 1u << 30};
    return options;
}

/// A start reads all of it.
ClusterOptions one_segment() {
    ClusterOptions options = options_for(false);
    options.segment_bytes = 8u << 20;
    return options;
}

struct Rotting : SimFixture {
    Talker talker{kernel, network, 190};

    explicit Rotting(bool archives = false) : Rotting(options_for(archives)) {}
    explicit Rotting(const ClusterOptions& options) : SimFixture(73, options) {
        trace.on = std::getenv("RAFTD_TRACE") != nullptr;
        start_all();
        ClientLoad load;
        load.appends_per_second = 200;
        load.reads_per_second = 0;
        start_writer(load);
        run_for(seconds(6));
    }
    /// Stopped in good order: its last group has a witness.
    void stop(uint32_t member) {
        cluster.comes_back = false;
        cluster.stop(member);
        until([&] { return !cluster.up(member); });
        cluster.comes_back = true;
    }
    std::vector<GroupPlace> places(uint32_t member) {
        return group_places(cluster.storage(member), "/data/wal/");
    }
    void hurt(uint32_t member, const GroupPlace& place) {
        cluster.expect_damage(member);
        ASSERT_TRUE(cluster.storage(member).flip_bit(place.path, place.offset + 60, 3));
    }
    void begin_verify(uint32_t member) {
        pb::Request request;
        request.mutable_verify()->set_run(5);
        talker.be_client_of(Cluster::name_of(member));
        const uint32_t stream = talker.ask(request);
        until([&] { return talker.heard.answers.contains(stream); });
        EXPECT_TRUE(talker.heard.answers[stream].has_verified())
            << talker.heard.answers[stream].error().what();
    }
    bool whole(uint32_t member) { return cluster.up(member) && !cluster.node(member)->holed(); }
    bool has_alarm(uint32_t member, const std::string& alarm) {
        return cluster.node(member)->dump().find("alarm=" + alarm) != std::string::npos;
    }
    /// What each has on its disk is what it should be: a start finds no damage, and hands out every record.
    void expect_all_whole() {
        for (uint32_t i = 1; i <= cluster.count(); ++i) until([&] { return whole(i); });
        expect_states_equal();
        expect_read_whole();
        for (uint32_t i = 1; i <= cluster.count(); ++i) {
            EXPECT_FALSE(has_alarm(i, "damaged")) << i;
            stop(i);
            cluster.start(i);
            ASSERT_TRUE(cluster.up(i));
            EXPECT_FALSE(cluster.node(i)->holed()) << i;
        }
        until([&] { return leader() != 0; });
        expect_read_whole();
    }
};

// In sealed segments and in the active one, in old groups and in the last; the cluster works on meanwhile.
TEST(SimRepair, AFollowersLogIsRepairedFromTheOthersUnderLoad) {
    Rotting world;
    const uint32_t member = world.follower();
    world.stop(member);
    const std::vector<GroupPlace> places = world.places(member);
    ASSERT_GT(places.size(), 100u);
    // Sealed segments whose footer is whole aren't read at a start: those of the active one are found there.
    for (size_t back : {1u, 5u, 9u}) {
        ASSERT_FALSE(places[places.size() - back].sealed);
        world.hurt(member, places[places.size() - back]);
    }
    world.cluster.start(member);
    ASSERT_TRUE(world.cluster.up(member));
    EXPECT_TRUE(world.cluster.node(member)->holed());
    EXPECT_TRUE(world.has_alarm(member, "damaged wal/"));
    const uint64_t before = world.cluster.truth().committed();
    world.until([&] { return world.whole(member); });
    EXPECT_EQ(world.cluster.node(member)->repaired().holes, 3u);
    world.run_for(seconds(2));
    EXPECT_GT(world.cluster.truth().committed(), before);
    world.expect_all_whole();
}

// Found by whoever reads it: here a client that reads all there is.
TEST(SimRepair, DamageOfASealedSegmentIsRepairedWhenAReaderFindsIt) {
    for (const bool archives : {false, true}) {
        SCOPED_TRACE(archives);
        Rotting world(archives);
        const uint32_t member = world.follower();
        const std::vector<GroupPlace> places = world.places(member);
        ASSERT_TRUE(places[7].sealed);
        world.hurt(member, places[7]);
        world.hurt(member, places[40]);
        if (archives) {  // tails read those; verify reads segments
            world.begin_verify(member);
        } else {
            world.writer->read_all(Cluster::name_of(member));
        }
        world.until([&] { return world.cluster.node(member)->repaired().holes == 2; });
        world.until([&] { return world.whole(member); });
        world.expect_all_whole();
    }
}

// The leader finds damage below its commit index: another one takes over, and it is repaired from there.
TEST(SimRepair, ALeaderHandsOverFirst) {
    Rotting world;
    const uint32_t member = world.leader();
    world.hurt(member, world.places(member)[7]);
    world.begin_verify(member);
    bool led_with_hole = false;
    Instant holed_at{};
    world.until([&] {
        const bool holed = world.cluster.node(member)->holed();
        if (holed && holed_at == Instant{}) holed_at = world.kernel.now();
        if (holed && world.kernel.now() > holed_at + seconds(2)) led_with_hole |= world.leader() == member;
        return world.cluster.node(member)->repaired().holes == 1;
    });
    EXPECT_FALSE(led_with_hole);
    world.until([&] { return world.leader() != 0; });
    world.expect_all_whole();
}

// An archive is fetched anew by the hash of its content, whoever meets the damage: a reader, or a member that
// asks for the file; a state too, or a later snapshot makes it needless.
TEST(SimRepair, DamagedFilesOfTheSnapshotAreFetchedFromTheOthers) {
    Rotting world(true);
    const uint32_t member = world.follower();
    world.cluster.expect_damage(member);
    const auto archives = world.cluster.node(member)->snapshot()->archives;
    ASSERT_GT(archives.size(), 8u);
    for (size_t i = 1; i < 5; ++i)
        ASSERT_TRUE(
            world.cluster.storage(member).flip_bit("/data/snapshot/" + archives[i].name(), 150 + i, 3));
    world.begin_verify(member);
    world.until([&] { return world.cluster.node(member)->repaired().files == 4; });
    EXPECT_GT(world.ledger.records_acked(), 0u);
    world.expect_all_whole();
    world.writer->set_appending(false);
    world.run_for(seconds(3));
    const std::string state = world.cluster.node(member)->snapshot()->state.name;
    ASSERT_EQ(state, world.cluster.node(world.leader())->snapshot()->state.name);
    ASSERT_TRUE(world.cluster.storage(member).flip_bit("/data/snapshot/" + state, 100, 3));
    world.begin_verify(member);
    world.until([&] { return world.cluster.node(member)->repaired().files == 1; });
    world.expect_all_whole();
}

// One of two damaged files is damaged on all members: it waits, with the alarm, and holds up nothing.
TEST(SimRepair, AFileThatNobodyHasHoldsUpNoOther) {
    Rotting world(true);
    const uint32_t member = world.follower();
    const auto archives = world.cluster.node(member)->snapshot()->archives;
    ASSERT_GT(archives.size(), 4u);
    for (uint32_t i = 1; i <= 3; ++i) {
        world.cluster.expect_damage(i);
        ASSERT_TRUE(world.cluster.storage(i).flip_bit("/data/snapshot/" + archives[1].name(), 150, 3));
    }
    ASSERT_TRUE(world.cluster.storage(member).flip_bit("/data/snapshot/" + archives[3].name(), 150, 3));
    world.begin_verify(member);
    world.until([&] { return world.cluster.node(member)->repaired().files == 1; });
    world.run_for(seconds(20));
    EXPECT_EQ(world.cluster.node(member)->repaired().files, 1u);
    for (uint32_t i = 1; i <= 3; ++i) EXPECT_TRUE(world.cluster.up(i));
    EXPECT_TRUE(world.has_alarm(member, "damaged snapshot/" + archives[1].name()));
    EXPECT_FALSE(world.has_alarm(member, "damaged snapshot/" + archives[3].name()));
}

// The one that gives a snapshot to another member finds out by that, and doesn't spread it.
TEST(SimRepair, ADamagedArchiveIsNotGivenToAnother) {
    ClusterOptions options = options_for(true);
    options.wal_keep_bytes = 0;
    Rotting world(options);
    const uint32_t behind = world.follower();
    world.stop(behind);
    world.run_for(seconds(10));
    const uint32_t source = world.leader();
    world.cluster.expect_damage(source);
    const auto archives = world.cluster.node(source)->snapshot()->archives;
    const std::string newest = archives.at(archives.size() - 3).name();
    ASSERT_TRUE(world.cluster.storage(source).flip_bit("/data/snapshot/" + newest, 150, 3));
    world.cluster.start(behind);
    world.until([&] { return world.cluster.node(source)->repaired().files == 1; });
    world.expect_all_whole();
}

// Nobody reads what rots; in the background it is found and repaired all the same, before anybody needs it.
TEST(SimRepair, AScrubFindsRotBeforeItIsNeeded) {
    ClusterOptions options = options_for(true);
    options.scrub_rate = 512u << 10;
    Rotting world(options);
    const uint32_t member = world.follower();
    const std::vector<GroupPlace> places = world.places(member);
    ASSERT_TRUE(places[7].sealed);
    world.hurt(member, places[7]);
    const auto archives = world.cluster.node(member)->snapshot()->archives;
    ASSERT_TRUE(world.cluster.storage(member).flip_bit("/data/snapshot/" + archives.at(1).name(), 150, 3));
    auto counter = [&](const char* name) {
        const std::string dump = world.cluster.node(member)->dump();
        const size_t at = dump.find(std::string(name) + "=");
        return at == std::string::npos ? 0 : std::stoull(dump.substr(at + std::string(name).size() + 1));
    };
    world.until([&] {
        const daemon::Node::Repaired repaired = world.cluster.node(member)->repaired();
        return repaired.holes == 1 && repaired.files == 1;
    });
    world.until([&] { return counter("scrub_passes") > 1; });
    EXPECT_GE(counter("scrub_damages"), 2u);
    EXPECT_GT(counter("scrub_bytes"), 100'000u);
    world.expect_all_whole();
    // Whoever asks for a verification doesn't wait for it.
    world.begin_verify(member);
}

// Log, archives and state of two of three members, the leader among them, in different places: all of it is
// found in the background and mended while clients append.
TEST(SimRepair, LogArchivesAndStateOfTwoMembersAtOnceUnderLoad) {
    for (size_t round = 0; round < 5; ++round) {
        SCOPED_TRACE(round);
        ClusterOptions options = options_for(true);
        options.scrub_rate = 1u << 20;
        Rotting world(options);
        const uint32_t members[2] = {world.follower(), world.leader()};
        for (size_t at = 0; at < 2; ++at) {
            const uint32_t member = members[at];
            const std::vector<GroupPlace> places = world.places(member);
            const GroupPlace& place = places[5 + round * 9 + at * 30];
            ASSERT_TRUE(place.sealed);
            world.hurt(member, place);
            const auto* snapshot = world.cluster.node(member)->snapshot();
            const std::string names[2] = {snapshot->archives.at(1 + 2 * round + at).name(),
                                          snapshot->state.name};
            for (const std::string& name : names)
                ASSERT_TRUE(world.cluster.storage(member).flip_bit("/data/snapshot/" + name, 100, 3)) << name;
        }
        const uint64_t before = world.cluster.truth().committed();
        for (uint32_t member : members)
            world.until([&] {
                const daemon::Node::Repaired repaired = world.cluster.node(member)->repaired();
                return repaired.holes == 1 && repaired.files != 0 && !world.has_alarm(member, "damaged");
            });
        world.until([&] { return world.leader() != 0 && world.cluster.truth().committed() > before; });
        world.expect_all_whole();
    }
}

// No leader is needed, and none is there: each has what another one lacks.
TEST(SimRepair, DamageOfAllMembersInDifferentPlaces) {
    Rotting world;
    world.cluster.comes_back = false;
    for (uint32_t i = 1; i <= 3; ++i) {
        world.cluster.stop(i);
        world.until([&] { return !world.cluster.up(i); });
    }
    for (uint32_t i = 1; i <= 3; ++i) {
        std::vector<GroupPlace> places = world.places(i);
        size_t first = places.size();
        while (first > 0 && !places[first - 1].sealed) --first;
        ASSERT_GT(places.size() - first, 3u);
        // Other entries on each, as far as the groups are the same.
        world.hurt(i, places[places.size() - i]);
    }
    world.cluster.comes_back = true;
    for (uint32_t i = 1; i <= 3; ++i) world.cluster.start(i);
    for (uint32_t i = 1; i <= 3; ++i) EXPECT_TRUE(world.cluster.node(i)->holed()) << i;
    for (uint32_t i = 1; i <= 3; ++i) world.until([&] { return world.whole(i); });
    world.until([&] { return world.leader() != 0; });
    world.expect_all_whole();
}

// A hole of two groups; each of the others has lost one of them, and they can't reach each other. What the
// first one asked gives is gone on with by the second.
TEST(SimRepair, WhatNobodyHasAloneIsPutTogether) {
    Rotting world(one_segment());
    world.cluster.comes_back = false;
    for (uint32_t i = 1; i <= 3; ++i) {
        world.cluster.stop(i);
        world.until([&] { return !world.cluster.up(i); });
    }
    // The groups aren't the same on all: those that hold one entry, and those that hold the next but few.
    const std::vector<GroupPlace> places = world.places(1);
    const Index first = places[places.size() - 80].first;
    const Index second = first + 30;
    auto hurt = [&](uint32_t member, Index from, Index to) {
        for (const GroupPlace& place : world.places(member))
            if (place.last >= from && place.first <= to) world.hurt(member, place);
    };
    hurt(1, first, second);
    hurt(2, second, second);
    hurt(3, first, first);
    world.network.cut(2, 3, true);
    world.network.cut(3, 2, true);
    world.cluster.comes_back = true;
    for (uint32_t i = 1; i <= 3; ++i) world.cluster.start(i);
    for (uint32_t i = 1; i <= 3; ++i) EXPECT_TRUE(world.cluster.node(i)->holed()) << i;
    for (uint32_t i = 1; i <= 3; ++i) world.until([&] { return world.whole(i); });
    world.network.cut(2, 3, false);
    world.network.cut(3, 2, false);
    world.until([&] { return world.leader() != 0; });
    world.expect_all_whole();
}

// The configurations that named another member are damaged, so this one seems to be alone: it isn't, and
// waits for the one that it heard of.
TEST(SimRepair, AHoleMayHideWhoElseThereIs) {
    ClusterOptions options = one_segment();
    options.members = 1;
    Rotting world(options);
    SimFiles files(world.cluster.storage(1));
    const auto dir = snapshot::inspect(files, Cluster::kDataDir);
    ASSERT_TRUE(dir.has_value());
    ASSERT_EQ(world.cluster.add(dir->current.genesis, "n2"), 2u);
    world.cluster.start(2);
    const Index alone = world.cluster.node(1)->core().last();
    world.talker.be_client_of("n1");
    auto answer = [&](const pb::Request& request) {
        const uint32_t stream = world.talker.ask(request);
        world.until([&] { return world.talker.heard.answers.contains(stream); });
        return world.talker.heard.answers[stream].member_list();
    };
    pb::Request list, request;
    list.mutable_list_members();
    pb::ChangeMembers& change = *request.mutable_change_members();
    const pb::MemberList before = answer(list);
    change.set_expected_config_index(before.config_index());
    *change.mutable_target() = before.members();
    pb::MemberInfo& added = *change.add_target();
    added.set_id(2), added.set_name("n2"), added.set_voter(false), added.set_promote(true);
    added.set_peer(world.cluster.peer_address(2)), added.set_client(world.cluster.client_address(2));
    EXPECT_EQ(answer(request).members_size(), 1);  // it begins
    world.until([&] {
        return raft::voters_of(world.cluster.node(1)->core().view().membership.members.now).size() == 2;
    });
    world.run_for(seconds(1));
    world.stop(1);
    world.stop(2);
    for (const GroupPlace& place : world.places(1))
        if (place.last > alone) world.hurt(1, place);
    world.cluster.start(1);
    ASSERT_TRUE(world.cluster.node(1)->holed());
    ASSERT_EQ(world.cluster.node(1)->members().in_force().infos.size(), 1u);
    world.run_for(seconds(2));
    ASSERT_TRUE(world.cluster.up(1)) << world.cluster.last_end(1);
    world.cluster.start(2);
    world.until([&] { return world.whole(1); });
    world.until([&] { return world.leader() != 0; });
    world.expect_all_whole();
}

// A leader that was cut off has entries that nobody else has, and its hole begins before them: what the
// others have fits before it and not behind. Up to where they part it is theirs too; nothing is dropped, and
// it ends once all have said so.
TEST(SimRepair, AHoleInWhichTheLogsPartEndsTheMemberAndDropsNothing) {
    Rotting world(one_segment());
    const uint32_t old = world.leader();
    world.isolate(old, true);
    world.until([&] { return world.leader() != old && world.leader() != 0; });
    const Index end = world.cluster.node(old)->core().last(),
                common = world.cluster.node(old)->core().commit();
    ASSERT_GT(end, common + 2);
    world.run_for(seconds(1));
    world.stop(old);
    for (const GroupPlace& place : world.places(old))
        if (place.last >= common) world.hurt(old, place);
    world.isolate(old, false);
    world.cluster.start(old);
    ASSERT_TRUE(world.cluster.node(old)->holed());
    EXPECT_EQ(world.cluster.node(old)->core().last(), end);
    world.until([&] {
        EXPECT_TRUE(!world.cluster.up(old) || world.cluster.node(old)->core().last() == end);
        return !world.cluster.up(old);
    });
    const std::string& line = world.cluster.last_end(old);
    EXPECT_NE(line.find("no other member has them"), std::string::npos) << line;
    EXPECT_NE(line.find("its entries don't fit the chain"), std::string::npos) << line;
}

// The same entries on all: nobody votes or acknowledges anything that rests on them, and each says what is
// lost.
TEST(SimRepair, WhatNobodyHasEndsTheMembersAndSaysWhatIsLost) {
    Rotting world;
    world.cluster.comes_back = false;
    for (uint32_t i = 1; i <= 3; ++i) {
        world.cluster.stop(i);
        world.until([&] { return !world.cluster.up(i); });
    }
    Index lost{};
    for (const GroupPlace& place : world.places(1))
        if (!place.sealed) lost = place.last;  // in the last group, which all have
    for (uint32_t i = 1; i <= 3; ++i)
        for (const GroupPlace& place : world.places(i))
            if (place.first <= lost && lost <= place.last) world.hurt(i, place);
    for (uint32_t i = 1; i <= 3; ++i) world.cluster.start(i);
    world.until([&] { return !world.cluster.up(1) && !world.cluster.up(2) && !world.cluster.up(3); });
    for (uint32_t i = 1; i <= 3; ++i) {
        const std::string& line = world.cluster.last_end(i);
        EXPECT_NE(line.find("are lost here"), std::string::npos) << line;
        EXPECT_NE(line.find("wal"), std::string::npos) << line;
        EXPECT_NE(line.find("member replace"), std::string::npos) << line;
        EXPECT_NE(line.find("it can't read them either"), std::string::npos) << line;
    }
}

// A segment is written anew beside the damaged one: without room for that nothing is even fetched, the alarm
// says so, less and less often is it looked at, and the repair goes on by itself.
TEST(SimRepair, WithoutRoomARepairWaits) {
    Rotting world;
    const uint32_t member = world.follower();
    world.stop(member);
    const std::vector<GroupPlace> places = world.places(member);
    ASSERT_FALSE(places[places.size() - 2].sealed);
    world.hurt(member, places[places.size() - 2]);
    SimStorage& disk = world.cluster.storage(member);
    uint64_t looks = 0;
    disk.fault = [&](uint64_t, const DiskCall& call) {
        looks += call.path.ends_with(".mend");
        return Verdict{};
    };
    disk.set_room(160u << 10);  // wanted: the file, the segment behind it, and the reserve, of 64 KiB each
    world.cluster.start(member);
    world.until([&] { return world.cluster.up(member) && world.cluster.node(member)->holed(); });
    world.until([&] { return world.has_alarm(member, "repair_waits"); });
    world.run_for(seconds(3));
    EXPECT_EQ(looks, 0u);
    EXPECT_TRUE(world.cluster.node(member)->holed());
    disk.set_capacity(UINT64_MAX);
    world.until([&] { return world.whole(member); });
    EXPECT_FALSE(world.has_alarm(member, "repair_waits"));
    EXPECT_GT(looks, 0u);
    world.expect_all_whole();
}

}  // namespace
}  // namespace raftd::sim
