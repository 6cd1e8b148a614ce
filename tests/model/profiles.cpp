// The spaces that have a name. Sizes, as measured: docs/testing.md.
#include <algorithm>
#include <stdexcept>

#include "tests/model/explore.h"

namespace raftd::raft::model {

namespace {
Membership members_of(std::initializer_list<int> voters, std::initializer_list<int> learners = {}) {
    Membership out;
    for (int id : voters) out.now.push_back({NodeId{static_cast<uint64_t>(id)}, false, false, 0});
    for (int id : learners) out.now.push_back({NodeId{static_cast<uint64_t>(id)}, true, false, 0});
    std::sort(out.now.begin(), out.now.end(), [](const Member& a, const Member& b) { return a.id < b.id; });
    return out;
}
Renaming naming(uint64_t one, uint64_t two, uint64_t three) {
    return {NodeId{0}, NodeId{one}, NodeId{two}, NodeId{three}, NodeId{4}, NodeId{5}, NodeId{6}, NodeId{7}};
}
std::vector<Renaming> all_alike() {
    return {naming(1, 2, 3), naming(1, 3, 2), naming(2, 1, 3),
            naming(2, 3, 1), naming(3, 1, 2), naming(3, 2, 1)};
}
Bounds base(std::string_view name) {
    Bounds bounds;
    bounds.name = name;
    bounds.setting.options.pre_vote = false;
    bounds.setting.options.check_quorum = false;
    bounds.setting.genesis = members_of({1, 2, 3});
    bounds.same = all_alike();
    return bounds;
}

struct Named {
    const char* name;
    void (*make)(Bounds&);
};
// Two letters on their way at once are what a leader of three says in one turn; older ones may be lost or
// stay.
const Named kProfiles[] = {
    // Elections and replication: figures 7 and 8 of the paper live here.
    {"log", [](Bounds& b) { b.terms = 3, b.entries = 4, b.letters = 2; }},
    {"log-crash", [](Bounds& b) { b.terms = 2, b.entries = 3, b.letters = 2, b.crashes = 1; }},
    // Probes carry no entries: what they say of prev and commit stands alone.
    {"probe",
     [](Bounds& b) {
         b.setting.options.batch_bytes_max = 200;
         b.terms = 2, b.entries = 2, b.letters = 2, b.crashes = 1;
     }},
    {"pre-vote",
     [](Bounds& b) {
         b.setting.options.pre_vote = b.setting.options.check_quorum = true;
         b.terms = 2, b.entries = 3, b.letters = 2;
     }},
    // {1 2 3} to any two of them: the leader may be who goes.
    {"remove",
     [](Bounds& b) {
         b.targets = {members_of({1, 2}), members_of({1, 3}), members_of({2, 3})};
         b.terms = 2, b.entries = 4, b.letters = 2;
     }},
    // {1} to {2 3}: nobody is in both sets.
    {"replace",
     [](Bounds& b) {
         b.setting.genesis = members_of({1}, {2, 3});
         b.targets = {members_of({2, 3})};
         b.same = {naming(1, 2, 3), naming(1, 3, 2)};
         b.terms = 3, b.entries = 4, b.letters = 2;
     }},
    {"replace-crash",
     [](Bounds& b) {
         b.setting.genesis = members_of({1}, {2, 3});
         b.targets = {members_of({2, 3})};
         b.same = {naming(1, 2, 3), naming(1, 3, 2)};
         b.terms = 2, b.entries = 4, b.letters = 2, b.crashes = 1;
     }},
    // {1 2} and a learner: it takes somebody's place.
    {"swap",
     [](Bounds& b) {
         b.setting.genesis = members_of({1, 2}, {3});
         b.targets = {members_of({1, 3}), members_of({2, 3}), members_of({1}), members_of({2}),
                      members_of({3})};
         b.same = {naming(1, 2, 3), naming(2, 1, 3)};
         b.terms = 2, b.entries = 4, b.letters = 2;
     }},
    // Not to be finished in an hour: for a cut. Letters come twice and late; writes take their time, and a
    // crash
    // loses what wasn't synced.
    {"late", [](Bounds& b) { b.terms = 3, b.entries = 3, b.letters = 3, b.crashes = 1, b.doubles = 1; }},
    {"disk",
     [](Bounds& b) {
         b.setting.slow_disk = true;
         b.terms = 2, b.entries = 2, b.letters = 3, b.crashes = 1;
     }},
    {"remove-late",
     [](Bounds& b) {
         b.targets = {members_of({1, 2}), members_of({1, 3}), members_of({2, 3})};
         b.terms = 3, b.entries = 4, b.letters = 3, b.crashes = 1;
     }},
};
}  // namespace

std::vector<std::string> profile_names() {
    std::vector<std::string> names;
    for (const Named& named : kProfiles) names.emplace_back(named.name);
    return names;
}

Bounds profile(std::string_view name) {
    Bounds bounds = base(name);
    for (const Named& named : kProfiles)
        if (named.name == name) {
            named.make(bounds);
            return bounds;
        }
    throw std::invalid_argument("no such bounds: " + std::string(name));
}

}  // namespace raftd::raft::model
