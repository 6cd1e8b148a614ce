#include "daemon/members.h"

#include "base/check.h"

namespace raftd::daemon {

Members::Members(std::vector<Configuration> configs)
    : configs_(std::make_move_iterator(configs.begin()), std::make_move_iterator(configs.end())) {
    CHECK(!configs_.empty());
}

void Members::push(Configuration config) {
    CHECK_LT(raw(in_force().index), raw(config.index));
    configs_.push_back(std::move(config));
    ++version_;
}

void Members::insert(Configuration config) {
    auto behind = configs_.begin();
    while (behind != configs_.end() && behind->index < config.index) ++behind;
    if (behind == configs_.begin() || (behind != configs_.end() && behind->index == config.index)) return;
    configs_.insert(behind, std::move(config));
    ++version_;
}

void Members::cut_after(Index index) {
    while (configs_.size() > 1 && configs_.back().index > index) {
        configs_.pop_back();
        ++version_;
    }
}

void Members::replace(Configuration config) {
    configs_.clear();
    configs_.push_back(std::move(config));
    ++version_;
}

void Members::committed(Index upto) {
    while (configs_.size() > 1 && configs_[1].index <= upto) configs_.pop_front();
}

MemberInfos Members::infos_for(const Membership& membership) const {
    MemberInfos infos;
    for (const auto* half : {&membership.now, &membership.next}) {
        for (const Member& member : *half) {
            auto proposed = proposed_.find(member.id);
            auto known = in_force().infos.find(member.id);
            if (proposed != proposed_.end())
                infos.insert(*proposed);
            else if (known != in_force().infos.end())
                infos.insert(*known);
        }
        snapshot::take_roles(*half, infos);
    }
    CHECK(snapshot::names_all(membership, infos));
    return infos;
}

}  // namespace raftd::daemon
