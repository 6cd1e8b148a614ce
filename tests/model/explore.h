// Breadth-first search of everything that can happen to three cores within bounds. What it finds is a
// shortest way to a violation; when it finds nothing and `complete`, there is none within the bounds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/model/world.h"

namespace raftd::raft::model {

struct Found {
    uint64_t states = 0, transitions = 0;
    size_t depth = 0;
    size_t machines = 0, letters = 0;  // different ones that occurred
    bool complete = false;             // nothing is left to be looked at
    std::string violation;             // with the way to it; empty: none
};

/// Ends at the first violation, or with `states_max` states.
Found explore(const Bounds& bounds, uint64_t states_max);

/// The bounds that have a name: small ones for each build, and larger ones for hours to spare.
std::vector<std::string> profile_names();
Bounds profile(std::string_view name);

}  // namespace raftd::raft::model
