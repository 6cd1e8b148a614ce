#include "cli/view.h"

#include <algorithm>
#include <map>

namespace raftd::cli {
namespace {

/// Whom the answers and the file name, by id. The configuration of the newest term that answers counts; a
/// file that differs from it is only a wish, so it adds members when nobody answers.
std::map<uint64_t, MemberView> known_members(const std::vector<MemberAnswer>& answers,
                                             const std::optional<conf::ClusterSpec>& spec) {
    const pb::Status* newest = nullptr;
    for (const MemberAnswer& answer : answers)
        if (answer.has_status() && answer.answer->status().members_size() != 0 &&
            (newest == nullptr || answer.answer->status().config_index() > newest->config_index()))
            newest = &answer.answer->status();
    std::map<uint64_t, MemberView> members;
    if (newest != nullptr) {
        for (const pb::MemberInfo& info : newest->members()) {
            MemberView& member = members[info.id()];
            member.id = info.id();
            member.name = info.name();
            member.client = info.client();
            member.voter = info.voter();
        }
    } else if (spec) {
        for (const conf::MemberSpec& one : spec->members) {
            MemberView& member = members[raw(one.id)];
            member.id = raw(one.id);
            member.name = one.name;
            member.client = one.client;
            member.voter = !one.learner;
        }
    }
    return members;
}

void add_answer(std::map<uint64_t, MemberView>& members, const MemberAnswer& answer) {
    if (answer.has_status()) {
        const pb::Status& status = answer.answer->status();
        MemberView& member = members[status.node_id()];
        member.id = status.node_id();
        if (member.name.empty()) member.name = status.name();
        if (member.client.empty()) member.client = answer.endpoint;
        member.status = status;
        member.rtt_ms = answer.rtt_ms;
        return;
    }
    std::string failure = answer.failure;
    if (answer.answer && answer.answer->has_error()) failure = answer.answer->error().what();
    for (auto& [id, member] : members)
        if (member.client == answer.endpoint && !member.status) {
            member.failure = failure;
            member.other_cluster = answer.other_cluster;
        }
}

void add_followers(ClusterView& view) {
    const pb::Status& status = *view.leader->status;
    for (MemberView& member : view.members) {
        if (&member == view.leader) {
            member.linked = true;
            member.lag_records = 0;
            member.match_index = status.durable_index();
        }
        for (const pb::FollowerStatus& follower : status.followers()) {
            if (follower.id() != member.id) continue;
            bool quiet =
                status.election_timeout_ms() != 0 && follower.heard_ago_ms() > status.election_timeout_ms();
            member.linked = follower.connected() && !quiet;
            member.silent = follower.connected() && quiet;
            if (member.silent) member.failure = "the leader hears nothing from it";
            if (member.status && !follower.link_failure().empty()) member.failure = follower.link_failure();
            member.match_index = follower.match_index();
            uint64_t end = status.last_lsn();
            if (member.status) member.lag_records = end - std::min(end, follower.match_lsn());
        }
        if (member.status && !member.linked && !member.silent)
            member.failure =
                "not connected to the leader" + (member.failure.empty() ? "" : ": " + member.failure);
    }
}

bool all_well(const ClusterView& view) {
    return std::all_of(view.members.begin(), view.members.end(),
                       [](const MemberView& member) { return member.status && member.linked; });
}

}  // namespace

const char* text_of(State state) {
    switch (state) {
        case State::healthy: return "healthy";
        case State::degraded: return "degraded";
        case State::unavailable: return "unavailable";
        case State::unknown: return "unknown";
    }
    return "unknown";
}

size_t ClusterView::up() const {
    return static_cast<size_t>(std::count_if(
        members.begin(), members.end(), [](const MemberView& member) { return member.status.has_value(); }));
}

ClusterView view_of(const std::vector<MemberAnswer>& answers, const std::optional<conf::ClusterSpec>& spec) {
    ClusterView view;
    if (spec) view.name = spec->name, view.id = spec->id;
    std::map<uint64_t, MemberView> members = known_members(answers, spec);
    for (const MemberAnswer& answer : answers) {
        add_answer(members, answer);
        if (answer.has_status()) {
            const pb::Status& status = answer.answer->status();
            view.name = status.cluster_name();
            view.id = ClusterId{status.cluster_id().high(), status.cluster_id().low()};
        } else {
            view.tried.push_back({answer.endpoint, answer.failure});
        }
    }
    for (auto& [id, member] : members) view.members.push_back(std::move(member));
    // An old leader that doesn't know yet has the lower term.
    for (const MemberView& member : view.members)
        if (member.status && member.status->role() == "leader" &&
            (view.leader == nullptr || member.status->term() > view.leader->status->term()))
            view.leader = &member;
    if (view.leader != nullptr) add_followers(view);
    size_t up = view.up();
    view.state = up == 0                  ? State::unknown
                 : view.leader == nullptr ? State::unavailable
                 : all_well(view)         ? State::healthy
                                          : State::degraded;
    return view;
}

ClusterView observe(const Found& found, Duration timeout) {
    pb::Request request;
    request.mutable_status();
    std::optional<ClusterId> id;
    if (found.spec) id = found.spec->id;
    std::vector<MemberAnswer> answers = ask_each(found.endpoints, request, timeout, id);
    std::vector<std::string> more;
    for (const MemberView& member : view_of(answers, found.spec).members) {
        bool asked =
            member.status.has_value() || member.client.empty() ||
            std::find(found.endpoints.begin(), found.endpoints.end(), member.client) != found.endpoints.end();
        if (!asked) more.push_back(member.client);
    }
    if (!more.empty())
        for (MemberAnswer& answer : ask_each(more, request, timeout, id))
            answers.push_back(std::move(answer));
    return view_of(answers, found.spec);
}

uint64_t percent_of(const pb::InstallStatus& install) {
    return install.bytes_total() == 0 ? 0 : install.bytes() * 100 / install.bytes_total();
}

std::string counted(uint64_t count, const char* noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string closing_sentence(const ClusterView& view) {
    std::string text = view.name + " is " + text_of(view.state) + ": ";
    std::string up = std::to_string(view.up()) + " of " + std::to_string(view.members.size()) + " members up";
    if (view.leader == nullptr) {
        // Before the first election of all there is a rule of init, perhaps.
        for (const MemberView& member : view.members)
            if (member.status && member.status->last_index() == 0 && member.status->min_members() > view.up())
                return text + "waiting for members (" + std::to_string(view.up()) + " of the " +
                       std::to_string(member.status->min_members()) + " that the first election needs)";
        return text + "no leader, " + up;
    }
    const pb::Status& leader = *view.leader->status;
    return text + view.leader->name + " leads term " + std::to_string(leader.term()) + ", " + up + ", " +
           counted(leader.commit_lsn() + 1 - std::max<uint64_t>(leader.first_lsn(), 1), "record");
}

}  // namespace raftd::cli
