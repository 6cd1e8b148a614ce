#include "cli/member.h"

#include <algorithm>

#include "cli/deadline.h"
#include "cli/local.h"
#include "cli/membership.h"
#include "cli/start.h"
#include "cli/view.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

constexpr Duration kMemberAskTimeout = seconds(3), kMemberInterval = milliseconds(50);

/// Changes each of the named members; who isn't there is an error unless `absent_is_done`.
Exit change_named(const Context& context, const std::vector<std::string>& names, bool absent_is_done,
                  const std::function<void(Wanted&, size_t)>& change) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    bool first = true;
    auto wanted = [&](const pb::MemberList& list) -> Result<Wanted> {
        Wanted target = members_of(list);
        for (const std::string& name : names) {
            auto is_it = [&](const pb::MemberInfo& member) { return member.name() == name; };
            auto at = std::find_if(target.begin(), target.end(), is_it);
            if (at == target.end() && (first || !absent_is_done)) return no_such_member(list, name);
            if (at != target.end()) change(target, static_cast<size_t>(at - target.begin()));
        }
        first = false;
        return target;
    };
    auto list = change_members(context, *found, wanted);
    if (!list) return fail_change(context, list.error());
    return finish_change(context, *found, *list);
}

}  // namespace

Exit member_list(const Context& context) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    pb::Request request;
    request.mutable_list_members();
    auto answer = ask_leader(context, *found, request);
    if (!answer) return fail_change(context, answer.error());
    print_members(context, answer->member_list());
    return finish_output(context, Exit::done);
}

Exit member_remove(const Context& context, const MemberNames& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    Exit exit = change_named(context, options.names, true, [](Wanted& target, size_t at) {
        target.erase(target.begin() + static_cast<ptrdiff_t>(at));
    });
    if (exit != Exit::done || !found->spec) return exit;
    // By the file as it was: who ran here is no member any more and has nothing left to do.
    auto local = local_members(*found, {});
    for (const LocalMember& member : local ? *local : std::vector<LocalMember>{}) {
        if (std::find(options.names.begin(), options.names.end(), member.spec.name) == options.names.end())
            continue;
        if (auto stopped = stop_process(context, member); !stopped) return fail(context, stopped.error());
        note(context, member.spec.name + " is stopped; its folder " + member.folder + " is left as it is");
    }
    return Exit::done;
}

Exit member_promote(const Context& context, const MemberNames& options) {
    return change_named(context, options.names, false, [](Wanted& target, size_t at) {
        if (!target[at].voter()) target[at].set_promote(true);
    });
}

Exit member_demote(const Context& context, const MemberNames& options) {
    return change_named(context, options.names, false, [](Wanted& target, size_t at) {
        target[at].set_voter(false);
        target[at].set_promote(false);
    });
}

Exit member_set(const Context& context, const MemberSetOptions& options) {
    for (const std::string* address : {&options.peer, &options.client})
        if (!address->empty() && !conf::parse_host_port(*address))
            return fail(context, error(Errc::bad_input, "`" + *address + "` is not HOST:PORT"));
    if (options.peer.empty() && options.client.empty() && options.priority < 0)
        return fail(context, error(Errc::bad_input, "nothing to set", "raftctl member set n2 --priority 5"));
    if (!options.offline.empty()) return member_set_offline(context, options);
    Exit exit = change_named(context, {options.name}, false, [&](Wanted& target, size_t at) {
        if (!options.peer.empty()) target[at].set_peer(options.peer);
        if (!options.client.empty()) target[at].set_client(options.client);
        if (options.priority >= 0) target[at].set_priority(static_cast<uint32_t>(options.priority));
    });
    if (exit == Exit::done && (!options.peer.empty() || !options.client.empty()))
        note(context, "hint: raftctl restart " + options.name + " makes it listen at its new address");
    return exit;
}

Exit transfer_leader(const Context& context, const TransferOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    auto list = settled_members(context, *found);
    if (!list) return fail_change(context, list.error());
    ClusterView view = observe(*found, kMemberAskTimeout);
    uint64_t from = view.leader == nullptr ? 0 : view.leader->id, to = 0, best = 0;
    if (!options.to.empty()) {
        const pb::MemberInfo* target = find_name(*list, options.to);
        if (target == nullptr) return fail(context, no_such_member(*list, options.to));
        to = target->id();
    } else if (view.leader != nullptr) {
        for (const auto& follower : view.leader->status->followers())
            for (const pb::MemberInfo& member : list->members())
                if (member.id() == follower.id() && member.voter() && follower.connected() &&
                    follower.match_index() >= best)
                    to = follower.id(), best = follower.match_index();
    }
    if (to == 0)
        return fail(context, error(Errc::unavailable, "no other voter is fit to lead", "raftctl status"));
    Deadline deadline(context.timeout);
    for (bool asked = false;; asked = true) {
        if (view.leader != nullptr && view.leader->id == to) break;
        if (!asked || (view.leader != nullptr && view.leader->id == from)) {
            pb::Request request;
            request.mutable_transfer_leader()->set_to(to);
            auto answer = ask_leader(context, *found, request);
            if (!answer) return fail_change(context, answer.error());
            if (answer->has_error())
                return fail(context, error(static_cast<Errc>(answer->error().code()), answer->error().what(),
                                           answer->error().hint()));
        }
        if (deadline.over())
            return fail(context, error(Errc::unavailable,
                                       "leadership didn't move: the member isn't caught up, or its disk is "
                                       "full or slow",
                                       "raftctl status"));
        if (!pause_for(kMemberInterval)) return Exit::interrupted;
        view = observe(*found, kMemberAskTimeout);
    }
    note(context, closing_sentence(view));
    if (context.output != Output::text)
        write_out(Json::object()
                      .add("schema", 1)
                      .add("leader", view.leader->name)
                      .add("term", view.leader->status->term())
                      .text() +
                  "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
