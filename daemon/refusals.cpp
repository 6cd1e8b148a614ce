#include "daemon/refusals.h"

namespace raftd::daemon {

using proto::AppendCode;

bool Refusals::add(const Refusal& refusal) {
    if (waiting_.size() >= kWaitingMax) return false;
    ReadId read = context_.new_read();
    waiting_.emplace(read, Waiting{refusal, replica_.core().term()});
    replica_.step(context_.now, raft::ev::Read{read});
    return true;
}

void Refusals::read_confirmed(ReadId read) {
    auto found = waiting_.find(read);
    if (found != waiting_.end()) found->second.confirmed = true;
}

void Refusals::read_failed(ReadId read) {
    auto found = waiting_.find(read);
    if (found == waiting_.end()) return;
    found->second.refusal.item = {found->second.refusal.item.stream, AppendCode::retry, 0, 0, 0};
    ended_.push_back(found->second.refusal);
    waiting_.erase(found);
}

void Refusals::lost_office() {
    while (!waiting_.empty()) read_failed(waiting_.begin()->first);
}

bool Refusals::take(Refusal& into) {
    const raft::Core& core = replica_.core();
    bool leads = core.role() == raft::Role::leader;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        auto next = std::next(at);
        // Another reign's log may be another one, even of the same member.
        if (!leads || core.term() != at->second.term) {
            read_failed(at->first);
        } else if (at->second.confirmed && at->second.refusal.rest <= commit_) {
            ended_.push_back(at->second.refusal);
            waiting_.erase(at);
        }
        at = next;
    }
    if (ended_.empty()) return false;
    into = ended_.back();
    ended_.pop_back();
    return true;
}

}  // namespace raftd::daemon
