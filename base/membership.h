// Who belongs to the cluster, as Raft sees it. Names and addresses are the daemon's business.
#pragma once

#include <vector>

#include "base/types.h"

namespace raftd {

struct Member {
    NodeId id{};
    bool learner = false;  // receives, never votes, never counts
    bool promote = false;  // learner that is to become a voter once caught up
    uint8_t priority = 0;  // a higher one is preferred as leader
    bool operator==(const Member&) const = default;
};

/// A configuration; joint while `next` is not empty (thesis 4.3). Members are in order of id.
struct Membership {
    std::vector<Member> now, next;
    bool leave_joint = false;  // whoever leads appends C_new once the joint one is committed
    bool joint() const { return !next.empty(); }
    bool operator==(const Membership&) const = default;
};

/// A configuration and the entry that brought it (index 0: the genesis).
struct ConfigAt {
    Index index{};
    Membership members;
};

}  // namespace raftd
