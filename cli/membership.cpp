#include "cli/membership.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "cli/deadline.h"
#include "conf/edit.h"
#include "conf/load.h"
#include "io/asio/files.h"

namespace raftd::cli {
namespace fs = std::filesystem;
namespace {

constexpr Duration kChangeAskTimeout = seconds(3), kChangeInterval = milliseconds(50);

std::optional<ClusterId> id_of(const Found& found) {
    if (!found.spec) return std::nullopt;
    return found.spec->id;
}

/// Whether a refusal may be gone a moment later.
bool passes_by_itself(const pb::Error& refusal) {
    return static_cast<Errc>(refusal.code()) == Errc::unavailable;
}

/// What moves while a change goes on: the configuration, or somebody's progress.
uint64_t progress_of(const ClusterView& view) {
    if (view.leader == nullptr) return 0;
    uint64_t sum = view.leader->status->config_index() * 1'000'003 + view.leader->status->term();
    for (const auto& follower : view.leader->status->followers()) sum += follower.match_index();
    return sum;
}

class Patience {
public:
    explicit Patience(const Context& context)
        : context_(context), deadline_(std::make_unique<Deadline>(context.timeout)) {}
    void saw(uint64_t progress) {
        if (progress == last_) return;
        last_ = progress;
        deadline_ = std::make_unique<Deadline>(context_.timeout);
    }
    bool over() const { return deadline_->over(); }

private:
    const Context& context_;
    std::unique_ptr<Deadline> deadline_;
    uint64_t last_ = 0;
};

Error interrupted_change() { return error(Errc::failed, "interrupted; what has begun goes on by itself"); }

void show_progress(const Context& context, const ClusterView& view, const Wanted& wanted,
                   std::string& shown) {
    if (!shows_progress(context) || view.leader == nullptr) return;
    for (const auto& follower : view.leader->status->followers())
        for (const pb::MemberInfo& member : wanted) {
            if (member.id() != follower.id() || !member.promote()) continue;
            std::string line = member.name() + ": entry " + std::to_string(follower.match_index()) + " of " +
                               std::to_string(view.leader->status->last_index());
            if (line != shown) note(context, line);
            shown = line;
        }
}

}  // namespace

Result<pb::Answer> ask_leader(const Context& context, const Found& found, const pb::Request& request) {
    Deadline deadline(context.timeout);
    Error last = error(Errc::unavailable, "no leader", "raftctl status");
    for (;;) {
        ClusterView view = observe(found, kChangeAskTimeout);
        if (view.leader != nullptr) {
            MemberAnswer told =
                ask_each({view.leader->client}, request, kChangeAskTimeout, id_of(found)).front();
            if (!told.answer)
                last = error(Errc::unavailable, view.leader->name + ": " + told.failure, "raftctl status");
            else if (!told.answer->has_error() || !passes_by_itself(told.answer->error()))
                return *told.answer;
            else
                last = error(Errc::unavailable, told.answer->error().what(), told.answer->error().hint());
        } else if (view.state == State::unknown) {
            last = error(Errc::unreachable, "no member of the cluster answered", "raftctl start");
        } else {
            last = error(Errc::unavailable, closing_sentence(view), "raftctl status");
        }
        if (deadline.over()) return last;
        if (!pause_for(kChangeInterval)) return interrupted_change();
    }
}

namespace {

ClusterAccess access_to(const Context& context, const Found& found) {
    return {[&](const pb::Request& request) { return ask_leader(context, found, request); },
            [&] { return observe(found, kChangeAskTimeout); }};
}

Result<pb::MemberList> list_once(const ClusterAccess& cluster) {
    pb::Request request;
    request.mutable_list_members();
    TRY(answer, cluster.ask(request));
    if (!answer.has_member_list())
        return error(Errc::failed, "the leader doesn't know the request: " + answer.error().what(),
                     "compare the versions: raftctl version, raftctl status -o json");
    return answer.member_list();
}

Result<pb::MemberList> settled_once(const Context& context, const ClusterAccess& cluster) {
    Patience patience(context);
    for (;;) {
        TRY(list, list_once(cluster));
        if (list.settled()) return list;
        patience.saw(progress_of(cluster.look()));
        if (patience.over())
            return error(
                Errc::unavailable, "a change of the members is under way and doesn't come to its end",
                "raftctl status shows who is missing; a joint configuration needs a majority of both halves");
        if (!pause_for(kChangeInterval)) return interrupted_change();
    }
}

pb::Request change_request(const pb::MemberList& from, const Wanted& target) {
    pb::Request request;
    pb::ChangeMembers& change = *request.mutable_change_members();
    for (const pb::MemberInfo& member : target) *change.add_target() = member;
    change.set_expected_config_index(from.config_index());
    return request;
}

}  // namespace

Result<pb::MemberList> settled_members(const Context& context, const Found& found) {
    return settled_once(context, access_to(context, found));
}

Result<pb::MemberList> change_members(const Context& context, const Found& found,
                                      const std::function<Result<Wanted>(const pb::MemberList&)>& wanted) {
    return change_members(context, access_to(context, found), wanted);
}

Result<pb::MemberList> change_members(const Context& context, const ClusterAccess& cluster,
                                      const std::function<Result<Wanted>(const pb::MemberList&)>& wanted) {
    Patience patience(context);
    std::string shown;
    std::optional<std::pair<uint64_t, Error>> conflict;  // with the configuration that it was about
    for (;;) {
        TRY(list, settled_once(context, cluster));
        if (conflict && conflict->first == list.config_index()) return conflict->second;
        conflict.reset();
        TRY(target, wanted(list));
        if (client::reached(list, target)) return list;
        bool begun = client::equal(list, target);  // who is to be promoted isn't yet
        if (!begun) {
            TRY(answer, cluster.ask(change_request(list, target)));
            if (answer.has_error()) {
                Error why = error(static_cast<Errc>(answer.error().code()), answer.error().what(),
                                  answer.error().hint());
                if (why.code != Errc::conflict) return why;
                // Perhaps it was carried out and its answer lost: the list tells, once it is settled.
                conflict = {list.config_index(), std::move(why)};
            }
        }
        ClusterView view = cluster.look();
        patience.saw(progress_of(view));
        show_progress(context, view, target, shown);
        if (patience.over())
            return error(Errc::unavailable, "the change has begun and isn't done yet",
                         "raftctl wait members-stable waits for it; raftctl status shows who is behind");
        if (!pause_for(kChangeInterval)) return interrupted_change();
    }
}

Result<void> wait_caught_up(const Context& context, const Found& found, uint64_t id,
                            const std::string& name) {
    Patience patience(context);
    for (;;) {
        ClusterView view = observe(found, kChangeAskTimeout);
        if (view.leader != nullptr) {
            if (view.leader->id == id) return {};
            for (const auto& follower : view.leader->status->followers())
                if (follower.id() == id && follower.connected() && follower.caught_up()) return {};
        }
        patience.saw(progress_of(view));
        if (patience.over())
            return error(Errc::unavailable, name + " doesn't catch up",
                         "raftctl status; raftctl logs " + name);
        if (!pause_for(kChangeInterval)) return interrupted_change();
    }
}

Result<void> update_cluster_file(const Found& found, const pb::MemberList& list,
                                 const std::vector<std::pair<uint64_t, std::string>>& data) {
    if (!found.spec) return {};
    TRY(text, conf::read_text(found.file));
    std::vector<conf::Problem> problems;
    conf::ClusterSpec before = conf::parse_cluster_spec(text, found.file, problems);
    if (!problems.empty()) return conf::error_of(problems);
    conf::ClusterSpec spec = before;
    spec.config_index = std::max<uint64_t>(list.config_index(), before.config_index);
    spec.members.clear();
    for (const pb::MemberInfo& info : list.members()) {
        // While a member is being replaced its name stands twice: the file has the new one.
        bool replaced =
            std::any_of(list.members().begin(), list.members().end(), [&](const pb::MemberInfo& other) {
                return other.name() == info.name() && other.id() > info.id();
            });
        if (replaced) continue;
        conf::MemberSpec member;
        for (const conf::MemberSpec& old : before.members)
            if (raw(old.id) == info.id()) member = old;
        member.id = NodeId{info.id()};
        member.name = info.name();
        member.peer = info.peer();
        member.client = info.client();
        member.learner = !info.voter();
        member.priority = static_cast<uint8_t>(info.priority());
        for (const auto& [id, folder] : data)
            if (id == info.id()) member.data = folder;
        spec.members.push_back(std::move(member));
    }
    TRY(edited, conf::edit_cluster_toml(text, spec));
    if (edited == text) return {};
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    auto done = io::write_file_atomically(files, found.folder, fs::path(found.file).filename().string(),
                                          as_bytes(edited));
    if (done.error != 0)
        return error(Errc::io, "can't write " + found.file + ": " + std::strerror(done.error));
    return {};
}

const pb::MemberInfo* find_name(const pb::MemberList& list, const std::string& name) {
    for (const pb::MemberInfo& member : list.members())
        if (member.name() == name) return &member;
    return nullptr;
}

}  // namespace raftd::cli
