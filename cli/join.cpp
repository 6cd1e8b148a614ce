// New members: `member add` and `member replace`.
#include "cli/member.h"

#include <algorithm>

#include "cli/deadline.h"
#include "cli/member_folder.h"
#include "cli/membership.h"
#include "cli/ports.h"
#include "cli/replacement.h"
#include "cli/start.h"
#include "cli/view.h"
#include "conf/load.h"
#include "conf/units.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

constexpr Duration kJoinAskTimeout = seconds(3), kJoinInterval = milliseconds(50);
constexpr uint32_t kJoinedClientsAbovePeers = 100;

/// Where a new member is to be found: as asked, else free ports of this machine.
Result<conf::MemberSpec> place(const MemberAddOptions& options, const Found& found,
                               const pb::MemberList& list) {
    conf::MemberSpec member;
    member.id = NodeId{list.next_id()};
    member.name = member.data = options.name;
    member.learner = options.learner;
    member.priority = options.priority;
    if (!conf::valid_name(member.name))
        return error(Errc::bad_input, "`" + member.name + "` is not a name of letters, digits, . _ -");
    std::string host = "127.0.0.1";
    uint32_t first = 7101;
    if (options.peer.empty() && found.spec) {
        for (const conf::MemberSpec& other : found.spec->members)
            if (auto address = conf::parse_host_port(other.peer); address && !other.data.empty()) {
                host = address->host;
                first = std::max(first, address->port + 1u);
            }
        TRY(peer, free_port(host, first));
        TRY(client, free_port(host, peer + kJoinedClientsAbovePeers));
        member.peer = conf::text_of(conf::HostPort{host, peer});
        member.client = options.client.empty() ? conf::text_of(conf::HostPort{host, client}) : options.client;
        return member;
    }
    auto peer = conf::parse_host_port(options.peer);
    if (!peer || peer->port > 65535 - kJoinedClientsAbovePeers)
        return error(Errc::bad_input, "--peer `" + options.peer + "` is not HOST:PORT",
                     "raftctl member add n4 --peer 10.0.0.4:7101, or --local for this machine");
    member.peer = conf::text_of(*peer);
    peer->port = static_cast<uint16_t>(peer->port + kJoinedClientsAbovePeers);
    member.client = options.client.empty() ? conf::text_of(*peer) : options.client;
    if (!conf::parse_host_port(member.client))
        return error(Errc::bad_input, "--client `" + member.client + "` is not HOST:PORT");
    return member;
}

/// Makes the folder of a member that is to join. The incarnation is drawn here, once.
Result<Incarnation> make_joining(const Context& context, const Found& found, const fs::path& folder,
                                 const conf::MemberSpec& member, FolderMaker& maker) {
    pb::Request request;
    request.mutable_genesis();
    TRY(answer, ask_leader(context, found, request));
    if (!answer.has_genesis())
        return error(Errc::failed, "the leader doesn't tell the genesis: " + answer.error().what());
    TRY(manifest, snapshot::parse_manifest(answer.genesis().manifest()));
    Incarnation incarnation{random_number(), random_number()};
    TRY_VOID(make_member_folder(maker, folder, member, manifest, incarnation));
    return incarnation;
}

pb::MemberInfo info_of(const conf::MemberSpec& member, Incarnation incarnation, bool promote) {
    pb::MemberInfo info;
    info.set_id(raw(member.id));
    info.set_name(member.name);
    info.set_peer(member.peer);
    info.set_client(member.client);
    info.set_priority(member.priority);
    info.set_promote(promote);
    info.mutable_incarnation()->set_high(incarnation.high);
    info.mutable_incarnation()->set_low(incarnation.low);
    return info;
}

/// cluster.toml with one more block, so that the new daemon finds its own addresses.
Result<void> add_to_file(const Found& found, const pb::MemberList& list, const conf::MemberSpec& member) {
    pb::MemberList more = list;
    auto is_it = [&](const pb::MemberInfo& other) { return other.id() == raw(member.id); };
    if (std::none_of(list.members().begin(), list.members().end(), is_it))
        *more.add_members() = info_of(member, {}, false);
    return update_cluster_file(found, more, {{raw(member.id), member.data}});
}

/// A member of this machine: folder, file, daemon. What exists from an earlier try is used.
Result<conf::MemberSpec> make_local(const Context& context, Found& found, const pb::MemberList& list,
                                    const MemberAddOptions& options) {
    if (!found.spec)
        return error(Errc::bad_input, "--local needs the cluster's cluster.toml, and none was found",
                     "raftctl --cluster PATH member add " + options.name + " --local");
    std::error_code fault;
    const conf::MemberSpec* known = conf::find_member(*found.spec, options.name);
    bool half_done = known != nullptr && !known->data.empty() && made_before(list, *known) &&
                     fs::exists(fs::path(found.folder) / known->data / "data" / "identity.toml", fault);
    if (half_done) return *known;
    TRY(member, place(options, found, list));
    // What a former member left stays; a folder whose data is gone is used again.
    for (int number = 2; fs::exists(fs::path(found.folder) / member.data / "data", fault); ++number)
        member.data = options.name + "-" + std::to_string(number);
    FolderMaker maker;
    TRY_VOID(make_joining(context, found, found.folder, member, maker));
    maker.keep();
    return member;
}

Exit start_new(const Context& context, const Found& found, const std::string& name) {
    Context quiet = context;
    quiet.output = Output::text;
    quiet.cluster = found.file;
    quiet.endpoints.clear();
    return start(quiet, {{name}, StartWait::none, false});
}

/// Asks the new member's client listener who it is; it may take a moment to come up.
Result<NodeId> who_is_there(const Context& context, const conf::MemberSpec& member,
                            std::optional<ClusterId> cluster) {
    pb::Request request;
    request.mutable_status();
    Deadline deadline(std::min(context.timeout, seconds(5)));
    for (;;) {
        MemberAnswer told = ask_each({member.client}, request, kJoinAskTimeout, cluster).front();
        if (told.has_status()) {
            if (told.answer->status().name() != member.name)
                return error(
                    Errc::conflict,
                    member.client + " is member " + told.answer->status().name() + ", not " + member.name,
                    "check the addresses");
            return NodeId{told.node_id};
        }
        if (deadline.over() || interrupted())
            return error(
                Errc::unreachable,
                member.name + " at " + member.client + ": " + told.failure + "; the members were not changed",
                "make its folder with `raftctl member add " + member.name + " --peer " + member.peer +
                    " --make-folder DIR`, move it there, start it, and add it again");
        if (!pause_for(kJoinInterval)) return error(Errc::failed, "interrupted; nothing was changed");
    }
}

Exit only_make_folder(const Context& context, const Found& found, const MemberAddOptions& options,
                      const pb::MemberList& list) {
    auto member = place(options, found, list);
    if (!member) return fail(context, member.error());
    FolderMaker maker;
    fs::path folder = options.make_folder;
    if (auto made = maker.make_folder(folder); !made) return fail(context, made.error());
    auto incarnation = make_joining(context, found, folder, *member, maker);
    if (!incarnation) return fail_change(context, incarnation.error());
    conf::ClusterSpec spec;
    if (found.spec) spec.name = found.spec->name, spec.id = found.spec->id;
    spec.config_index = list.config_index();
    for (const pb::MemberInfo& info : list.members()) {
        conf::MemberSpec other;
        other.id = NodeId{info.id()};
        other.name = info.name(), other.peer = info.peer(), other.client = info.client();
        other.learner = !info.voter();
        other.priority = static_cast<uint8_t>(info.priority());
        spec.members.push_back(other);
    }
    spec.members.push_back(*member);
    if (auto wrote = maker.write(folder, "cluster.toml", conf::render_cluster_toml(spec)); !wrote)
        return fail(context, wrote.error());
    maker.keep();
    note(context, "made " + (folder / member->data).string() + " and " + (folder / "cluster.toml").string() +
                      ": move both into one folder on " + conf::parse_host_port(member->peer)->host);
    note(context, "hint: there: raftctl start --wait none; then here: raftctl member add " + member->name +
                      " --peer " + member->peer);
    return Exit::done;
}

struct Joining {
    Found found;
    pb::MemberList list;
    conf::MemberSpec member;
    std::vector<std::pair<uint64_t, std::string>> data;
};

/// Everything before the change itself: the new member runs and has said who it is.
boost::system::result<Joining, Exit> prepare(const Context& context, const MemberAddOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    auto list = settled_members(context, *found);
    if (!list) return fail_change(context, list.error());
    if (!options.make_folder.empty()) return only_make_folder(context, *found, options, *list);
    auto member = options.local ? make_local(context, *found, *list, options) : place(options, *found, *list);
    if (!member) return fail_change(context, member.error());
    Joining joining{std::move(*found), std::move(*list), std::move(*member), {}};
    if (options.local) {
        joining.data.emplace_back(raw(joining.member.id), joining.member.data);
        if (auto added = add_to_file(joining.found, joining.list, joining.member); !added)
            return fail(context, added.error());
        if (Exit exit = start_new(context, joining.found, joining.member.name); exit != Exit::done)
            return exit;
    }
    std::optional<ClusterId> cluster;
    if (joining.found.spec) cluster = joining.found.spec->id;
    auto id = who_is_there(context, joining.member, cluster);
    if (!id) return fail_change(context, id.error());
    joining.member.id = *id;
    return joining;
}

}  // namespace

Exit member_add(const Context& context, const MemberAddOptions& options) {
    // Before anything is made: a name that is taken, or a change that an earlier call began.
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    auto present = settled_members(context, *found);
    if (!present) return fail_change(context, present.error());
    if (const pb::MemberInfo* there = find_name(*present, options.name); there != nullptr) {
        if (!there->promote())
            return fail(context, error(Errc::conflict, options.name + " is a member already",
                                       "raftctl member replace " + options.name +
                                           " puts a new directory in its place"));
        auto list = change_members(
            context, *found, [](const pb::MemberList& now) -> Result<Wanted> { return members_of(now); });
        return list ? finish_change(context, *found, *list) : fail_change(context, list.error());
    }
    if (present->max_members() != 0 &&
        static_cast<uint32_t>(present->members_size()) >= present->max_members())
        return fail(context, error(Errc::conflict,
                                   "the cluster has " + counted(present->members_size(), "member") +
                                       ", and was made with --max-members " +
                                       std::to_string(present->max_members()) + "; nothing was changed",
                                   "raftctl member remove makes room for another one"));
    auto joining = prepare(context, options);
    if (!joining) return joining.error();
    auto wanted = [&](const pb::MemberList& list) -> Result<Wanted> {
        Wanted target = members_of(list);
        auto is_it = [&](const pb::MemberInfo& member) { return member.id() == raw(joining->member.id); };
        if (std::none_of(target.begin(), target.end(), is_it))
            target.push_back(info_of(joining->member, {}, !options.learner));
        return target;
    };
    auto list = change_members(context, joining->found, wanted);
    if (!list) return fail_change(context, list.error());
    return finish_change(context, joining->found, *list, joining->data);
}

Exit member_replace(const Context& context, const MemberAddOptions& options) {
    auto joining = prepare(context, options);
    if (!joining) return joining.error();
    const uint64_t fresh = raw(joining->member.id);
    const bool votes = voter_before(joining->list, options.name, fresh);
    auto as_learner = [&](const pb::MemberList& list) -> Result<Wanted> {
        if (find_name(list, options.name) == nullptr) return no_such_member(list, options.name);
        return with_learner(list, info_of(joining->member, {}, false));
    };
    auto grown = change_members(context, joining->found, as_learner);
    if (!grown) return fail_change(context, grown.error());
    if (auto caught = wait_caught_up(context, joining->found, fresh, options.name); !caught)
        return fail_change(context, caught.error());
    // One joint change: the new one votes, the old one goes.
    auto settled_in = [&](const pb::MemberList& list) -> Result<Wanted> {
        return in_its_place(list, options.name, fresh, votes);
    };
    auto list = change_members(context, joining->found, settled_in);
    if (!list) return fail_change(context, list.error());
    return finish_change(context, joining->found, *list, joining->data);
}

}  // namespace raftd::cli
