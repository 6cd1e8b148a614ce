// Where two logs differ first, who is named, and what is said not to be known: over members that are played.
#include "cli/verify.h"

#include <gtest/gtest.h>

#include <set>

namespace raftd::cli {
namespace {

/// Members' logs as chains by index; entry i holds record i.
struct Logs {
    struct Log {
        uint64_t base = 0, end = 0;
        uint64_t other_from = UINT64_MAX;  // from this entry on it is another history
        std::set<uint64_t> damaged = {};
    };
    std::map<std::string, Log> logs;
    uint64_t questions = 0;

    static uint64_t chain_of(const Log& log, uint64_t index) {
        return index * 1000 + (index >= log.other_from ? 7 : 0);
    }
    std::vector<VerifyMember> members() const {
        std::vector<VerifyMember> all;
        for (const auto& [name, log] : logs) {
            VerifyMember member{name, name + ":1", "", pb::Chain{}, {}, {}};
            member.chain->set_base_index(log.base);
            member.chain->set_base_chain(chain_of(log, log.base));
            member.chain->set_commit_index(log.end);
            member.chain->set_commit_lsn(log.end);
            all.push_back(std::move(member));
        }
        return all;
    }
    Result<pb::Chain> ask(const VerifyMember& of, const pb::ChainRequest& asked) {
        ++questions;
        const Log& log = logs.at(of.name);
        const uint64_t index = asked.lsn() != 0 ? asked.lsn() : asked.index();
        pb::Chain chain;
        chain.set_index(index);
        chain.set_has(index < log.base              ? pb::Chain::TRIMMED
                      : index > log.end             ? pb::Chain::AHEAD
                      : log.damaged.contains(index) ? pb::Chain::DAMAGED
                                                    : pb::Chain::YES);
        chain.set_chain(chain_of(log, index));
        chain.set_lsn_first(index);
        chain.set_records(1);
        chain.set_file("wal/" + std::to_string(index / 100));
        return chain;
    }
    Comparison compare(uint64_t from = 0) {
        Comparison found;
        compare_chains(
            members(), from,
            [this](const VerifyMember& of, const pb::ChainRequest& asked) { return ask(of, asked); }, found);
        return found;
    }
};

TEST(VerifyCompare, EqualLogsOfAnyLengthAreIdentical) {
    Logs logs{{{"n1", {0, 900}}, {"n2", {400, 950}}, {"n3", {0, 870}}}};
    const Comparison found = logs.compare();
    EXPECT_TRUE(found.differences.empty());
    EXPECT_TRUE(found.not_compared.empty());
    EXPECT_EQ(found.index, 870u);
    EXPECT_LT(logs.questions, 10u);
}

TEST(VerifyCompare, BisectsToTheFirstEntryWhereverItIs) {
    for (uint64_t first : {1u, 2u, 3u, 499u, 500u, 501u, 869u, 870u}) {
        SCOPED_TRACE(first);
        Logs logs{{{"n1", {0, 900}}, {"n2", {0, 870, first}}, {"n3", {0, 880}}}};
        const Comparison found = logs.compare();
        ASSERT_EQ(found.differences.size(), 1u);
        const Difference& difference = found.differences.front();
        EXPECT_STREQ(difference.kind, "chain");
        EXPECT_EQ(difference.member, "n2") << "the one that differs from most";
        EXPECT_EQ(difference.index, first);
        EXPECT_EQ(difference.lsn, first);
        EXPECT_EQ(difference.file, "wal/" + std::to_string(first / 100));
        EXPECT_LT(logs.questions, 40u);
    }
}

// Behind the end of the shortest log the others are still compared with each other.
TEST(VerifyCompare, TheOthersAreComparedBeyondAShortOne) {
    Logs logs{{{"n1", {0, 900}}, {"n2", {0, 10}}, {"n3", {0, 900, 700}}}};
    const Comparison found = logs.compare();
    ASSERT_EQ(found.differences.size(), 1u);
    EXPECT_EQ(found.differences.front().index, 700u);
    EXPECT_EQ(found.index, 10u);
}

TEST(VerifyCompare, ADifferenceInWhatIsGoneIsToldAsOne) {
    Logs logs{{{"n1", {300, 900, 100}}, {"n2", {0, 900}}, {"n3", {0, 900}}}};
    const Comparison found = logs.compare();
    ASSERT_EQ(found.differences.size(), 1u);
    EXPECT_EQ(found.differences.front().index, 300u);
    EXPECT_NE(found.differences.front().what.find("can't be compared any more"), std::string::npos);
}

TEST(VerifyCompare, FromARecordTheSearchBeginsThere) {
    Logs logs{{{"n1", {0, 900}}, {"n2", {0, 900, 700}}, {"n3", {0, 900}}}};
    EXPECT_EQ(logs.compare(600).differences.at(0).index, 700u);
    EXPECT_EQ(logs.compare(800).differences.at(0).index, 799u) << "it differs before that already";
}

TEST(VerifyCompare, NothingThatCantBeComparedIsPassedOver) {
    Logs apart{{{"n1", {0, 100}}, {"n2", {200, 300}}, {"n3", {200, 300}}}};
    const Comparison gap = apart.compare();
    EXPECT_TRUE(gap.differences.empty());
    ASSERT_EQ(gap.not_compared.size(), 1u);
    EXPECT_EQ(gap.not_compared.front().member, "n1");

    Logs rotten{{{"n1", {0, 900}}, {"n2", {0, 900, 300, {450}}}, {"n3", {0, 900}}}};
    const Comparison damage = rotten.compare();
    ASSERT_EQ(damage.differences.size(), 1u);
    EXPECT_STREQ(damage.differences.front().kind, "damage");
    EXPECT_EQ(damage.differences.front().member, "n2");
    EXPECT_EQ(damage.differences.front().file, "wal/4");
}

VerifyMember with_archives(const std::string& name,
                           const std::vector<std::tuple<uint64_t, uint64_t, char>>& archives) {
    VerifyMember member{name, "", "", {}, pb::Snapshots{}, {}};
    for (const auto& [first, last, digit] : archives) {
        pb::Archive& archive = *member.snapshots->add_archives();
        archive.set_first(first);
        archive.set_last(last);
        archive.set_lsn_first(first);
        archive.set_lsn_next(last + 1);
        archive.set_hash(std::string(64, digit));
    }
    return member;
}

TEST(VerifyCompare, TheArchiveThatDiffersFromMostIsNamed) {
    Comparison found;
    compare_archives(
        {with_archives("n1", {{1, 20, 'b'}, {21, 40, 'c'}}),
         with_archives("n2", {{1, 20, 'a'}, {21, 40, 'c'}}), with_archives("n3", {{1, 20, 'a'}})},
        0, found);
    ASSERT_EQ(found.differences.size(), 1u);
    EXPECT_EQ(found.differences[0].member, "n1");
    EXPECT_EQ(found.differences[0].index, 1u);
    EXPECT_EQ(found.differences[0].file, "snapshot/1-20-" + std::string(32, 'b') + ".zst");
    Comparison later;
    compare_archives({with_archives("n1", {{1, 20, 'b'}}), with_archives("n2", {{1, 20, 'a'}})}, 21, later);
    EXPECT_TRUE(later.differences.empty());
}

VerifyMember with_state(const std::string& name, uint64_t index, uint64_t digest, uint64_t applied) {
    VerifyMember member{name, "", "", {}, {}, pb::Verified{}};
    member.read->set_state_index(index);
    member.read->set_state_digest(digest);
    member.read->set_applied_index(applied);
    member.read->set_applied_digest(digest);
    return member;
}

TEST(VerifyCompare, StatesAreComparedWhereTheyAreOfOneEntry) {
    Comparison found;
    compare_read({with_state("n1", 20, 1, 31), with_state("n2", 20, 2, 32), with_state("n3", 20, 1, 33)},
                 found);
    ASSERT_EQ(found.differences.size(), 1u);
    EXPECT_EQ(found.differences[0].member, "n2");
    EXPECT_EQ(found.differences[0].file, "snapshot/state-20");
    EXPECT_TRUE(found.not_compared.empty());

    Comparison apart;
    compare_read({with_state("n1", 20, 1, 31), with_state("n2", 20, 1, 32), with_state("n3", 40, 9, 45)},
                 apart);
    EXPECT_TRUE(apart.differences.empty());
    ASSERT_EQ(apart.not_compared.size(), 1u);
    EXPECT_EQ(apart.not_compared[0].member, "n3");
    EXPECT_FALSE(apart.not_compared[0].matters);
}

}  // namespace
}  // namespace raftd::cli
