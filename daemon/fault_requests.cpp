#include "daemon/fault_requests.h"

#include "proto/control.pb.h"

namespace raftd::daemon {
namespace {

using Request = pb::FaultRequest;
constexpr Duration kForMin = milliseconds(10), kForMax = seconds(3600), kDelayMax = seconds(60);
constexpr uint32_t kAlways = 1'000'000;

Request::Kind kind_of(FaultKind kind) {
    switch (kind) {
        case FaultKind::disconnect: return Request::DISCONNECT;
        case FaultKind::drop: return Request::DROP;
        case FaultKind::delay: return Request::DELAY;
        case FaultKind::duplicate: return Request::DUPLICATE;
    }
    return Request::SHOW;
}

std::optional<FaultKind> kind_of(Request::Kind kind) {
    switch (kind) {
        case Request::DISCONNECT: return FaultKind::disconnect;
        case Request::DROP: return FaultKind::drop;
        case Request::DELAY: return FaultKind::delay;
        case Request::DUPLICATE: return FaultKind::duplicate;
        default: return std::nullopt;
    }
}

Duration micros(uint64_t us, Duration most) {
    return microseconds(static_cast<int64_t>(std::min(us, static_cast<uint64_t>(most.ns / 1000) + 1)));
}

}  // namespace

void FaultRequests::answer(const pb::FaultRequest& request, pb::Answer& answer) {
    if (auto done = carry_out(request); !done) {
        pb::Error& refusal = *answer.mutable_error();
        refusal.set_code(static_cast<uint32_t>(done.error().code));
        refusal.set_what(done.error().what);
        refusal.set_hint(done.error().hint);
        return;
    }
    fill(*answer.mutable_faults());
}

Result<void> FaultRequests::carry_out(const pb::FaultRequest& request) {
    const std::string& me = context_.dir.identity.name;
    if (!context_.options.settings.debug.faults)
        return error(Errc::denied,
                     me + " takes no faults: its settings don't say that this is a test cluster",
                     "for a test cluster: faults = true under [debug] in " + me +
                         "/raftd.toml, then raftctl "
                         "restart " +
                         me);
    TRY(ways, ways_of(request));
    if (auto kind = kind_of(request.kind())) return set(*kind, request, ways);
    switch (request.kind()) {
        case Request::SHOW: return {};
        case Request::TIMEOUT: return campaign();
        case Request::RECONNECT:
            for (auto [peer, direction] : ways)
                peers_.faults().end(FaultKind::disconnect, peer, direction, context_.now);
            break;
        case Request::CLEAR: peers_.faults().end_all(context_.now); break;
        default:
            return error(Errc::bad_input, me + " doesn't know that fault", "raftctl version on both sides");
    }
    context_.log(LogLevel::info, "fault_over")("why", "asked to end it");
    peers_.faults_changed();
    return {};
}

Result<void> FaultRequests::set(FaultKind kind, const pb::FaultRequest& request, const Ways& ways) {
    Duration lasts = micros(request.for_ms() * 1000, kForMax);
    if (request.for_ms() > 3'600'000 || lasts < kForMin)
        return error(Errc::bad_input, "a fault lasts from 10ms to 1h", "--for 1m is the default");
    Fault fault{.until = context_.now + lasts,
                .per_million = request.per_million(),
                .delay = micros(request.delay_us(), kDelayMax)};
    bool by_chance = kind == FaultKind::drop || kind == FaultKind::duplicate;
    if (by_chance && (fault.per_million == 0 || fault.per_million > kAlways))
        return error(Errc::bad_input, "the share of messages is above 0 and at most 100 percent", "");
    if (kind == FaultKind::delay && (fault.delay.ns == 0 || fault.delay > kDelayMax))
        return error(Errc::bad_input, "a message is late by 1us to 1m", "");
    for (auto [peer, direction] : ways) peers_.faults().set(kind, peer, direction, fault, context_.now);
    for (const std::string& line : peers_.fault_lines())
        context_.log(LogLevel::warn, "fault")("what", line)("for_ms", request.for_ms());
    peers_.faults_changed();
    return {};
}

/// By the message with which a leader hands its office over: whatever keeps a member from campaigning then
/// (no vote, a slow disk) keeps it now.
Result<void> FaultRequests::campaign() {
    const raft::Core& core = replica_.core();
    const std::string& me = context_.dir.identity.name;
    if (core.role() == raft::Role::leader)
        return error(Errc::conflict, me + " leads already", "ask a follower: raftctl status");
    if (core.leader() == NodeId{})
        return error(Errc::unavailable, me + " follows nobody: it campaigns by itself, or waits to",
                     "raftctl wait leader");
    Term before = core.term();
    replica_.step(context_.now, raft::ev::Message{core.leader(), raft::msg::TimeoutNow{before}, {}});
    if (core.term() == before)
        return error(Errc::unavailable, me + " can't campaign: it has no vote, or its disk is slow or full",
                     "raftctl why");
    context_.log(LogLevel::warn, "fault")("what", "fault timeout")("term", raw(core.term()));
    return {};
}

Result<FaultRequests::Ways> FaultRequests::ways_of(const pb::FaultRequest& request) const {
    if (request.to_size() + request.from_size() == 0)
        return Ways{{NodeId{}, Direction::to}, {NodeId{}, Direction::from}};
    Ways ways;
    for (Direction direction : {Direction::to, Direction::from}) {
        for (const std::string& name : direction == Direction::to ? request.to() : request.from()) {
            auto is_it = [&](const auto& one) { return one.second.name == name; };
            auto found = std::find_if(context_.members.begin(), context_.members.end(), is_it);
            if (found == context_.members.end())
                return error(Errc::bad_input, "no member is called `" + name + "`",
                             "raftctl member list shows the names");
            if (found->first == context_.dir.identity.id)
                return error(Errc::bad_input, name + " has no link to itself", "name another member");
            ways.emplace_back(found->first, direction);
        }
    }
    return ways;
}

void FaultRequests::fill(pb::Faults& faults) const {
    for (const Faults::InForce& one : peers_.faults().in_force(context_.now)) {
        pb::FaultInForce& to = *faults.add_faults();
        to.set_kind(kind_of(one.kind));
        to.set_outgoing(one.direction == Direction::to);
        if (auto member = context_.members.find(one.peer); member != context_.members.end())
            to.set_peer(member->second.name);
        to.set_per_million(one.fault.per_million);
        to.set_delay_us(static_cast<uint64_t>(one.fault.delay.ns / 1000));
        to.set_ends_in_ms(static_cast<uint64_t>((one.fault.until - context_.now).ns / 1'000'000));
    }
    const Faults::Counts& counts = peers_.faults().counts();
    faults.set_lost(counts.lost);
    faults.set_late(counts.late);
    faults.set_doubled(counts.doubled);
    faults.set_term(raw(replica_.core().term()));
}

}  // namespace raftd::daemon
