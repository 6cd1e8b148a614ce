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
