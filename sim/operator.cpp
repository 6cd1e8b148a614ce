#include "sim/operator.h"

#include <algorithm>

namespace raftd::sim {
namespace {

constexpr Duration kLook = milliseconds(50);
constexpr uint32_t kMachinesMost = 60;
constexpr int64_t kTransferWithin = 3;  // election timeouts

bool says(const Error& why, std::string_view text) { return why.what.find(text) != std::string::npos; }

}  // namespace

Operator::Operator(Kernel& kernel, SimNetwork& network, Cluster& cluster, Trace& trace, Reached& reached,
                   uint32_t host)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      cluster_(cluster),
      trace_(trace),
      reached_(reached),
      host_(host),
      random_(kernel.random.next()),
      call_(kernel, network, host) {}

void Operator::trace(const std::string& text) {
    if (trace_.on) trace_.line(kernel_.now(), "op" + std::to_string(host_ % 10), text);
}

std::string Operator::text() const {
    return plan_ ? std::string(text_of(plan_->kind)) : order_.kind ? std::string(text_of(*order_.kind)) : "?";
}

void Operator::begin(const Order& order) {
    CHECK(!busy());
    order_ = order;
    plan_.reset();
    stage_ = 0;
    behind_.clear();
    asked_of_ = NodeId{};
    other_leader_ = false;
    give_up_at_ = kernel_.now() + order.patience;
    restart();
    if (!std::exchange(ticking_, true)) kernel_.schedule_in(kLook, actor_, 0, 0);
}

void Operator::restart() {
    call_.begin(cluster_.settled_addresses());
    next_at_ = Instant{};
    phase_ = genesis_ ? Phase::list : Phase::genesis;
    ask(phase_);
}

void Operator::drop() {
    if (busy()) end(ChangeTotals::End::abandoned);
}

void Operator::fire(uint32_t, uint64_t) {
    if (!busy()) {
        ticking_ = false;
        return;
    }
    step();
    kernel_.schedule_in(kLook, actor_, 0, 0);
}

void Operator::end(ChangeTotals::End how) {
    if (plan_) totals.note(plan_->kind, how);
    static constexpr const char* kEnds[] = {"completed", "refused", "abandoned"};
    trace(text() + " " + kEnds[static_cast<size_t>(how)]);
    ended_ = how;
    phase_ = Phase::idle;
    call_.begin({});
}

void Operator::ask(Phase phase) {
    phase_ = phase;
    pb::Request request;
    if (phase == Phase::genesis)
        request.mutable_genesis();
    else if (phase == Phase::status)
        request.mutable_status();
    else
        request.mutable_list_members();
    call_.ask(std::move(request));
}

void Operator::step() {
    if (kernel_.now() >= give_up_at_) return end(ChangeTotals::End::abandoned);
    if (call_.asking() || kernel_.now() < next_at_) return;
    std::optional<pb::Answer> answer = call_.take();
    if (!answer) return ask(phase_);
    switch (phase_) {
        case Phase::genesis: {
            auto genesis = snapshot::parse_manifest(answer->genesis().manifest());
            CHECK(genesis.has_value());
            genesis_ = *genesis;
            return ask(Phase::list);
        }
        case Phase::status: return took_status(answer->status());
        case Phase::transfer: return took_transfer(*answer);
        case Phase::change:
            if (answer->has_error())
                return took_refusal({static_cast<Errc>(answer->error().code()), answer->error().what(), ""});
            if (must_be_refused(plan_->kind))
                throw Violation(Ending::correctness, "a change was begun that can't be: " + text());
            return ask(Phase::list);
        case Phase::list:
        case Phase::handing_over:
            // Anybody lists what it knows; only the leader's word counts.
            if (!answer->has_member_list() || NodeId{answer->member_list().leader()} != call_.answered_by()) {
                call_.suggest_leader(NodeId{answer->member_list().leader()});
                return pause(kLook * 2);
            }
            return took_list(answer->member_list());
        case Phase::idle: break;
    }
}

void Operator::took_list(const pb::MemberList& list) {
    const NodeId leader{list.leader()};
    if (asked_of_ == NodeId{}) asked_of_ = leader;
    other_leader_ |= leader != asked_of_;
    if (moved_ != list.config_index()) give_up_at_ = kernel_.now() + order_.patience;
    moved_ = list.config_index();
    check_settled(list);
    if (phase_ == Phase::handing_over) {
        if (raw(leader) == plan_->transfer_to) {
            reached_.hit(Reach::transfer_done);
            return end(ChangeTotals::End::completed);
        }
        if (kernel_.now() < transfer_by_) return;
        reached_.hit(Reach::transfer_ended);
        return end(ChangeTotals::End::refused);
    }
    if (!list.settled() && !(order_.hasty && plan_)) return;
    if (!plan_ && !has_plan(list)) return end(ChangeTotals::End::abandoned);
    if (plan_->transfer_to != 0) {
        pb::Request request;
        request.mutable_transfer_leader()->set_to(plan_->transfer_to);
        call_.ask(std::move(request));
        phase_ = Phase::transfer;
        transfer_by_ = kernel_.now() + cluster_.election_timeout() * kTransferWithin;
        return;
    }
    run_stage(list);
}

bool Operator::has_plan(const pb::MemberList& list) {
    ChangeWorld world{random_,
                      [this](const pb::MemberList& now, size_t place, const std::string& name) {
                          return fresh(now, place, name);
                      },
                      [this](uint64_t id) {
                          auto number = static_cast<uint32_t>(id);
                          return !cluster_.up(number) || cluster_.paused(number);
                      }};
    if (order_.transfer_to != 0) {
        plan_ = ChangePlan{ChangeKind::transfer, {}, order_.transfer_to};
    } else if (order_.wanted) {
        plan_ = ChangePlan{order_.kind.value_or(ChangeKind::priority), {{order_.wanted}}};
    } else {
        for (int tries = 0; tries < 8 && !plan_; ++tries)
            plan_ = plan_change(order_.kind ? *order_.kind : draw_kind(list, random_), list, world);
    }
    if (plan_) trace(text() + " begins");
    return plan_.has_value();
}

std::optional<pb::MemberInfo> Operator::fresh(const pb::MemberList& list, size_t place,
                                              const std::string& name) {
    const auto number = static_cast<uint32_t>(list.next_id() + place);
    if (number > kMachinesMost) return std::nullopt;
    // What an earlier try made is used, if nobody else has its name meanwhile.
    while (cluster_.count() < number) {
        const bool named = cluster_.next_number() == number && !name.empty();
        cluster_.add(*genesis_, named ? name : Cluster::name_of(cluster_.next_number()));
    }
    const std::string& its = cluster_.member_name(number);
    bool taken = std::any_of(list.members().begin(), list.members().end(),
                             [&](const pb::MemberInfo& member) { return member.name() == its; });
    if (cluster_.lost(number) || (taken && its != name)) return std::nullopt;
    if (!cluster_.up(number)) cluster_.start(number);
    pb::MemberInfo info;
    info.set_id(number);
    info.set_name(its);
    info.set_peer(cluster_.peer_address(number));
    info.set_client(cluster_.client_address(number));
    return info;
}

void Operator::run_stage(const pb::MemberList& list) {
    if (stage_ == plan_->stages.size()) return completed(list);
    const ChangeStage& stage = plan_->stages[stage_];
    if (!stage.caught_up.empty() && behind_.empty()) behind_ = stage.caught_up;
    std::optional<Wanted> wanted = stage.wanted(list);
    if (!wanted) return end(ChangeTotals::End::abandoned);
    if (client::reached(list, *wanted)) {
        ++stage_;
        behind_.clear();
        return run_stage(list);
    }
    if (client::equal(list, *wanted)) return pause(kLook * 2);  // who is to be promoted isn't yet
    if (!behind_.empty()) return ask(Phase::status);
    pb::Request request;
    pb::ChangeMembers& change = *request.mutable_change_members();
    for (const pb::MemberInfo& member : *wanted) *change.add_target() = member;
    change.set_expected_config_index(list.config_index());
    call_.ask(std::move(request));
    phase_ = Phase::change;
}

/// Of the leader: who is to vote at once must be caught up first.
void Operator::took_status(const pb::Status& status) {
    uint64_t progress = 0;
    for (const auto& follower : status.followers()) {
        if (std::find(behind_.begin(), behind_.end(), follower.id()) == behind_.end()) continue;
        progress += follower.match_index();
        if (follower.connected() && follower.caught_up()) std::erase(behind_, follower.id());
    }
    std::erase(behind_, status.node_id());
    if (progress > moved_) moved_ = progress, give_up_at_ = kernel_.now() + order_.patience;
    if (behind_.empty()) plan_->stages[stage_].caught_up.clear();
    phase_ = Phase::list;  // and looks again: it may have changed
    pause(behind_.empty() ? Duration{} : kLook * 2);
}

void Operator::took_refusal(const Error& why) {
    trace(text() + ": " + why.what);
    const bool quorum = says(why, "fewer than a majority"), busy_cluster = says(why, "another change");
    if (quorum) reached_.hit(Reach::change_would_lose_quorum);
    if (busy_cluster) reached_.hit(Reach::change_while_joint);
    const ChangeKind kind = plan_->kind;
    if (kind == ChangeKind::used_id && says(why, "former member")) {
        reached_.hit(Reach::used_id_refused);
        return end(ChangeTotals::End::refused);
    }
    if (why.code == Errc::unreachable && must_be_refused(kind)) {
        reached_.hit(kind == ChangeKind::wrong_address ? Reach::wrong_address_refused
                                                       : Reach::dead_address_refused);
        return end(ChangeTotals::End::refused);
    }
    if (why.code == Errc::bad_input || (quorum && random_.chance(0.5)) || random_.chance(0.1))
        return end(ChangeTotals::End::refused);
    phase_ = Phase::list;
    pause(busy_cluster ? milliseconds(100) : milliseconds(500));
}

void Operator::took_transfer(const pb::Answer& answer) {
    if (!answer.has_error()) return ask(Phase::handing_over);
    if (plan_->kind == ChangeKind::transfer_to_learner) reached_.hit(Reach::transfer_refused);
    end(ChangeTotals::End::refused);
}

/// P6: what is called settled is committed, and is what it is said to be.
void Operator::check_settled(const pb::MemberList& list) const {
    if (!list.settled()) return;
    const Truth& truth = cluster_.truth();
    const ConfigEntry& entry = truth.configs.settled_at(list.config_index());
    bool same = list.config_index() <= truth.committed() && entry.index == list.config_index() &&
                static_cast<size_t>(list.members_size()) == entry.what.infos.size();
    for (const pb::MemberInfo& member : list.members()) {
        auto info = entry.what.infos.find(NodeId{member.id()});
        same = same && info != entry.what.infos.end() && info->second.peer == member.peer() &&
               info->second.name == member.name() &&
               ConfigTruth::votes(entry.what.membership, NodeId{member.id()}) == member.voter();
    }
    if (!same)
        throw Violation(Ending::correctness, "n" + std::to_string(list.leader()) + " calls configuration " +
                                                 std::to_string(list.config_index()) +
                                                 " settled, which isn't committed so");
}

void Operator::completed(const pb::MemberList& list) {
    reached_.hit(Reach::change_completed);
    if (other_leader_) reached_.hit(Reach::change_resumed);
    for (uint32_t number : plan_->moved)
        for (const pb::MemberInfo& member : list.members()) {
            if (member.id() != number || cluster_.peer_address(number) == member.peer()) continue;
            cluster_.move_to(number, member.peer());
            cluster_.kill(number);
            if (cluster_.comes_back) cluster_.start_in(number, milliseconds(50));
        }
    end(ChangeTotals::End::completed);
}

}  // namespace raftd::sim
