#include "cli/apply.h"

#include <algorithm>

#include "base/uuid.h"
#include "cli/membership.h"
#include "conf/load.h"

namespace raftd::cli {
namespace {

struct Applied {
    Found found;
    conf::ClusterSpec spec;
    pb::MemberList list;
};

pb::MemberInfo info_of(const conf::MemberSpec& member) {
    pb::MemberInfo info;
    info.set_id(raw(member.id));
    info.set_name(member.name);
    info.set_peer(member.peer);
    info.set_client(member.client);
    info.set_voter(!member.learner);
    info.set_priority(member.priority);
    return info;
}

Wanted wanted_of(const conf::ClusterSpec& spec) {
    Wanted wanted;
    for (const conf::MemberSpec& member : spec.members) wanted.push_back(info_of(member));
    return wanted;
}

const pb::MemberInfo* find_id(const pb::MemberList& list, uint64_t id) {
    for (const pb::MemberInfo& member : list.members())
        if (member.id() == id) return &member;
    return nullptr;
}

/// "n2: peer 127.0.0.1:7102 -> 10.0.0.2:7102", one a difference; empty when the file is what is.
std::vector<std::string> differences(const pb::MemberList& list, const conf::ClusterSpec& spec) {
    std::vector<std::string> found;
    auto role = [](const pb::MemberInfo& member) { return member.voter() ? "voter" : "learner"; };
    for (const pb::MemberInfo& member : wanted_of(spec)) {
        const pb::MemberInfo* now = find_id(list, member.id());
        if (now == nullptr) {
            found.push_back("+ " + member.name() + " (id " + std::to_string(member.id()) + ", " +
                            role(member) + ", peer " + member.peer() + ")");
            continue;
        }
        auto compare = [&](const char* what, const std::string& from, const std::string& to) {
            if (from != to) found.push_back("~ " + now->name() + ": " + what + " " + from + " -> " + to);
        };
        compare("name", now->name(), member.name());
        compare("peer", now->peer(), member.peer());
        compare("client", now->client(), member.client());
        compare("role", role(*now), role(member));
        compare("priority", std::to_string(now->priority()), std::to_string(member.priority()));
    }
    for (const pb::MemberInfo& now : list.members()) {
        auto stays = [&](const conf::MemberSpec& member) { return raw(member.id) == now.id(); };
        if (std::none_of(spec.members.begin(), spec.members.end(), stays))
            found.push_back("- " + now.name() + " (id " + std::to_string(now.id()) + ", " + role(now) + ")");
    }
    return found;
}

/// The file and the cluster, which must be one another's.
Result<Applied> load(const Context& context, const MemberFileOptions& options) {
    TRY(spec, conf::load_cluster_spec(options.file));
    TRY(found, find_cluster(context));
    if (found.spec && found.spec->id != spec.id)
        return error(Errc::conflict, options.file + " is of cluster " + to_hex(spec.id) + ", this is " +
                                         to_hex(found.spec->id));
    TRY(list, settled_members(context, found));
    return Applied{std::move(found), std::move(spec), std::move(list)};
}

Result<pb::MemberPlan> ask_plan(const Context& context, const Applied& applied) {
    pb::Request request;
    pb::ChangeMembers& change = *request.mutable_change_members();
    for (const pb::MemberInfo& member : wanted_of(applied.spec)) *change.add_target() = member;
    change.set_expected_config_index(applied.list.config_index());
    change.set_dry_run(true);
    TRY(answer, ask_leader(context, applied.found, request));
    if (answer.has_error())
        return error(static_cast<Errc>(answer.error().code()), answer.error().what(), answer.error().hint());
    return answer.member_plan();
}

std::string text_of(const pb::MemberPlanStep& step) {
    std::string text = step.kind() + ": " + step.members() + "  (needs ";
    for (int i = 0; i < step.needs_size(); ++i) text += (i == 0 ? "" : " and ") + step.needs(i);
    return text + ", survives the loss of any " + std::to_string(step.failures()) + ")";
}

void print_plan(const Context& context, const pb::MemberPlan& plan, const std::vector<std::string>& changes) {
    if (context.output != Output::text) {
        Json steps = Json::array(), list = Json::array(), missing = Json::array();
        for (const pb::MemberPlanStep& step : plan.steps()) {
            Json needs = Json::array();
            for (const std::string& half : step.needs()) needs.add(half);
            steps.add(Json::object()
                          .add("kind", step.kind())
                          .add("members", step.members())
                          .add("needs", needs)
                          .add("failures", uint64_t{step.failures()}));
        }
        for (const std::string& change : changes) list.add(change);
        for (const std::string& name : plan.missing()) missing.add(name);
        Json json = Json::object();
        json.add("schema", 1)
            .add("config_index", plan.config_index())
            .add("changes", list)
            .add("steps", steps);
        if (plan.refused().empty())
            json.null("refused");
        else
            json.add("refused", plan.refused());
        write_out(json.add("missing", missing).text() + "\n");
        return;
    }
    for (const std::string& change : changes) write_out(change + "\n");
    for (int i = 0; i < plan.steps_size(); ++i)
        write_out(std::to_string(i + 1) + ". " + text_of(plan.steps(i)) + "\n");
}

Error refused_error(const pb::MemberPlan& plan) {
    std::string missing;
    for (const std::string& name : plan.missing()) missing += (missing.empty() ? "" : ", ") + name;
    return error(Errc::conflict,
                 "step " + std::to_string(plan.steps_size()) + " can't be taken: " + plan.refused() +
                     (missing.empty() ? "" : " (" + missing + ")") + "; nothing was changed",
                 "start who is missing, or take another way there; raftctl status shows who is up");
}

/// First who is new, as learners, and everything that moves no vote; then the votes, by one joint change.
Result<pb::MemberList> carry_out(const Context& context, const Applied& applied) {
    Wanted target = wanted_of(applied.spec);
    auto prepared = [&](const pb::MemberList& list) -> Result<Wanted> {
        Wanted now = members_of(list);
        for (pb::MemberInfo member : target) {
            auto is_it = [&](const pb::MemberInfo& other) { return other.id() == member.id(); };
            auto known = std::find_if(now.begin(), now.end(), is_it);
            if (known != now.end()) {
                member.set_voter(known->voter());
                *known = member;
            } else {
                member.set_voter(false);
                now.push_back(member);
            }
        }
        return now;
    };
    TRY(list, change_members(context, applied.found, prepared));
    for (const pb::MemberInfo& member : target)
        if (const pb::MemberInfo* now = find_id(list, member.id());
            member.voter() && now != nullptr && !now->voter())
            TRY_VOID(wait_caught_up(context, applied.found, member.id(), member.name()));
    return change_members(context, applied.found,
                          [&](const pb::MemberList&) -> Result<Wanted> { return target; });
}

}  // namespace

Exit member_diff(const Context& context, const MemberFileOptions& options) {
    auto applied = load(context, options);
    if (!applied) return fail_change(context, applied.error());
    std::vector<std::string> changes = differences(applied->list, applied->spec);
    pb::MemberPlan plan;
    plan.set_config_index(applied->list.config_index());
    if (!changes.empty()) {
        auto asked = ask_plan(context, *applied);
        if (asked)
            plan = std::move(*asked);
        else  // the members can't become those of the file at all; what differs is still worth knowing
            plan.set_refused(asked.error().what);
    }
    print_plan(context, plan, changes);
    if (!plan.refused().empty()) note(context, "warning: it can't be applied: " + plan.refused());
    Exit exit = finish_output(context, Exit::done);
    return exit == Exit::done && !changes.empty() ? Exit::damaged : exit;
}

Exit member_apply(const Context& context, const MemberFileOptions& options) {
    auto applied = load(context, options);
    if (!applied) return fail_change(context, applied.error());
    std::vector<std::string> changes = differences(applied->list, applied->spec);
    if (changes.empty()) return finish_change(context, applied->found, applied->list);
    if (applied->spec.config_index < applied->list.config_index())
        return fail(context, error(Errc::conflict,
                                   options.file + " is older than the cluster: its config_index is " +
                                       std::to_string(applied->spec.config_index) + ", configuration " +
                                       std::to_string(applied->list.config_index()) + " is in force",
                                   "raftctl member diff " + options.file +
                                       " shows what differs; take that in, and set config_index"));
    auto plan = ask_plan(context, *applied);
    if (!plan) return fail_change(context, plan.error());
    print_plan(context, *plan, changes);
    if (!plan->refused().empty()) return fail(context, refused_error(*plan));
    if (options.dry_run) return finish_output(context, Exit::done);
    if (!agreed(context, options.yes, "change the members so?"))
        return fail(context, error(Errc::bad_input, "not agreed; nothing was changed",
                                   "raftctl member apply " + options.file + " --yes"));
    auto list = carry_out(context, *applied);
    if (!list) return fail_change(context, list.error());
    Context shown = context;
    shown.output = Output::text;  // the one document was the plan
    return finish_change(shown, applied->found, *list);
}

}  // namespace raftd::cli
