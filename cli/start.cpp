#include "cli/start.h"

#include <algorithm>

#include "cli/deadline.h"
#include "cli/launch.h"
#include "cli/ports.h"
#include "cli/view.h"
#include "conf/load.h"

namespace raftd::cli {
namespace {

constexpr Duration kStartInterval = milliseconds(20), kStartAskTimeout = milliseconds(500);
constexpr size_t kLogLines = 8;

struct Plan {
    Found found;
    std::string daemon;
    std::vector<LocalMember> idle;                       // to be started
    std::vector<std::pair<LocalMember, pid_t>> running;  // already so
};

std::string port_of(const std::string& address) { return address.substr(address.rfind(':') + 1); }

/// What the member will listen on.
Result<void> check_addresses(const LocalMember& member) {
    TRY(settings, conf::load_node_settings(member.config_file()));
    std::string peer = settings.listen_peer.empty() ? member.spec.peer : settings.listen_peer;
    std::string client = settings.listen_client.empty() ? member.spec.client : settings.listen_client;
    for (const std::string& address : {peer, client})
        if (!can_listen(address))
            return error(Errc::conflict,
                         member.spec.name + " can't start: " + address + " is in use by another process",
                         "ss -ltnp 'sport = :" + port_of(address) + "' shows which; raftctl member set " +
                             member.spec.name + " --peer HOST:PORT --offline " + member.data_dir +
                             " moves a member that is stopped");
    return {};
}

/// Checks everything before anything is started.
Result<Plan> make_plan(const Context& context, const StartOptions& options) {
    Plan plan;
    TRY(found, find_local_cluster(context));
    plan.found = std::move(found);
    TRY(daemon, find_daemon());
    plan.daemon = std::move(daemon);
    TRY(members, local_members(plan.found, options.nodes));
    for (LocalMember& member : members) {
        pid_t process = running_process(member);
        if (process != 0) {
            plan.running.emplace_back(std::move(member), process);
            continue;
        }
        TRY_VOID(check_addresses(member));
        plan.idle.push_back(std::move(member));
    }
    return plan;
}

Error ended_at_once(const Launched& launched) {
    std::string name = launched.member.spec.name;
    std::vector<std::string> lines = its_log(launched, kLogLines);
    std::string text = name + " ended at once with exit code " + std::to_string(*launched.exit);
    for (const std::string& line : lines) text += "\n    " + printable(line);
    return error(Errc::failed, text, "its whole log: " + launched.member.log_file());
}

/// The first of them that has ended, as an error.
std::optional<Error> find_ended(std::vector<Launched>& launched) {
    for (Launched& one : launched) {
        look_after(one);
        if (one.exit) return ended_at_once(one);
    }
    return std::nullopt;
}

/// Whether all that was started answers and (if a leader is asked for) is connected to one.
bool is_ready(const ClusterView& view, const std::vector<Launched>& launched, bool needs_leader) {
    auto ready = [&](const Launched& one) {
        for (const MemberView& member : view.members)
            if (member.name == one.member.spec.name) return member.status && (member.linked || !needs_leader);
        return false;
    };
    return std::all_of(launched.begin(), launched.end(), ready) && (!needs_leader || view.leader != nullptr);
}

/// Can a leader come from the members of this machine that run, and those elsewhere?
bool quorum_possible(const Plan& plan, const std::vector<Launched>& launched) {
    size_t voters = 0, possible = 0;
    auto local = local_members(plan.found, {});
    for (const conf::MemberSpec& member : plan.found.spec->members) {
        if (member.learner) continue;
        ++voters;
        bool is_local = false, runs = false;
        for (const LocalMember& one : local ? *local : std::vector<LocalMember>{})
            if (one.spec.name == member.name) is_local = true, runs = running_process(one) != 0;
        for (const Launched& one : launched) runs = runs || one.member.spec.name == member.name;
        possible += !is_local || runs;
    }
    return possible * 2 > voters;
}

Result<ClusterView> wait_for(const Context& context, const Plan& plan, std::vector<Launched>& launched,
                             StartWait wanted) {
    bool needs_leader = wanted == StartWait::leader && quorum_possible(plan, launched);
    Deadline deadline(context.timeout);
    while (true) {
        if (auto ended = find_ended(launched)) return *ended;
        ClusterView view = observe(plan.found, kStartAskTimeout);
        if (is_ready(view, launched, needs_leader)) return view;
        if (deadline.over())
            return error(Errc::unavailable,
                         (needs_leader ? "no leader within " : "not ready within ") +
                             text_of_duration(context.timeout) + ": " + closing_sentence(view),
                         "raftctl logs shows what the members say");
        if (!pause_for(kStartInterval)) return error(Errc::failed, "interrupted; what was started goes on");
    }
}

void say_started(const Context& context, const Plan& plan, const std::vector<Launched>& launched) {
    std::string line;
    for (const auto& [member, process] : plan.running)
        line += (line.empty() ? "" : "  ") + member.spec.name + " already runs (pid " +
                (process > 0 ? std::to_string(process) : std::string("unknown")) + ")";
    for (const Launched& one : launched)
        line += (line.empty() ? "" : "  ") + one.member.spec.name + " started (pid " +
                std::to_string(one.process) + ")";
    note(context, line);
}

void print_json(const Plan& plan, const std::vector<Launched>& launched, const ClusterView* view) {
    Json members = Json::array();
    for (const auto& [member, process] : plan.running)
        members.add(Json::object()
                        .add("name", member.spec.name)
                        .add("pid", static_cast<int>(process))
                        .add("state", "running"));
    for (const Launched& one : launched)
        members.add(Json::object()
                        .add("name", one.member.spec.name)
                        .add("pid", static_cast<int>(one.process))
                        .add("state", "started"));
    Json json = Json::object();
    json.add("schema", 1).add("members", members);
    if (view == nullptr || view->leader == nullptr)
        json.null("leader");
    else
        json.add("leader", view->leader->name);
    if (view == nullptr)
        json.null("state");
    else
        json.add("state", text_of(view->state));
    write_out(json.text() + "\n");
}

Exit run_in_foreground(const Context& context, const Plan& plan) {
    if (plan.idle.size() != 1)
        return fail(
            context,
            error(Errc::bad_input, "--foreground runs one member, not " + std::to_string(plan.idle.size()),
                  plan.idle.empty() ? "it runs already; raftctl stop ends it"
                                    : "raftctl start " + plan.idle.front().spec.name + " --foreground"));
    return fail(context, become(plan.daemon, plan.idle.front()));
}

}  // namespace

Exit start(const Context& context, const StartOptions& options) {
    auto plan = make_plan(context, options);
    if (!plan) return fail(context, plan.error());
    if (options.foreground) return run_in_foreground(context, *plan);
    std::vector<Launched> launched;
    for (const LocalMember& member : plan->idle) {
        auto one = launch(plan->daemon, member);
        if (!one) return fail(context, one.error());
        launched.push_back(std::move(*one));
    }
    if (context.output == Output::text) say_started(context, *plan, launched);
    if (options.wait == StartWait::none) {
        if (context.output != Output::text) print_json(*plan, launched, nullptr);
        return finish_output(context, Exit::done);
    }
    auto view = wait_for(context, *plan, launched, options.wait);
    if (!view) {
        Exit exit = fail(context, view.error());
        return interrupted() ? Exit::interrupted : exit;
    }
    if (context.output == Output::text)
        note(context, closing_sentence(*view));
    else
        print_json(*plan, launched, &*view);
    return finish_output(context, Exit::done);
}

Exit restart(const Context& context, const RestartOptions& options) {
    if (!options.rolling) {
        Exit stopped = stop(context, {options.nodes, false});
        return stopped != Exit::done ? stopped : start(context, {options.nodes, StartWait::leader, false});
    }
    auto found = find_local_cluster(context);
    if (!found) return fail(context, found.error());
    auto members = local_members(*found, options.nodes);
    if (!members) return fail(context, members.error());
    for (const LocalMember& member : *members) {
        ClusterView before = observe(*found, kStartAskTimeout);
        if (before.state != State::healthy)
            return fail(context, error(Errc::degraded,
                                       "not restarting " + member.spec.name + ": " + closing_sentence(before),
                                       "raftctl wait healthy"));
        Exit exit = stop(context, {{member.spec.name}, false});
        if (exit == Exit::done) exit = start(context, {{member.spec.name}, StartWait::leader, false});
        Deadline deadline(context.timeout);
        while (exit == Exit::done && observe(*found, kStartAskTimeout).state != State::healthy &&
               !deadline.over())
            if (!pause_for(kStartInterval)) exit = Exit::interrupted;
        if (exit != Exit::done) return exit;
    }
    return Exit::done;
}

}  // namespace raftd::cli
