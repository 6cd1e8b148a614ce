#include "daemon/faults.h"

#include <algorithm>

namespace raftd::daemon {

const char* text_of(FaultKind kind) {
    switch (kind) {
        case FaultKind::disconnect: return "disconnect";
        case FaultKind::drop: return "drop";
        case FaultKind::delay: return "delay";
        case FaultKind::duplicate: return "duplicate";
    }
    return "?";
}

uint64_t Faults::Message::bytes() const {
    uint64_t sum = frame ? frame->bytes.size() : 0;
    for (const Slice& slice : slices) sum += slice.size();
    return sum;
}

const Faults::Way& Faults::way(NodeId peer, Direction direction) const {
    auto found = ways_.find({peer, direction});
    return found != ways_.end() ? found->second : others_[static_cast<size_t>(direction)];
}

/// A way of its own begins as that of all others. There are as many as there are peers.
Faults::Way& Faults::way(NodeId peer, Direction direction) {
    Way& others = others_[static_cast<size_t>(direction)];
    return peer == NodeId{} ? others : ways_.try_emplace({peer, direction}, others).first->second;
}

void Faults::change(FaultKind kind, NodeId peer, Direction direction, const Fault& fault, Instant now) {
    way(peer, direction).of(kind) = fault;
    for (auto& [key, one] : ways_) {
        if (key.second != direction || (peer != NodeId{} && key.first != peer)) continue;
        one.of(kind) = fault;
        if (kind == FaultKind::delay || kind == FaultKind::disconnect) release(one, now);
    }
    refresh(now);
}

void Faults::set(FaultKind kind, NodeId peer, Direction direction, const Fault& fault, Instant now) {
    change(kind, peer, direction, fault, now);
}

void Faults::end(FaultKind kind, NodeId peer, Direction direction, Instant now) {
    change(kind, peer, direction, {}, now);
}

void Faults::end_all(Instant now) {
    others_ = {};
    for (auto& [key, one] : ways_) {
        one.faults = {};
        release(one, now);
    }
    refresh(now);
}

/// What was held for the sake of a delay that isn't any more goes on at once, before anything newer.
void Faults::release(Way& way, Instant now) {
    for (Held& held : way.held) held.due = std::min(held.due, now);
}

bool Faults::cut(NodeId peer, Instant now) const {
    return way(peer, Direction::to).of(FaultKind::disconnect).until > now ||
           way(peer, Direction::from).of(FaultKind::disconnect).until > now;
}

bool Faults::hit(const Fault& fault, Instant now) {
    return fault.until > now && random_.below(1'000'000) < fault.per_million;
}

bool Faults::meet(Message message, Instant now) {
    Way& way = this->way(message.peer, message.direction);
    if (way.of(FaultKind::disconnect).until > now || hit(way.of(FaultKind::drop), now)) {
        ++counts_.lost;
        return false;
    }
    bool doubled = hit(way.of(FaultKind::duplicate), now);
    counts_.doubled += doubled;
    const Fault& delay = way.of(FaultKind::delay);
    bool late = delay.until > now;
    counts_.late += late;
    bool passes = !late && way.held.empty();
    if (passes && !doubled) return true;
    Instant due = late ? now + delay.delay : now;
    if (!way.held.empty()) due = std::max(due, way.held.back().due);  // nothing overtakes on a connection
    if (doubled && !passes) hold(way, message, due);
    hold(way, std::move(message), due);
    return passes;
}

void Faults::hold(Way& way, Message message, Instant due) {
    uint64_t bytes = message.bytes();
    if (held_messages_ >= kHeldMessagesMax || held_bytes_ + bytes > kHeldBytesMax) {
        ++counts_.lost;
        ++counts_.overflowed;
        return;
    }
    ++held_messages_;
    held_bytes_ += bytes;
    way.held.push_back({due, std::move(message)});
}

std::optional<Faults::Message> Faults::take(Instant now) {
    for (auto& [key, way] : ways_) {
        if (way.held.empty() || way.held.front().due > now) continue;
        Message message = std::move(way.held.front().message);
        way.held.pop_front();
        --held_messages_;
        held_bytes_ -= message.bytes();
        return message;
    }
    refresh(now);
    return std::nullopt;
}

void Faults::lost(NodeId peer) {
    for (Direction direction : {Direction::to, Direction::from}) {
        auto found = ways_.find({peer, direction});
        if (found == ways_.end()) continue;
        for (const Held& held : found->second.held) {
            --held_messages_;
            held_bytes_ -= held.message.bytes();
            ++counts_.lost;
        }
        found->second.held.clear();
    }
}

Instant Faults::deadline() const {
    Instant at = kNever;
    if (!active_) return at;
    auto look = [&](const Way& way) {
        for (const Fault& fault : way.faults)
            if (fault.until != Instant{}) at = std::min(at, fault.until);
        if (!way.held.empty()) at = std::min(at, way.held.front().due);
    };
    for (const Way& way : others_) look(way);
    for (const auto& [key, way] : ways_) look(way);
    return at;
}

bool Faults::tick(Instant now) {
    bool over = false;
    auto look = [&](Way& way) {
        bool here = false;
        for (Fault& fault : way.faults) {
            if (fault.until == Instant{} || fault.until > now) continue;
            fault = {};
            here = true;
        }
        if (here) release(way, now);
        over |= here;
    };
    for (Way& way : others_) look(way);
    for (auto& [key, way] : ways_) look(way);
    refresh(now);
    return over;
}

/// Ways that are as all others and hold nothing needn't be kept.
void Faults::refresh(Instant now) {
    auto plain = [now](const Way& way) {
        return way.held.empty() && std::all_of(way.faults.begin(), way.faults.end(),
                                               [now](const Fault& fault) { return fault.until <= now; });
    };
    active_ = !plain(others_[0]) || !plain(others_[1]) ||
              std::any_of(ways_.begin(), ways_.end(), [&](const auto& one) { return !plain(one.second); });
    if (!active_) ways_.clear();
}

std::vector<Faults::InForce> Faults::in_force(Instant now) const {
    std::vector<InForce> found;
    for (size_t kind = 0; kind < kFaultKinds; ++kind)
        for (Direction direction : {Direction::to, Direction::from}) {
            const Fault& of_all = others_[static_cast<size_t>(direction)].faults[kind];
            size_t place = found.size();
            if (of_all.until > now)
                found.push_back({static_cast<FaultKind>(kind), direction, NodeId{}, of_all});
            for (const auto& [key, way] : ways_) {
                const Fault& fault = way.faults[kind];
                bool own = fault.until != of_all.until || fault.per_million != of_all.per_million ||
                           fault.delay != of_all.delay;
                if (key.second != direction || !own) continue;
                if (fault.until > now)
                    found.push_back({static_cast<FaultKind>(kind), direction, key.first, fault});
                else if (of_all.until > now)
                    found[place].but.push_back(key.first);
            }
        }
    return found;
}

}  // namespace raftd::daemon
