#include "cli/status.h"

#include <unistd.h>

#include <algorithm>

#include "base/uuid.h"
#include "cli/deadline.h"
#include "cli/local.h"
#include "cli/membership.h"
#include "cli/view.h"

namespace raftd::cli {
namespace {

constexpr Duration kStatusAskTimeout = seconds(2), kWatchInterval = seconds(1),
                   kStatusInterval = milliseconds(50);

/// Rows of cells; columns named in `right` are aligned to the right.
std::string table_text(const std::vector<std::vector<std::string>>& rows, std::string_view right) {
    std::vector<size_t> widths;
    for (const auto& row : rows)
        for (size_t i = 0; i < row.size(); ++i) {
            if (i == widths.size()) widths.push_back(0);
            if (i + 1 < row.size()) widths[i] = std::max(widths[i], row[i].size());
        }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            size_t pad = widths[i] - std::min(widths[i], row[i].size());
            bool to_right = i < right.size() && right[i] == 'r';
            if (i != 0) line += "  ";
            line += to_right ? std::string(pad, ' ') + row[i] : row[i] + std::string(pad, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

std::string text_table(const ClusterView& view) {
    std::vector<std::vector<std::string>> rows = {
        {"MEMBER", "ROLE", "STATE", "TERM", "COMMIT", "LAG", "WAL", "ADDRESS"}};
    for (const MemberView& member : view.members) {
        std::string where = member.client + (member.failure.empty() ? "" : "  " + printable(member.failure));
        if (!member.status) {
            rows.push_back({member.name, "-", "down", "-", "-", "-", "-", where});
            continue;
        }
        const pb::Status& status = *member.status;
        std::string lag = member.lag_records ? std::to_string(*member.lag_records) : "-";
        if (status.frozen_left_ms() != 0)
            where += "  frozen for " + text_of_duration(milliseconds(static_cast<int64_t>(
                                           (status.frozen_left_ms() + 999) / 1000 * 1000)));
        if (status.has_install())
            where += "  snapshot " + std::to_string(percent_of(status.install())) + " % of " +
                     text_of_bytes(status.install().bytes_total());
        for (const std::string& alarm : status.alarms())
            if (alarm.starts_with("damaged ")) where += "  " + printable(alarm);
        rows.push_back({member.name, status.role(), "up", std::to_string(status.term()),
                        std::to_string(status.commit_lsn()), lag, text_of_bytes(status.wal_bytes()), where});
    }
    return table_text(rows, "lllrrrll");
}

void add_optional(Json& json, const char* key, std::optional<uint64_t> value) {
    if (value)
        json.add(key, *value);
    else
        json.null(key);
}

/// How far the member's own reading back of its files is, and what came of it, since its start.
Json scrub_of(const pb::Status& status) {
    auto count = [&](const char* name) {
        auto found = status.counters().find(name);
        return found == status.counters().end() ? uint64_t{0} : uint64_t{found->second};
    };
    return Json::object()
        .add("passes", count("scrub_passes"))
        .add("percent", count("scrub_percent"))
        .add("bytes", count("scrub_bytes"))
        .add("damages", count("scrub_damages"))
        .add("repaired_entries", count("repaired_entries"))
        .add("repaired_files", count("repaired_files"));
}

Json json_of(const MemberView& member) {
    Json json = Json::object();
    const pb::Status* status = member.status ? &*member.status : nullptr;
    auto number = [&](uint64_t (pb::Status::*field)() const) {
        return status == nullptr ? std::nullopt : std::optional<uint64_t>((status->*field)());
    };
    json.add("id", member.id).add("name", member.name);
    if (status == nullptr)
        json.null("role");
    else
        json.add("role", status->role());
    json.add("state", status == nullptr ? "down" : "up").add("reachable", status != nullptr);
    add_optional(json, "term", number(&pb::Status::term));
    add_optional(json, "commit_index", number(&pb::Status::commit_index));
    add_optional(json, "commit_lsn", number(&pb::Status::commit_lsn));
    add_optional(json, "match_index", member.match_index);
    add_optional(json, "lag_records", member.lag_records);
    add_optional(json, "wal_bytes", number(&pb::Status::wal_bytes));
    add_optional(json, "applied_index", number(&pb::Status::applied_index));
    add_optional(json, "producers", number(&pb::Status::producers));
    add_optional(json, "archive_bytes", number(&pb::Status::archive_bytes));
    if (status != nullptr && status->snapshot_lsn() != 0)
        json.add("snapshot_lsn", status->snapshot_lsn());
    else
        json.null("snapshot_lsn");
    if (status == nullptr) {
        json.null("rtt_ms").null("sync_p99_ms").null("sync_max_ms").null("unsynced_ms");
        json.null("disk_free_bytes").null("uptime_s").null("version");
    } else {
        json.add("rtt_ms", member.rtt_ms).add("sync_p99_ms", status->sync_p99_ms());
        json.add("sync_max_ms", status->sync_max_ms()).add("unsynced_ms", status->unsynced_ms());
        json.add("disk_free_bytes", status->disk_free_bytes());
        json.add("uptime_s", status->uptime_ms() / 1000).add("version", status->version());
    }
    if (status != nullptr && status->frozen_left_ms() != 0)
        json.add("frozen_s", (status->frozen_left_ms() + 999) / 1000);
    else
        json.null("frozen_s");
    if (status != nullptr && status->has_install())
        json.add("install", Json::object()
                                .add("index", status->install().index())
                                .add("bytes", status->install().bytes())
                                .add("bytes_total", status->install().bytes_total())
                                .add("percent", percent_of(status->install())));
    else
        json.null("install");
    if (status != nullptr)
        json.add("scrub", scrub_of(*status));
    else
        json.null("scrub");
    Json alarms = Json::array();
    if (status != nullptr)
        for (const std::string& alarm : status->alarms()) alarms.add(alarm);
    json.add("alarms", alarms);
    if (member.failure.empty())
        json.null("error");
    else
        json.add("error", member.failure);
    return json;
}

std::string json_text_of(const ClusterView& view) {
    const pb::Status* leader = view.leader == nullptr ? nullptr : &*view.leader->status;
    auto number = [&](uint64_t (pb::Status::*field)() const) {
        return leader == nullptr ? std::nullopt : std::optional<uint64_t>((leader->*field)());
    };
    Json json = Json::object();
    json.add("schema", 1).add("cluster", view.name);
    if (view.id)
        json.add("cluster_id", to_hex(*view.id));
    else
        json.null("cluster_id");
    json.add("state", text_of(view.state));
    if (leader == nullptr)
        json.null("leader");
    else
        json.add("leader", view.leader->name);
    add_optional(json, "term", number(&pb::Status::term));
    add_optional(json, "first_lsn", number(&pb::Status::first_lsn));
    add_optional(json, "commit_lsn", number(&pb::Status::commit_lsn));
    add_optional(json, "last_lsn", number(&pb::Status::last_lsn));
    add_optional(json, "commit_index", number(&pb::Status::commit_index));
    Json config = Json::object(), voters = Json::array(), learners = Json::array(), members = Json::array();
    for (const MemberView& member : view.members) {
        (member.voter ? voters : learners).add(member.name);
        members.add(json_of(member));
    }
    config.add("phase", leader != nullptr && leader->config_joint() ? "joint" : "simple");
    add_optional(config, "index", number(&pb::Status::config_index));
    Json next = Json::array();
    for (const MemberView& member : view.members)
        if (leader != nullptr &&
            std::count(leader->next_voters().begin(), leader->next_voters().end(), member.id) != 0)
            next.add(member.name);
    config.add("voters", voters).add("next_voters", next).add("learners", learners);
    const pb::Status* any = leader;
    for (const MemberView& member : view.members)
        if (any == nullptr && member.status) any = &*member.status;
    auto rule = [&](uint32_t (pb::Status::*field)() const) {
        return any == nullptr || (any->*field)() == 0 ? std::nullopt
                                                      : std::optional<uint64_t>((any->*field)());
    };
    add_optional(config, "min_members", rule(&pb::Status::min_members));
    add_optional(config, "max_members", rule(&pb::Status::max_members));
    return json.add("config", config).add("members", members).text() + "\n";
}

/// The command that changes things: starts what is down on this machine.
std::string hint_for(const ClusterView& view, const Found& found) {
    if (!found.spec || view.state == State::healthy) return "";
    auto local = local_members(found, {});
    if (!local) return "";
    std::string names;
    size_t down = 0;
    for (const LocalMember& member : *local)
        if (running_process(member) == 0) names += " " + member.spec.name, ++down;
    if (down == 0) return view.leader == nullptr ? "raftctl logs shows what the members say" : "";
    return down == found.spec->members.size() ? "raftctl start" : "raftctl start" + names;
}

Exit exit_for(const ClusterView& view, bool check) {
    switch (view.state) {
        case State::healthy: return Exit::done;
        case State::degraded: return check ? Exit::degraded : Exit::done;
        case State::unavailable: return Exit::unavailable;
        case State::unknown: return Exit::unreachable;
    }
    return Exit::failed;
}

Exit show(const Context& context, const Found& found, const StatusOptions& options) {
    ClusterView view = observe(found, std::min(context.timeout, kStatusAskTimeout));
    if (interrupted()) return Exit::interrupted;
    if (view.members.empty())
        return fail(
            context,
            error(Errc::unreachable,
                  "no endpoint answered: " + view.tried.front().endpoint + ": " + view.tried.front().result,
                  "raftctl --cluster PATH status asks all members of a cluster.toml"),
            {}, view.tried);
    if (context.output != Output::text) {
        write_out(json_text_of(view));
        return exit_for(view, options.check);
    }
    bool redraw = options.watch && ::isatty(STDOUT_FILENO) == 1;
    write_out((redraw ? "\x1b[H\x1b[2J" : "") + text_table(view) + closing_sentence(view) + "\n");
    if (std::string hint = hint_for(view, found); !hint.empty() && !options.watch)
        note(context, "hint: " + hint);
    return exit_for(view, options.check);
}

bool fulfilled(const ClusterView& view, const WaitOptions& options) {
    switch (options.what) {
        case WaitFor::leader: return view.leader != nullptr;
        case WaitFor::healthy: return view.state == State::healthy;
        case WaitFor::caught_up:
        case WaitFor::members_stable: break;  // wait_for_members()
        case WaitFor::lsn: return view.leader != nullptr && view.leader->status->commit_lsn() >= options.lsn;
    }
    return false;
}

/// What only the leader's list and its progress tell; at most the time-out without progress.
Result<void> wait_for_members(const Context& context, const Found& found, const WaitOptions& options) {
    TRY(list, settled_members(context, found));
    if (options.what == WaitFor::members_stable) return {};
    const pb::MemberInfo* member = find_name(list, options.member);
    if (member == nullptr) return no_such_member(list, options.member);
    return wait_caught_up(context, found, member->id(), options.member);
}

}  // namespace

Exit status(const Context& context, const StatusOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    Exit exit = show(context, *found, options);
    while (options.watch && exit != Exit::interrupted && write_out("")) {
        if (!pause_for(kWatchInterval)) return Exit::interrupted;
        exit = show(context, *found, options);
    }
    return finish_output(context, exit);
}

Exit wait(const Context& context, const WaitOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    if (options.what == WaitFor::caught_up || options.what == WaitFor::members_stable) {
        auto done = wait_for_members(context, *found, options);
        return done ? finish_output(context, Exit::done) : fail_change(context, done.error());
    }
    Deadline deadline(context.timeout);
    while (true) {
        ClusterView view = observe(*found, std::min(context.timeout, kStatusAskTimeout));
        if (interrupted()) return Exit::interrupted;
        if (fulfilled(view, options)) {
            if (context.output == Output::text)
                note(context, closing_sentence(view));
            else
                write_out(json_text_of(view));
            return finish_output(context, Exit::done);
        }
        if (deadline.over()) {
            Errc code = view.state == State::unknown                                 ? Errc::unreachable
                        : view.leader != nullptr && options.what == WaitFor::healthy ? Errc::degraded
                                                                                     : Errc::unavailable;
            return fail(context,
                        error(code,
                              "still waiting after " + text_of_duration(context.timeout) + ": " +
                                  closing_sentence(view),
                              hint_for(view, *found)),
                        {}, view.tried);
        }
        if (!pause_for(kStatusInterval)) return Exit::interrupted;
    }
}

}  // namespace raftd::cli
