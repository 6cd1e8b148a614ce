// Whom to ask for the entries of a hole, and from where on (H3). No member may have all of them: one is
// damaged a bit further on, another one has only the rest. So what one gave is gone on with by the others,
// and given up when none of them can: it may have come from a log that parts from this one inside the hole,
// and only the chain at the hole's end tells. No I/O. Read next: daemon/repair.h.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "daemon/entry_fetch.h"

namespace raftd::daemon {

class StretchSearch {
public:
    explicit StretchSearch(const Stretch& empty) : furthest_(empty.at) { tries_.push_back({empty, {}}); }

    /// Whom to ask next to go on from stretch(), of those that can be asked; nothing: all were, to no avail.
    std::optional<NodeId> next(const std::vector<NodeId>& there);
    /// What is to be gone on with.
    const Stretch& stretch() const { return tries_.back().stretch; }
    /// It gave this much, which isn't all.
    void gave(NodeId from, Stretch got);
    /// The log behind the last entry that anybody had, in one go with all before it.
    const LogPoint& furthest() const { return furthest_; }

private:
    struct Try {
        Stretch stretch;
        std::set<NodeId> asked;
    };
    static std::pair<Index, uint64_t> place(const Stretch& stretch) {
        return {stretch.at.index, stretch.at.chain};
    }

    std::vector<Try> tries_;                          // each goes on from the one before it
    std::set<std::pair<Index, uint64_t>> dead_ends_;  // nobody went on from there
    LogPoint furthest_;
};

}  // namespace raftd::daemon
