// Members that read back what they have, while the cluster works: nothing is wrong and nothing is found;
// bits that changed at rest are found, named, and become an alarm.
#include <gtest/gtest.h>

#include "tests/support/sim_fixture.h"
#include "tests/support/talker.h"

namespace raftd::sim {
namespace {

ClusterOptions some_log_kept() {
    ClusterOptions options = no_log_kept();
    options.buffer_bytes = 32u << 10;
    options.wal_keep_bytes = 96u << 10;
    return options;
}

struct SimVerify : SimFixture, testing::Test {
    Talker talker{kernel, network, 190};

    SimVerify() : SimFixture(71, some_log_kept()) {}
    void SetUp() override { start_loaded(seconds(5)); }
    pb::Answer asked(uint32_t member, const pb::Request& request) {
        talker.be_client_of(Cluster::name_of(member));
        const uint32_t stream = talker.ask(request);
        until([&] { return talker.heard.answers.contains(stream); });
        return talker.heard.answers[stream];
    }
    pb::Verified read_back(uint32_t member, uint64_t run) {
        pb::Request request;
        request.mutable_verify()->set_run(run);
        pb::Answer answer = asked(member, request);
        for (int i = 0; i < 1000 && answer.has_verified() && !answer.verified().done(); ++i) {
            run_for(milliseconds(50));
            answer = asked(member, request);
        }
        EXPECT_TRUE(answer.has_verified() && answer.verified().done()) << answer.error().what();
        return answer.verified();
    }
    pb::Chain chain(uint32_t member, uint64_t index) {
        pb::Request request;
        request.mutable_chain()->set_index(index);
        return asked(member, request).chain();
    }
    bool has_alarm(uint32_t member, const std::string& alarm) {
        return cluster.node(member)->dump().find("alarm=" + alarm) != std::string::npos;
    }
};

TEST_F(SimVerify, AllIsWellUnderLoadAndStatesAreEqual) {
    for (uint64_t run = 1; run <= 3; ++run) {
        for (uint32_t member = 1; member <= 3; ++member) {
            const pb::Verified read = read_back(member, run);
            EXPECT_EQ(read.damages_size(), 0);
            EXPECT_GT(read.archives(), 3u);
            EXPECT_GE(read.entries(), read.entries_total() / 2) << "segments may have gone meanwhile";
            EXPECT_GT(read.upto(), 100u);
            EXPECT_GT(read.state_index(), 0u);
        }
        run_for(seconds(1));
    }
    writer->set_appending(false);
    run_for(seconds(5));
    const pb::Verified first = read_back(1, 9), second = read_back(2, 9), third = read_back(3, 9);
    EXPECT_EQ(first.state_index(), second.state_index());
    EXPECT_EQ(first.state_digest(), second.state_digest());
    EXPECT_EQ(first.state_digest(), third.state_digest());
    EXPECT_EQ(first.applied_digest(), third.applied_digest());
    EXPECT_EQ(first.entries(), first.entries_total());
}

// In memory, in segments and in archives.
TEST_F(SimVerify, ChainsOfAnyEntryAreTheSameOnAllMembers) {
    const uint64_t end = chain(1, 0).commit_index();
    ASSERT_GT(end, 500u);
    for (uint64_t index = 1; index < end; index += 1 + end / 40) {
        const pb::Chain first = chain(1, index);
        ASSERT_EQ(first.has(), pb::Chain::YES) << index << ": " << first.what();
        EXPECT_FALSE(first.file().empty());
        for (uint32_t member = 2; member <= 3; ++member) {
            const pb::Chain other = chain(member, index);
            EXPECT_EQ(other.has(), pb::Chain::YES) << other.what();
            EXPECT_EQ(other.chain(), first.chain()) << index;
            EXPECT_EQ(other.lsn_first(), first.lsn_first());
        }
    }
    EXPECT_EQ(chain(1, end + 100'000).has(), pb::Chain::AHEAD);
}

TEST_F(SimVerify, ABitThatChangedInAnArchiveIsNamed) {
    const uint32_t member = follower();
    const std::string name = cluster.node(member)->snapshot()->archives.at(2).name();
    ASSERT_TRUE(cluster.storage(member).flip_bit("/data/snapshot/" + name, 200, 3));
    const pb::Verified read = read_back(member, 5);
    ASSERT_EQ(read.damages_size(), 1);
    EXPECT_EQ(read.damages(0).file(), "snapshot/" + name);
    EXPECT_GE(read.damages(0).first(), raw(cluster.node(member)->snapshot()->archives.at(2).first()));
    EXPECT_LE(read.damages(0).first(), raw(cluster.node(member)->snapshot()->archives.at(2).last()));
    EXPECT_FALSE(has_alarm(leader(), "damaged"));
    // It is fetched from the others.
    until([&] { return cluster.node(member)->repaired().files == 1; });
    EXPECT_EQ(read_back(member, 6).damages_size(), 0);
    EXPECT_FALSE(has_alarm(member, "damaged"));
}

TEST_F(SimVerify, ABitThatChangedInASegmentIsNamedAndTheRestIsRead) {
    const uint32_t member = follower();
    int error = 0;
    std::vector<std::string> segments = cluster.storage(member).list("/data/wal", error);
    std::erase_if(segments, [](const std::string& name) { return !name.ends_with(".wal"); });
    ASSERT_GE(segments.size(), 3u);
    const std::string& victim = segments[segments.size() - 3];
    // Groups begin on blocks of 4 KiB: this is in the first entry of one.
    ASSERT_TRUE(cluster.storage(member).flip_bit("/data/wal/" + victim, 3 * 4096 + 200, 3));
    const pb::Verified read = read_back(member, 7);
    ASSERT_EQ(read.damages_size(), 1);
    EXPECT_EQ(read.damages(0).file(), "wal/" + victim);
    EXPECT_GT(read.damages(0).first(), 0u);
    EXPECT_GE(read.damages(0).last(), read.damages(0).first());
    EXPECT_LT(read.damages(0).last(), read.upto());
    EXPECT_GT(read.entries(), read.entries_total() / 2);
    // And it is repaired, as whoever reads damage has it repaired.
    until([&] { return cluster.node(member)->repaired().holes == 1; });
    EXPECT_FALSE(has_alarm(member, "damaged wal/" + victim));
    EXPECT_EQ(read_back(member, 8).damages_size(), 0);
}

TEST_F(SimVerify, OneAtATimeAndAgainAfterARestart) {
    pb::Request request;
    request.mutable_verify()->set_run(11);
    EXPECT_FALSE(asked(2, request).verified().done());
    request.mutable_verify()->set_run(12);
    EXPECT_EQ(static_cast<Errc>(asked(2, request).error().code()), Errc::conflict);
    cluster.kill(2);
    run_for(milliseconds(500));
    cluster.start(2);
    run_for(seconds(2));
    EXPECT_EQ(read_back(2, 11).damages_size(), 0) << "a run that a restart ended begins anew";
}

}  // namespace
}  // namespace raftd::sim
