#include "tests/support/recover_rig.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace raftd::cli {

NewCluster recover_plan(ClusterId id, const std::string& folder) {
    NewCluster cluster;
    cluster.id = id;
    cluster.incarnation = {5, 6};
    cluster.folder = folder;
    cluster.cluster_toml = "members";
    cluster.member_toml = "settings";
    return cluster;
}

PowerCuts cut_power_in_recovery(const sim::SimStorage& disk, ClusterId id, uint64_t seeds,
                                const std::function<void(io::Files&, const Survivor&)>& old_is_as_it_was,
                                const std::function<void(io::Files&)>& taken_over) {
    PowerCuts cuts;
    bool reached = true;
    for (uint64_t n = 1; reached; ++n) {
        reached = false;
        for (uint64_t seed = 1; seed <= seeds; ++seed) {
            SCOPED_TRACE("call " + std::to_string(n) + " seed " + std::to_string(seed));
            Random random(n * 10 + seed);
            sim::SimStorage storage = disk;
            const uint64_t cut = storage.calls() + n;
            storage.fault = [&](uint64_t number, const sim::DiskCall&) {
                reached |= number == cut;
                return sim::Verdict{0, number == cut};
            };
            {
                sim::SimWorld world(storage);
                world.machine().run([&] {
                    auto survivor = examine_survivor(world.machine().files(), "/old/data");
                    if (survivor)
                        (void)make_new_cluster(world.machine().files(), *survivor, recover_plan(id));
                });
            }
            storage.fault = nullptr;
            storage.crash(random, sim::CrashPolicy::draw(random));
            sim::SimFiles files(storage);
            auto survivor = examine_survivor(files, "/old/data");
            EXPECT_TRUE(survivor) << survivor.error().what;
            if (!survivor) return cuts;
            old_is_as_it_was(files, *survivor);
            int failed = 0;
            files.list("/new", failed);
            cuts.absent += failed == ENOENT;
            if (failed == 0) ++cuts.whole, taken_over(files);
            if (testing::Test::HasFailure()) return cuts;
            cuts.calls = n;
        }
    }
    printf("%lu calls, %lu times whole, %lu times not there\n", cuts.calls, cuts.whole, cuts.absent);
    return cuts;
}

void expect_chained_anew(ByteView old_entries, EntryCursor& now, LogPoint at) {
    EntryCursor before(old_entries);
    while (const EntryHeader* header = before.next()) {
        const EntryHeader* other = now.next();
        ASSERT_NE(other, nullptr);
        EXPECT_EQ(check_follows(at, *other), EntryFault::none);
        EXPECT_EQ(std::memcmp(other, header, offsetof(EntryHeader, chain)), 0);
        EXPECT_TRUE(std::ranges::equal(now.body(), before.body()));
        at = point_after(*other);
    }
}

}  // namespace raftd::cli
