// Members whose disks rot while the cluster works (P5, H3): what is damaged is found, named, never delivered,
// and repaired from whoever has it; what nobody has ends the member, which says what is lost.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace raftd::sim
