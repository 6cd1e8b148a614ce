#include "daemon/member_changes.h"

#include <algorithm>
#include <set>

#include "base/planted.h"
#include "conf/units.h"
#include "daemon/membership_plan.h"
#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {
namespace {

const char* const kRetryHint = "raftctl member list shows the members as they are; try again";

std::string text_of(NodeId id) { return std::to_string(raw(id)); }

Error error_of(raft::Refusal refusal) {
    using raft::Refusal;
    switch (refusal) {
        case Refusal::not_leading: return error(Errc::unavailable, "this member doesn't lead", kRetryHint);
        case Refusal::no_own_commit:
            return error(Errc::unavailable, "the leader is new and has nothing committed yet", kRetryHint);
        case Refusal::in_progress:
            return error(Errc::conflict, "another change of the members is under way",
                         "raftctl wait members-stable, then try again");
        case Refusal::would_lose_quorum:
            return error(Errc::conflict,
                         "fewer than a majority of the wanted voters can be reached: the cluster would stop",
                         "raftctl status shows who is missing; start it, or remove it instead");
        case Refusal::not_caught_up:
            return error(Errc::unavailable, "a member that is to vote isn't caught up yet",
                         "add it as a learner first; it becomes a voter by itself once it has caught up");
        case Refusal::id_used:
            return error(Errc::conflict, "an id that a former member had can't be given again",
                         "raftctl member add takes the next free id by itself");
        case Refusal::too_many:
            return error(Errc::bad_input, "more members than a cluster may have (9 voters, 16 in all)");
        case Refusal::malformed:
            return error(Errc::bad_input, "the wanted members have no voter, or one of them twice");
    }
    return error(Errc::failed, "refused");
}

void put_info(const MemberInfo& info, const Member& member, pb::MemberInfo& to) {
    to.set_id(raw(info.id));
    to.set_name(info.name);
    to.set_peer(info.peer);
    to.set_client(info.client);
    to.set_voter(!member.learner);
    to.set_promote(member.promote);
    to.set_priority(member.priority);
    to.mutable_incarnation()->set_high(info.incarnation.high);
    to.mutable_incarnation()->set_low(info.incarnation.low);
}

/// What is wrong with one member of a target, whatever the others are.
std::optional<Error> check_one(const MemberInfo& info) {
    std::string who = info.name.empty() ? "member " + text_of(info.id) : info.name;
    if (info.id == NodeId{}) return error(Errc::bad_input, who + ": an id is missing");
    if (!conf::valid_name(info.name))
        return error(Errc::bad_input, "`" + info.name + "` can't be a member's name",
                     "letters, digits, - and _, at most 63, beginning with a letter");
    for (const std::string* address : {&info.peer, &info.client})
        if (!conf::parse_host_port(*address))
            return error(Errc::bad_input, who + ": `" + *address + "` is not HOST:PORT");
    return std::nullopt;
}

}  // namespace

MemberChanges::MemberChanges(Context& context, Replica& replica, Peers& peers, Clients& clients)
    : context_(context), replica_(replica), peers_(peers), clients_(clients) {}

bool MemberChanges::request(const ClientConn& conn, uint32_t stream, const pb::Request& request) {
    pb::Answer answer_to;
    if (request.has_list_members()) {
        fill(*answer_to.mutable_member_list());
    } else if (request.has_genesis()) {
        answer_to.mutable_genesis()->set_manifest(snapshot::encode_manifest(context_.dir.manifest));
    } else if (request.has_change_members()) {
        change(conn, stream, request.change_members());
        return true;
    } else if (request.has_transfer_leader()) {
        transfer(conn, stream, NodeId{request.transfer_leader().to()});
        return true;
    } else {
        return false;
    }
    answer(clients_, conn.id, stream, answer_to);
    return true;
}

// Above every id that was ever used, not only above those of the present members (B79).
NodeId MemberChanges::next_id() const { return replica_.core().ids_used_upto() + 1; }

void MemberChanges::fill(pb::MemberList& list) const {
    const Configuration& now = replica_.members().in_force();
    bool joint = now.membership.joint();
    const auto& wanted = joint ? now.membership.next : now.membership.now;
    list.set_config_index(raw(now.index));
    list.set_joint(joint);
    list.set_settled(!joint && (replica_.members().settled().index == now.index ||
                                planted(PlantedBug::settled_when_appended)));
    for (const Member& member : wanted) put_info(now.infos.at(member.id), member, *list.add_members());
    for (const Member& member : now.membership.now) {
        auto stays = [&](const Member& other) { return other.id == member.id; };
        if (joint && std::none_of(wanted.begin(), wanted.end(), stays)) list.add_leaving(raw(member.id));
    }
    list.set_next_id(raw(next_id()));
    list.set_leader(raw(replica_.core().leader()));
    list.set_max_members(context_.dir.manifest.max_members);
}

void MemberChanges::change(const ClientConn& conn, uint32_t stream, const pb::ChangeMembers& wanted) {
    Pending pending;
    pending.conn = conn.id;
    pending.stream = stream;
    pending.expected = Index{wanted.expected_config_index()};
    if (replica_.core().role() != raft::Role::leader)
        return refuse(conn.id, stream, error_of(raft::Refusal::not_leading));
    if (pending_) return refuse(conn.id, stream, error_of(raft::Refusal::in_progress));
    if (auto wrong = take_target(wanted, pending)) return refuse(conn.id, stream, *wrong);
    pending.dry_run = wanted.dry_run();
    auto objection = why_not(pending);
    if (objection && !objection->passing && !pending.dry_run) return refuse(conn.id, stream, objection->why);
    std::vector<std::pair<NodeId, std::string>> unknown;
    for (const auto& [id, info] : pending.infos)
        if (info.incarnation == Incarnation{}) unknown.emplace_back(id, info.peer);
    if (unknown.empty()) return pending.dry_run ? tell_plan(pending) : try_to_begin(std::move(pending));
    for (const auto& [id, address] : unknown) pending.probes.insert(peers_.probe(id, address));
    pending_ = std::move(pending);
}

/// Reads the wanted members. Who is a member already keeps its incarnation; names and addresses are unique.
std::optional<Error> MemberChanges::take_target(const pb::ChangeMembers& wanted, Pending& into) const {
    const MemberInfos& known = replica_.members().in_force().infos;
    std::set<std::string> taken;
    for (const pb::MemberInfo& from : wanted.target()) {
        MemberInfo info{.id = NodeId{from.id()},
                        .name = from.name(),
                        .peer = from.peer(),
                        .client = from.client(),
                        .incarnation = {from.incarnation().high(), from.incarnation().low()},
                        .learner = !from.voter(),
                        .priority = static_cast<uint8_t>(from.priority())};
        if (auto wrong = check_one(info)) return wrong;
        if (from.priority() > 255) return error(Errc::bad_input, info.name + ": a priority is 0 to 255");
        // A learner may have the name and the addresses of a voter: it is to take its place. One that is to
        // be promoted by itself would be a second voter of that name.
        const bool votes = !info.learner || from.promote();
        for (const std::string& text : {info.name, info.peer, info.client})
            if (!taken.insert((votes ? "voter " : "learner ") + text).second)
                return error(Errc::bad_input, "`" + text + "` is given twice among the wanted members");
        auto before = known.find(info.id);
        if (before != known.end()) {
            bool other = info.incarnation != Incarnation{} && info.incarnation != before->second.incarnation;
            if (other)
                return error(Errc::conflict,
                             info.name + " is another data directory than the member of that id",
                             "a lost disk is replaced by a new member: raftctl member replace " + info.name);
            info.incarnation = before->second.incarnation;
        } else if (info.id < next_id() && !planted(PlantedBug::forget_used_ids)) {
            return error_of(raft::Refusal::id_used);
        }
        into.target.now.push_back({info.id, info.learner, from.promote() && info.learner, info.priority});
        into.infos.emplace(info.id, std::move(info));
    }
    std::sort(into.target.now.begin(), into.target.now.end(),
              [](const Member& a, const Member& b) { return a.id < b.id; });
    if (into.infos.size() != into.target.now.size())
        return error(Errc::bad_input, "an id is given twice among the wanted members");
    return too_many(into.infos);
}

/// Names are counted, not ids: while a member is being replaced there are two of its name.
std::optional<Error> MemberChanges::too_many(const MemberInfos& wanted) const {
    const uint32_t max = context_.dir.manifest.max_members;
    auto names_of = [](const MemberInfos& infos) {
        std::set<std::string> names;
        for (const auto& [id, info] : infos) names.insert(info.name);
        return names.size();
    };
    size_t names = names_of(wanted);
    if (max == 0 || names <= max || names <= names_of(replica_.members().in_force().infos))
        return std::nullopt;
    return error(Errc::conflict,
                 std::to_string(names) +
                     " members are more than this cluster may have: it was made with "
                     "--max-members " +
                     std::to_string(max),
                 "raftctl member remove makes room for another one");
}

std::optional<MemberChanges::Objection> MemberChanges::why_not(const Pending& pending) const {
    if (auto refusal = replica_.core().may_change(pending.target))
        return Objection{error_of(*refusal), *refusal == raft::Refusal::would_lose_quorum ||
                                                 *refusal == raft::Refusal::not_caught_up ||
                                                 *refusal == raft::Refusal::no_own_commit};
    // Who was killed just now was still heard within the election time-out: a closed connection says more.
    size_t voters = 0, reachable = 0;
    for (const Member& member : pending.target.now) {
        if (member.learner) continue;
        ++voters;
        reachable += member.id == context_.dir.identity.id || peers_.linked(member.id);
    }
    if (reachable * 2 <= voters) return Objection{error_of(raft::Refusal::would_lose_quorum), true};
    if (pending.expected != replica_.members().in_force().index)
        return Objection{error(Errc::conflict,
                               "the members changed meanwhile: configuration " +
                                   std::to_string(raw(pending.expected)) + " was expected, " +
                                   std::to_string(raw(replica_.members().in_force().index)) + " is in force",
                               kRetryHint),
                         false};
    return std::nullopt;
}

/// What passes has one election time-out to do so: within it a member that lives is heard.
void MemberChanges::try_to_begin(Pending pending) {
    auto objection = why_not(pending);
    if (!objection) return begin(pending);
    if (pending.give_up_at == kNever)
        pending.give_up_at = context_.now + context_.options.settings.raft.election_timeout;
    if (!objection->passing || context_.now >= pending.give_up_at)
        return refuse(pending.conn, pending.stream, objection->why);
    pending_ = std::move(pending);
}

void MemberChanges::turn() {
    while (auto ended = peers_.take_probed()) probed(*ended);
    if (!pending_ || !pending_->probes.empty()) return;
    Pending again = std::move(*pending_);
    pending_.reset();
    try_to_begin(std::move(again));
}

void MemberChanges::probed(const Peers::Probed& probed) {
    // One that was sent out for an earlier change, since refused, says nothing about this one.
    if (!pending_ || pending_->probes.erase(probed.number) == 0) return;
    auto found = pending_->infos.find(probed.id);
    if (!probed.incarnation && pending_->dry_run) pending_->absent.insert(probed.id);
    if (!probed.incarnation && !pending_->dry_run) {
        Pending failed = std::move(*pending_);
        pending_.reset();
        return refuse(failed.conn, failed.stream,
                      error(Errc::unreachable,
                            found->second.name + " at " + found->second.peer + ": " + probed.failure +
                                "; the members were not changed",
                            "start the new member there first, and check the address"));
    }
    if (probed.incarnation) found->second.incarnation = *probed.incarnation;
    if (!pending_->probes.empty()) return;
    Pending whole = std::move(*pending_);
    pending_.reset();
    if (whole.dry_run) return tell_plan(whole);
    try_to_begin(std::move(whole));
}

/// The steps as they would be, with what each needs and survives; the last one may be one that can't be
/// taken.
void MemberChanges::tell_plan(const Pending& pending) {
    PlanGiven given;
    given.ids_used_upto = replica_.core().ids_used_upto();
    given.up.insert(context_.dir.identity.id);
    const Configuration& now = replica_.members().in_force();
    for (const auto& [id, info] : pending.infos) {
        bool is_new = !now.infos.contains(id);
        if (is_new ? !pending.absent.contains(id) : peers_.linked(id)) given.up.insert(id);
    }
    for (const auto& [id, info] : now.infos)
        if (peers_.linked(id)) given.up.insert(id);
    auto name_of = [&](NodeId id) {
        auto wanted = pending.infos.find(id);
        auto known = now.infos.find(id);
        return wanted != pending.infos.end() ? wanted->second.name
               : known != now.infos.end()    ? known->second.name
                                             : "member " + text_of(id);
    };
    Plan made = plan(now.membership, pending.target, given);
    pb::Answer answer_to;
    pb::MemberPlan& told = *answer_to.mutable_member_plan();
    told.set_config_index(raw(now.index));
    for (const PlanStep& step : made.steps) {
        static constexpr const char* kKinds[] = {"add_learners", "joint", "leave_joint", "settle"};
        pb::MemberPlanStep& to = *told.add_steps();
        to.set_kind(kKinds[static_cast<size_t>(step.kind)]);
        to.set_failures(static_cast<uint32_t>(step.any_failures));
        auto names = [&](const std::vector<Member>& half) {
            std::string text;
            for (const Member& member : half)
                text += (text.empty() ? "" : " ") + name_of(member.id) + (member.learner ? "(learner)" : "");
            return text;
        };
        to.set_members(names(step.after.now) +
                       (step.after.joint() ? " -> " + names(step.after.next) : std::string()));
        for (const auto& half : step.halves)
            to.add_needs(std::to_string(half.majority) + " of " + std::to_string(half.voters));
    }
    if (made.refused) {
        told.set_refused(error_of(made.refused->why).what);
        for (NodeId id : made.refused->missing) told.add_missing(name_of(id));
    }
    answer(clients_, pending.conn, pending.stream, answer_to);
}

/// The core wants the entry in this very turn; the answer says that the change goes on from here.
void MemberChanges::begin(const Pending& pending) {
    context_.log(LogLevel::info, "members_change")("expected", raw(pending.expected))("wanted",
                                                                                      pending.infos.size());
    replica_.members().propose(pending.infos);
    replica_.step(context_.now, raft::ev::ProposeMembership{pending.target});
    pb::Answer answer_to;
    fill(*answer_to.mutable_member_list());
    answer(clients_, pending.conn, pending.stream, answer_to);
}

void MemberChanges::transfer(const ClientConn& conn, uint32_t stream, NodeId to) {
    if (replica_.core().role() != raft::Role::leader)
        return refuse(conn.id, stream, error_of(raft::Refusal::not_leading));
    if (!context_.members.contains(to) || context_.members.at(to).learner)
        return refuse(conn.id, stream,
                      error(Errc::bad_input, "member " + text_of(to) + " is no voter of this cluster"));
    if (to != context_.dir.identity.id) replica_.step(context_.now, raft::ev::Transfer{to});
    pb::Answer answer_to;
    answer_to.mutable_transfer_begun();
    answer(clients_, conn.id, stream, answer_to);
}

void MemberChanges::refuse(io::ConnId conn, uint32_t stream, const Error& why) {
    daemon::refuse(clients_, conn, stream, why, replica_.core().leader());
}

}  // namespace raftd::daemon
