#include "daemon/stretch_search.h"

#include <algorithm>

namespace raftd::daemon {

std::optional<NodeId> StretchSearch::next(const std::vector<NodeId>& there) {
    for (;;) {
        Try& last = tries_.back();
        auto found =
            std::find_if(there.begin(), there.end(), [&](NodeId id) { return !last.asked.contains(id); });
        if (found != there.end()) {
            last.asked.insert(*found);
            return *found;
        }
        if (tries_.size() == 1) return std::nullopt;
        dead_ends_.insert(place(last.stretch));
        tries_.pop_back();
    }
}

void StretchSearch::gave(NodeId from, Stretch got) {
    if (got.at.index > furthest_.index) furthest_ = got.at;
    if (got.at.index <= stretch().at.index || dead_ends_.contains(place(got))) return;
    tries_.push_back({std::move(got), {from}});
}

}  // namespace raftd::daemon
