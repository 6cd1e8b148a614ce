#include "daemon/leaving.h"

#include <algorithm>

namespace raftd::daemon {
namespace {

// The outcome of appends under way and the closing marker are waited for this long, behind the hand-over.
constexpr Duration kStopWithin = seconds(5);

}  // namespace

void Leaving::begin() {
    const auto& settings = context_.options.settings.raft;
    context_.log(LogLevel::info, "stopping")("leading", leads());
    stop_by_ = context_.now + settings.heartbeat_interval + settings.election_timeout + kStopWithin;
    if (!leads()) return drain();
    stage_ = Stage::listening;
    at_ = context_.now + settings.heartbeat_interval;
    hand_over_by_ = at_ + settings.election_timeout;
}

bool Leaving::advance() {
    if (stage_ == Stage::listening && (!leads() || next_successor() == NodeId{} || context_.now >= at_)) {
        stage_ = Stage::handing_over;
        at_ = hand_over_by_;
    }
    if (stage_ == Stage::handing_over) hand_over();
    return stage_ == Stage::draining && drained();
}

void Leaving::hand_over() {
    auto ended = pump_.take_transfer_end();
    if (!leads()) {
        gave_away_ = asked_ != NodeId{};
        if (gave_away_) context_.log(LogLevel::info, "handed_over")("to", raw(asked_));
        return drain();
    }
    if (asked_ != NodeId{} && (ended || !peers_.linked(asked_))) {
        context_.log(LogLevel::warn, "hand_over_failed")("to", raw(asked_));
        tried_.push_back(asked_);
        asked_ = {};
        // The core's transfer to a member that has gone ends by itself, and takes no other one until then.
        if (!ended) return drain();
    }
    if (asked_ != NodeId{} && context_.now < hand_over_by_) return;
    asked_ = context_.now < hand_over_by_ ? next_successor() : NodeId{};
    if (asked_ == NodeId{}) return drain();
    replica_.step(context_.now, raft::ev::Transfer{asked_});
}

/// The voter that has most of the log, among those that could lead by their last answer.
NodeId Leaving::next_successor() const {
    NodeId best{};
    Index best_match{};
    for (const auto& follower : replica_.core().view().followers) {
        auto member = context_.members.find(follower.id);
        if (member == context_.members.end() || member->second.learner || !peers_.linked(follower.id))
            continue;
        const auto& trailer = peers_.trailer(follower.id);
        bool fit = trailer && (trailer->flags & proto::kTrailerUnfit) == 0 && !follower.regressed;
        if (!fit || std::count(tried_.begin(), tried_.end(), follower.id) != 0) continue;
        if (best == NodeId{} || follower.match > best_match) best = follower.id, best_match = follower.match;
    }
    return best;
}

void Leaving::drain() {
    stage_ = Stage::draining;
    at_ = stop_by_;
    context_.stopping = true;
    quiet_from_ = context_.now;
}

/// A client that hears of the new leader with its next answer sends nothing more; what it sent before must be
/// answered, or it couldn't tell what became of it.
bool Leaving::drained() {
    if (context_.now >= stop_by_) return true;
    uint64_t frames = context_.counters.appends + context_.counters.appends_refused;
    if (std::exchange(frames_seen_, frames) != frames) quiet_from_ = context_.now;
    if (!appends_.idle()) return false;
    if (!gave_away_) return true;
    at_ = quiet_from_ + context_.options.settings.raft.heartbeat_interval;
    if (context_.now >= at_) return true;
    at_ = std::min(at_, stop_by_);
    return false;
}

}  // namespace raftd::daemon
