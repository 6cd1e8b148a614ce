// Saves of members that run: whole and as new as was asked for, under load, over kills and newer snapshots,
// and bounded in number and time. What is saved is what the cluster committed, and a restore begins with it.
#include <gtest/gtest.h>

#include "daemon/saves.h"
#include "sim/tar_in_memory.h"
#include "snapshot/restore.h"
#include "tests/support/sim_fixture.h"
#include "tests/support/talker.h"

namespace raftd::sim {
namespace {

struct SaveTest : SimFixture, testing::Test {
    SaveTest() : SimFixture(41, small_archives()) {}
    std::vector<std::unique_ptr<Talker>> talkers;

    void SetUp() override { start_loaded(seconds(5)); }
    Talker& talk_to(uint32_t member) {
        talkers.push_back(
            std::make_unique<Talker>(kernel, network, 150 + static_cast<uint32_t>(talkers.size())));
        talkers.back()->be_client_of(Cluster::name_of(member));
        return *talkers.back();
    }
    /// Nothing: the member was killed meanwhile.
    std::optional<pb::Answer> ask(Talker& talker, uint32_t member, const pb::Request& request) {
        const uint32_t stream = talker.ask(request);
        until([&] { return talker.heard.answers.contains(stream) || !cluster.up(member); });
        if (!talker.heard.answers.contains(stream)) return std::nullopt;
        return talker.heard.answers.at(stream);
    }
    std::optional<pb::SaveBegun> begin(Talker& talker, uint32_t member, Index upto) {
        pb::Request request;
        request.mutable_begin_save()->set_index_min(raw(upto));
        for (int tries = 0; tries < 200; ++tries) {
            std::optional<pb::Answer> said = ask(talker, member, request);
            if (!said) return std::nullopt;
            if (said->has_save_begun()) return said->save_begun();
            EXPECT_EQ(static_cast<Errc>(said->error().code()), Errc::unavailable) << said->error().what();
            run_for(milliseconds(50));
        }
        ADD_FAILURE() << "no save begins";
        return std::nullopt;
    }
    /// The save as bytes; nothing: the member was killed meanwhile. `meanwhile` runs before each question.
    std::optional<std::string> fetch(
        Talker& talker, uint32_t member, const pb::SaveBegun& begun,
        const std::function<void()>& meanwhile = [] {}) {
        TarInMemory tar;
        client::SaveFetch fetching(begun, tar);
        EXPECT_TRUE(fetching.begin());
        while (!fetching.done()) {
            meanwhile();
            auto request = fetching.next();
            if (!request || !cluster.up(member)) return std::nullopt;
            std::optional<pb::Answer> said = ask(talker, member, *request);
            if (!said) return std::nullopt;
            auto taken = fetching.take(*said);
            EXPECT_TRUE(taken) << taken.error().what;
            if (!taken) return std::nullopt;
        }
        EXPECT_TRUE(tar.tar.finish());
        return tar.bytes;
    }
    /// What was saved is what the members committed, and a restore takes all of it over.
    void expect_saved(const std::string& tar, uint32_t member, Index upto) {
        SimStorage storage;
        SimFiles files(storage);
        int failed = 0;
        const io::FileId file = files.open("/save", io::OpenMode::truncate, failed);
        ASSERT_EQ(files.write(file, 0, as_bytes(tar)).error, 0);
        files.close(file);
        auto saved = snapshot::Saved::open(files, "/save");
        ASSERT_TRUE(saved) << saved.error().what;
        auto verified = saved->verify();
        ASSERT_TRUE(verified) << verified.error().what;
        EXPECT_GE(saved->snapshot().at.index, upto);
        cluster.truth().check_archives(member, saved->snapshot().archives);
        auto content = saved->state();
        ASSERT_TRUE(content) << content.error().what;
        auto state = daemon::State::load(cluster.node(leader())->state().limits(), *content);
        ASSERT_TRUE(state) << state.error().what;
        cluster.truth().check_state(member, *state);

        const NodeId id = snapshot::next_id(*saved).value();
        snapshot::RestorePlan plan{.cluster_id = {5, 5}, .cluster_name = "fresh", .members = {}, .cut = {}};
        plan.members = {{id, "m1", "h:1", "h:2", {1, 2}, false, 0}};
        auto made = snapshot::make_restored(files, "/new", *saved, plan, id);
        ASSERT_TRUE(made) << made.error().what;
        auto again = snapshot::StateFile::open(files, "/new/snapshot", made->snapshot.state);
        ASSERT_TRUE(again) << again.error().what;
        auto restored = daemon::State::load(state->limits(), *again);
        ASSERT_TRUE(restored) << restored.error().what;
        EXPECT_EQ(restored->point(), made->snapshot.at);
        EXPECT_EQ(restored->producers(), state->producers());
        EXPECT_EQ(restored->answers(), state->answers());
        EXPECT_EQ(restored->archives().marks(), state->archives().marks());
    }
    size_t state_files(uint32_t member) {
        int error = 0;
        size_t count = 0;
        for (const std::string& name : cluster.storage(member).list("/data/snapshot", error))
            count += snapshot::is_state_file_name(name);
        return count;
    }
};

TEST_F(SaveTest, IsWholeUnderLoadAndOverKills) {
    uint32_t whole = 0, cut = 0;
    for (uint32_t round = 0; round < 24; ++round) {
        const uint32_t member = round % cluster.count() + 1;
        until([&] { return cluster.up(member) && leader() != 0; });
        Talker& talker = talk_to(member);
        const Index upto{cluster.truth().committed()};
        auto begun = begin(talker, member, upto);
        ASSERT_TRUE(begun);
        uint64_t left =
            round % 2 == 0 ? UINT64_MAX : kernel.random.below(static_cast<uint64_t>(begun->files_size()));
        auto tar = fetch(talker, member, *begun, [&] {
            run_for(milliseconds(static_cast<int64_t>(kernel.random.below(40))));
            if (left-- == 0) cluster.kill(member);
        });
        ASSERT_EQ(tar.has_value(), round % 2 == 0);
        if (!tar) {
            ++cut;
            cluster.start(member);
            continue;
        }
        ++whole;
        expect_saved(*tar, member, upto);
        if (HasFailure()) return;
    }
    EXPECT_EQ(whole, 12u);
    EXPECT_EQ(cut, 12u);
}

// The files stay while somebody reads them, whatever newer snapshots do; and go once nobody does.
TEST_F(SaveTest, FilesStayForItAndGoBehindIt) {
    const uint32_t member = follower();
    Talker& talker = talk_to(member);
    auto begun = begin(talker, member, Index{cluster.truth().committed()});
    ASSERT_TRUE(begun);
    run_for(seconds(20));
    EXPECT_GT(raw(cluster.node(member)->snapshot()->at.index), begun->index() + 500);
    auto tar = fetch(talker, member, *begun);
    ASSERT_TRUE(tar);
    expect_saved(*tar, member, Index{begun->index()});
    pb::Request end;
    end.mutable_end_save()->set_id(begun->id());
    ask(talker, member, end);
    run_for(seconds(5));
    EXPECT_LE(state_files(member), 3u);
}

// Each try that fails holds back what it would have removed, and what is in force isn't among that.
TEST_F(SaveTest, WhatIsInForceStaysThoughTheNextSnapshotFailsAgainAndAgain) {
    const uint32_t member = follower();
    Talker& talker = talk_to(member);
    auto begun = begin(talker, member, Index{cluster.truth().committed()});
    ASSERT_TRUE(begun);
    cluster.storage(member).fault = [](uint64_t, const DiskCall& call) {
        return Verdict{call.op == DiskOp::write && call.path.find("manifest-") != call.path.npos ? ENOSPC
                                                                                                 : 0};
    };
    run_for(seconds(40));
    EXPECT_EQ(raw(cluster.node(member)->snapshot()->at.index), begun->index());
    pb::Request request;
    request.mutable_freeze()->set_version(1);
    request.mutable_freeze()->set_for_ms(3'600'000);
    ASSERT_TRUE(ask(talker, member, request)->has_frozen());
    request.mutable_end_save()->set_id(begun->id());
    ask(talker, member, request);
    run_for(seconds(5));
    cluster.storage(member).fault = nullptr;
    int error = 0;
    const std::vector<std::string> there = cluster.storage(member).list("/data/snapshot", error);
    const snapshot::SnapshotManifest& in_force = *cluster.node(member)->snapshot();
    std::vector<std::string> needed{in_force.name(), in_force.state.name};
    for (const snapshot::ArchiveInfo& archive : in_force.archives) needed.push_back(archive.name());
    for (const std::string& name : needed)
        EXPECT_NE(std::find(there.begin(), there.end(), name), there.end()) << name;
    EXPECT_LE(state_files(member), 10u);
}

// Nothing is appended any more, so no other snapshot comes that would let them go.
TEST_F(SaveTest, WhatWasTrimmedMeanwhileGoesWithTheSave) {
    const uint32_t member = follower();
    writer->set_appending(false);
    until([&] { return writer->outstanding() == 0; });
    Talker& talker = talk_to(member);
    auto begun = begin(talker, member, Index{1});
    ASSERT_TRUE(begun);
    Talker& to_leader = talk_to(leader());
    pb::Request request;
    request.mutable_trim()->set_before(begun->lsn());
    ASSERT_TRUE(ask(to_leader, leader(), request));
    auto archives_there = [&] {
        int error = 0;
        size_t count = 0;
        for (const std::string& name : cluster.storage(member).list("/data/snapshot", error))
            count += name.ends_with(".zst");
        return count;
    };
    run_for(seconds(5));
    EXPECT_GT(archives_there(), 5u);
    auto tar = fetch(talker, member, *begun);
    ASSERT_TRUE(tar);
    request.mutable_end_save()->set_id(begun->id());
    ask(talker, member, request);
    until([&] { return archives_there() <= 2; }, seconds(5));
    // What the snapshot says of checkpoints may have gone with them: it isn't saved any more.
    request.mutable_begin_save()->set_index_min(1);
    auto refused = ask(talker, member, request);
    ASSERT_TRUE(refused && refused->has_error());
    EXPECT_EQ(static_cast<Errc>(refused->error().code()), Errc::conflict);
}

TEST_F(SaveTest, WhoAsksForNothingIsNotWaitedForAndFewGoOnAtOnce) {
    const uint32_t member = follower();
    Talker& talker = talk_to(member);
    pb::Request request;
    request.mutable_begin_save()->set_index_min(1);
    std::vector<uint64_t> ids;
    while (ids.size() < daemon::Saves::kAtOnce) {
        auto begun = begin(talker, member, Index{1});
        ASSERT_TRUE(begun);
        ids.push_back(begun->id());
    }
    auto refused = ask(talker, member, request);
    ASSERT_TRUE(refused && refused->has_error());
    EXPECT_EQ(static_cast<Errc>(refused->error().code()), Errc::unavailable);
    run_for(daemon::Saves::kIdleMax + seconds(1));
    pb::Request read;
    read.mutable_read_save()->set_id(ids[0]);
    read.mutable_read_save()->set_bytes_max(10);
    auto ended = ask(talker, member, read);
    ASSERT_TRUE(ended && ended->has_error());
    EXPECT_EQ(static_cast<Errc>(ended->error().code()), Errc::not_found);
    EXPECT_TRUE(begin(talker, member, Index{1}));
}

// What no client of ours asks ends that save and nothing else, and is never a path.
TEST_F(SaveTest, NonsenseEndsIt) {
    const uint32_t member = follower();
    for (int way = 0; way < 4; ++way) {
        Talker& talker = talk_to(member);
        auto begun = begin(talker, member, Index{1});
        ASSERT_TRUE(begun);
        pb::Request request;
        pb::ReadSave& read = *request.mutable_read_save();
        read.set_id(begun->id());
        read.set_bytes_max(way == 0 ? 0 : 100);
        read.set_file(way == 1 ? UINT32_MAX : 0);
        if (way == 2) read.set_offset(UINT64_MAX);
        if (way == 3) read.set_offset(begun->files(0).bytes());
        auto said = ask(talker, member, request);
        ASSERT_TRUE(said && said->has_error()) << way;
        EXPECT_EQ(static_cast<Errc>(said->error().code()), Errc::bad_input);
        // Somebody else's number isn't one's own.
        Talker& other = talk_to(member);
        auto theirs = begin(other, member, Index{1});
        ASSERT_TRUE(theirs);
        read.set_id(theirs->id()), read.set_file(0), read.set_offset(0), read.set_bytes_max(100);
        said = ask(talker, member, request);
        ASSERT_TRUE(said && said->has_error());
        EXPECT_EQ(static_cast<Errc>(said->error().code()), Errc::not_found);
        said = ask(other, member, request);
        ASSERT_TRUE(said && said->has_save_part());
        EXPECT_EQ(said->save_part().data().size(), 100u);
        pb::Request end;
        end.mutable_end_save()->set_id(theirs->id());
        ask(other, member, end);
    }
}

}  // namespace
}  // namespace raftd::sim
