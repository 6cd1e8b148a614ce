// What a core makes of a snapshot that its caller has installed, and of entries that it has mended.
#include <gtest/gtest.h>

#include "raft/core.h"

namespace raftd::raft {
namespace {

// The snapshot was fetched from a member that had gone on to a later term, and came before any message of
// it: the log must never end in a term above the present one.
TEST(RaftInstall, ASnapshotOfALaterTermBringsItsTerm) {
    const Membership members{{{NodeId{1}, false, false, 0}, {NodeId{2}, false, false, 0}}, {}, false};
    const ConfigAt genesis{Index{}, members};
    const Restart restart{.hard = {Term{3}, NodeId{1}},
                          .base = {},
                          .runs = {},
                          .last = {},
                          .configs = {&genesis, 1},
                          .health = {},
                          .boot = 1};
    Core core(Options{}, NodeId{1}, restart, 7, Instant{1});
    core.check_invariants(true);
    const EntryId at{Term{5}, Index{10}};
    core.step({Instant{2}, ev::Installed{at, members}});
    EXPECT_EQ(core.term(), Term{5});
    EXPECT_EQ(core.last(), Index{10});
    Output output;
    core.collect(output);
    ASSERT_TRUE(output.reset.has_value());
    EXPECT_EQ(*output.reset, at);
    ASSERT_TRUE(output.write.has_value());
    EXPECT_EQ(output.write->hard, (HardState{Term{5}, NodeId{}}));
}

// The log held what was installed, so its files stay; they may begin earlier than the core's log does.
TEST(RaftInstall, FilesMayGoLaterThanTheSnapshotSaid) {
    const Membership members{{{NodeId{1}, false, false, 0}, {NodeId{2}, false, false, 0}}, {}, false};
    const ConfigAt genesis{Index{}, members};
    const TermRun run{Term{2}, Index{1}};
    const Restart restart{.hard = {Term{2}, NodeId{}},
                          .base = {},
                          .runs = {&run, 1},
                          .last = Index{40},
                          .configs = {&genesis, 1},
                          .health = {},
                          .boot = 1};
    Core core(Options{}, NodeId{1}, restart, 7, Instant{1});
    core.check_invariants(true);
    core.step({Instant{2}, ev::Installed{{Term{2}, Index{30}}, members}});
    EXPECT_EQ(core.last(), Index{40});
    EXPECT_EQ(core.commit(), Index{30});
    core.step({Instant{3}, ev::Compacted{{Term{2}, Index{20}}}});
    EXPECT_EQ(core.view().base.index, Index{30});
}

// Entries 3 to 6 are damaged, and taken for term 1 until they are mended; 7 to 9 were acknowledged. Whether
// the log holds a snapshot's end at 4 isn't known before: by a guess that fails, 7 to 9 would go.
struct Gap {
    const Membership members{{{NodeId{1}, false, false, 0}, {NodeId{2}, false, false, 0}}, {}, false};
    const ConfigAt genesis{Index{}, members};
    const TermRun guessed[2] = {{Term{1}, Index{1}}, {Term{3}, Index{6}}};
    Core core{Options{}, NodeId{1},
              Restart{.hard = {Term{3}, NodeId{}},
                      .base = {},
                      .runs = guessed,
                      .last = Index{9},
                      .configs = {&genesis, 1},
                      .health = {.hole_first = Index{3}, .known_from = Index{6}},
                      .boot = 1},
              7, Instant{1}};

    bool wanted(EntryId at) {
        core.step({Instant{2}, ev::Message{NodeId{2}, msg::Snapshot{Term{4}, at}, {}}});
        Output output;
        core.collect(output);
        EXPECT_EQ(output.install.has_value(), core.may_install(at));
        return output.install.has_value();
    }
};

TEST(RaftInstall, ASnapshotThatEndsInAHoleWaitsForTheRepair) {
    Gap gap;
    gap.core.check_invariants(true);
    for (uint64_t term = 1; term <= 3; ++term) EXPECT_FALSE(gap.wanted({Term{term}, Index{4}})) << term;
    EXPECT_EQ(gap.core.last(), Index{9});
    const TermRun runs[2] = {{Term{1}, Index{3}}, {Term{2}, Index{4}}};
    const TermRun mended[3] = {runs[0], runs[1], {Term{3}, Index{6}}};
    gap.core.step({Instant{3}, ev::Mended{Index{3}, Index{6}, mended, {}}});
    gap.core.step({Instant{4}, Health{}});
    EXPECT_TRUE(gap.wanted({Term{2}, Index{4}}));
    gap.core.step({Instant{5}, ev::Installed{{Term{2}, Index{4}}, gap.members}});
    EXPECT_EQ(gap.core.last(), Index{9});
    EXPECT_EQ(gap.core.commit(), Index{4});
}

// What is known, hole or not, is judged at once.
TEST(RaftInstall, ASnapshotThatEndsBesideAHoleIsTaken) {
    EXPECT_TRUE(Gap().wanted({Term{1}, Index{2}}));   // before it
    EXPECT_TRUE(Gap().wanted({Term{3}, Index{7}}));   // behind it, the same entry
    EXPECT_TRUE(Gap().wanted({Term{4}, Index{7}}));   // behind it, another one
    EXPECT_TRUE(Gap().wanted({Term{4}, Index{4}}));   // in it, and of a term that can't stand there
    EXPECT_TRUE(Gap().wanted({Term{4}, Index{12}}));  // behind the log
}

// A mend was under way when a new leader cut the damaged entries off and put its own in their place. What the
// mend read is right and of no use: by it the core would give the new entries old terms, and a vote against
// them.
TEST(RaftMended, WhatWasCutOffMeanwhileIsntRestated) {
    const Membership members{{{NodeId{1}, false, false, 0}, {NodeId{2}, false, false, 0}}, {}, false};
    const ConfigAt genesis{Index{}, members};
    const TermRun run{Term{6}, Index{1}};
    const Restart restart{.hard = {Term{6}, NodeId{}},
                          .base = {},
                          .runs = {&run, 1},
                          .last = Index{120},
                          .configs = {&genesis, 1},
                          .health = {},
                          .boot = 1};
    Core core(Options{}, NodeId{1}, restart, 7, Instant{1});
    core.check_invariants(true);
    const TermRun old{Term{5}, Index{80}};
    core.step({Instant{2}, ev::Mended{Index{80}, Index{120}, {&old, 1}, {}}});
    EXPECT_EQ(core.term_at(Index{100}), Term{6});
    EXPECT_EQ(core.term_at(Index{120}), Term{6});
}

}  // namespace
}  // namespace raftd::raft
