#include "cli/snapshot.h"

#include <algorithm>
#include <map>

#include "cli/ask.h"
#include "cli/deadline.h"
#include "cli/debug.h"
#include "cli/discover.h"
#include "cli/membership.h"
#include "cli/view.h"

namespace raftd::cli {
namespace {

constexpr Duration kSnapshotInterval = milliseconds(100);
constexpr size_t kShownHashDigits = 32;

struct Asked {
    std::string name, client;
    std::string failure;  // why it doesn't say
    std::optional<pb::Snapshots> has;
    const pb::Archive* archive = nullptr;  // the one that ends at the index
};

pb::Request list_request() {
    pb::Request request;
    request.mutable_snapshots();
    return request;
}

std::string failure_of(const MemberAnswer& answer) {
    if (!answer.answer) return answer.failure;
    return answer.answer->has_error() ? answer.answer->error().what() : "doesn't know of snapshots";
}

/// The members that are to have it: those named, or all.
Result<std::vector<Asked>> members_of(const Context& context, const Found& found,
                                      const std::vector<std::string>& names) {
    TRY(list, settled_members(context, found));
    std::vector<Asked> members;
    for (const pb::MemberInfo& member : list.members())
        if (names.empty() || std::find(names.begin(), names.end(), member.name()) != names.end())
            members.push_back({member.name(), member.client(), {}, {}, nullptr});
    for (const std::string& name : names)
        if (std::none_of(members.begin(), members.end(), [&](const Asked& m) { return m.name == name; }))
            return error(Errc::not_found, "no member is called `" + name + "`", "raftctl member list");
    return members;
}

/// True when every member that answers has a snapshot at `index` or later.
bool look(std::vector<Asked>& members, uint64_t index, Duration timeout) {
    std::vector<std::string> endpoints;
    for (const Asked& member : members) endpoints.push_back(member.client);
    const std::vector<MemberAnswer> answers = ask_each(endpoints, list_request(), timeout);
    bool all = true;
    for (size_t i = 0; i < members.size(); ++i) {
        Asked& member = members[i];
        member.has.reset();
        member.archive = nullptr;
        member.failure.clear();
        if (!answers[i].answer || !answers[i].answer->has_snapshots()) {
            member.failure = failure_of(answers[i]);
            continue;
        }
        member.has = answers[i].answer->snapshots();
        for (const pb::Archive& archive : member.has->archives())
            if (archive.last() == index) member.archive = &archive;
        all &= member.has->index() >= index;
    }
    return all;
}

uint64_t progress_of(const std::vector<Asked>& members) {
    uint64_t sum = 0;
    for (const Asked& member : members)
        if (member.has) sum += member.has->index();
    return sum;
}

Json json_of(const Asked& member) {
    Json one = Json::object();
    one.add("name", member.name);
    if (!member.has)
        return one.null("index").null("lsn").null("bytes").null("hash").add("error", member.failure);
    one.add("index", member.has->index()).add("lsn", member.has->lsn());
    if (member.archive == nullptr) return one.null("bytes").null("hash");
    return one.add("bytes", member.archive->bytes()).add("hash", member.archive->hash());
}

void print_taken(const Context& context, const std::vector<Asked>& members, bool identical) {
    if (context.output != Output::text) {
        Json list = Json::array();
        for (const Asked& member : members) list.add(json_of(member));
        write_out(Json::object().add("schema", 1).add("identical", identical).add("members", list).text() +
                  "\n");
        return;
    }
    for (const Asked& member : members) {
        if (!member.has) continue;
        std::string line = member.name + "  index " + std::to_string(member.has->index()) + "  LSN " +
                           std::to_string(member.has->lsn());
        if (member.archive != nullptr)
            line += "  " + text_of_bytes(member.archive->bytes()) + "  " +
                    member.archive->hash().substr(0, kShownHashDigits);
        write_out(line + "\n");
    }
}

Exit finish_take(const Context& context, const std::vector<Asked>& members) {
    std::vector<pb::Snapshots> all;
    for (const Asked& member : members)
        if (member.has) all.push_back(*member.has);
    const std::vector<std::string> differ = archive_differences(all);
    const auto missing = static_cast<size_t>(
        std::count_if(members.begin(), members.end(), [](const Asked& member) { return !member.has; }));
    print_taken(context, members, differ.empty() && missing == 0);
    if (!differ.empty()) {
        const Error found = error(Errc::damaged, "members have different archives: " + differ.front(),
                                  "raftctl snapshot verify on each machine says whose files are damaged");
        return finish_output(context, context.output == Output::text ? fail(context, found) : Exit::damaged);
    }
    if (missing == 0) {
        if (context.output == Output::text) write_out("identical on all members\n");
        return finish_output(context, Exit::done);
    }
    for (const Asked& member : members)
        if (!member.has) note(context, "warning: " + member.name + ": " + member.failure);
    note(context, "identical on the " + std::to_string(members.size() - missing) + " members that answer");
    return finish_output(context, Exit::degraded);
}

std::string table_of(const pb::Snapshots& snapshots) {
    std::string text;
    if (snapshots.archives().empty()) return text;
    text = "FIRST     LAST      LSN                  BYTES      FILE       HASH\n";
    auto column = [](std::string value, size_t width) {
        value.resize(std::max(width, value.size() + 1), ' ');
        return value;
    };
    for (const pb::Archive& archive : snapshots.archives()) {
        const bool none = archive.lsn_next() == archive.lsn_first();
        text +=
            column(std::to_string(archive.first()), 10) + column(std::to_string(archive.last()), 10) +
            column(none ? "-"
                        : std::to_string(archive.lsn_first()) + "-" + std::to_string(archive.lsn_next() - 1),
                   21) +
            column(text_of_bytes(archive.bytes()), 11) + column(text_of_bytes(archive.file_bytes()), 11) +
            archive.hash().substr(0, kShownHashDigits) + "\n";
    }
    return text;
}

std::string json_text_of(const pb::Snapshots& snapshots) {
    Json json = Json::object(), list = Json::array();
    json.add("schema", 1).add("name", snapshots.name());
    if (snapshots.index() == 0)
        json.null("index").null("lsn");
    else
        json.add("index", snapshots.index()).add("lsn", snapshots.lsn());
    json.add("first_lsn", snapshots.first_lsn()).add("state_bytes", snapshots.state_bytes());
    if (snapshots.trouble().empty())
        json.null("trouble");
    else
        json.add("trouble", snapshots.trouble());
    for (const pb::Archive& archive : snapshots.archives())
        list.add(Json::object()
                     .add("first", archive.first())
                     .add("last", archive.last())
                     .add("lsn_first", archive.lsn_first())
                     .add("records", archive.lsn_next() - archive.lsn_first())
                     .add("bytes", archive.bytes())
                     .add("file_bytes", archive.file_bytes())
                     .add("hash", archive.hash()));
    return json.add("archives", list).text() + "\n";
}

}  // namespace

std::vector<std::string> archive_differences(const std::vector<pb::Snapshots>& members) {
    using Seen = std::pair<const pb::Snapshots*, const pb::Archive*>;
    std::map<uint64_t, Seen> seen;
    std::vector<std::string> found;
    auto text = [](const pb::Snapshots& member, const pb::Archive& archive) {
        return member.name() + " has " + std::to_string(archive.first()) + "-" +
               std::to_string(archive.last()) + " " + archive.hash().substr(0, kShownHashDigits);
    };
    for (const pb::Snapshots& member : members) {
        for (const pb::Archive& archive : member.archives()) {
            auto [at, first] = seen.try_emplace(archive.first(), Seen{&member, &archive});
            const auto& [other, theirs] = at->second;
            if (theirs->last() != archive.last() || theirs->hash() != archive.hash())
                found.push_back(text(*other, *theirs) + ", " + text(member, archive));
        }
    }
    return found;
}

Result<uint64_t> begin_snapshot(const Context& context, const Found& found) {
    pb::Request request;
    request.mutable_take_snapshot();
    TRY(answer, ask_leader(context, found, request));
    if (answer.has_snapshot_begun()) return answer.snapshot_begun().index();
    const pb::Error& refusal = answer.error();
    return error(static_cast<Errc>(refusal.code()), refusal.what(), refusal.hint());
}

Exit snapshot_take(const Context& context, const SnapshotOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    auto members = members_of(context, *found, options.nodes);
    if (!members) return fail(context, members.error());
    auto index = begin_snapshot(context, *found);
    if (!index) return fail(context, index.error());
    if (*index == 0) {
        note(context, "nothing was appended yet: there is nothing to take");
        for (Asked& member : *members) member.has.emplace();
        print_taken(context, *members, true);
        return finish_output(context, Exit::done);
    }
    uint64_t progress = 0;
    auto patience = std::make_unique<Deadline>(context.timeout);
    while (!look(*members, *index, context.timeout)) {
        if (const uint64_t now = progress_of(*members); now != progress)
            progress = now, patience = std::make_unique<Deadline>(context.timeout);
        if (interrupted() || !pause_for(kSnapshotInterval)) return Exit::interrupted;
        if (!patience->over()) continue;
        std::string who;
        for (const Asked& member : *members)
            if (member.has && member.has->index() < *index)
                who += (who.empty() ? "" : ", ") + member.name +
                       (member.has->trouble().empty() ? "" : " (" + member.has->trouble() + ")");
        return fail(context, error(Errc::unavailable,
                                   "no snapshot at entry " + std::to_string(*index) + " on " + who +
                                       " after " + text_of_duration(context.timeout),
                                   "raftctl snapshot list --node NAME says how far a member is"));
    }
    return finish_take(context, *members);
}

Exit snapshot_list(const Context& context, const SnapshotOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    std::vector<std::string> endpoints = found->endpoints;
    if (!options.node.empty()) {
        auto address = address_of(context, *found, options.node);
        if (!address) return fail(context, address.error());
        endpoints = {*address};
    }
    std::vector<Tried> tried;
    for (MemberAnswer& answer : ask_each(endpoints, list_request(), context.timeout)) {
        if (!answer.answer || !answer.answer->has_snapshots()) {
            tried.push_back({answer.endpoint, failure_of(answer)});
            continue;
        }
        const pb::Snapshots& snapshots = answer.answer->snapshots();
        write_out(context.output == Output::text ? table_of(snapshots) : json_text_of(snapshots));
        if (snapshots.archives().empty()) note(context, snapshots.name() + " has no snapshot yet");
        return finish_output(context, Exit::done);
    }
    return fail(context, error(Errc::unreachable, "no member says what it has", "raftctl status"), {}, tried);
}

}  // namespace raftd::cli
