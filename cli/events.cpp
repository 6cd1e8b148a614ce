#include "cli/events.h"

#include <algorithm>
#include <ctime>
#include <map>

#include "cli/deadline.h"
#include "cli/membership.h"
#include "cli/view.h"

namespace raftd::cli {
namespace {

constexpr Duration kEventsAskTimeout = seconds(1), kEventsInterval = milliseconds(200);

struct EventEntry {
    int64_t time_ms;
    std::string member, line;
};

/// How far each process was read; a restart begins anew.
struct EventPlace {
    uint64_t boot = 0, number = 0;
};

std::string text_of_time(int64_t time_ms) {
    std::time_t time = time_ms / 1000;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[40];
    size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    std::string millis = std::to_string(1000 + time_ms % 1000);
    return std::string(text, length) + "." + millis.substr(1) + "Z";
}

std::string json_of(const EventEntry& entry) {
    Json fields = Json::object();
    auto pairs = event_fields(entry.line);
    for (size_t i = 1; i < pairs.size(); ++i) fields.add(pairs[i].first, std::string_view(pairs[i].second));
    return Json::object()
        .add("schema", 1)
        .add("time_ms", static_cast<uint64_t>(entry.time_ms))
        .add("member", entry.member)
        .add("event", pairs.empty() ? "" : std::string_view(pairs.front().second))
        .add("fields", fields)
        .text();
}

class EventReader {
public:
    EventReader(const Found& found, const EventsOptions& options) : found_(found), options_(options) {}

    /// What is new since the last call, in order of time. Errors: unreachable (nobody answered).
    Result<std::vector<EventEntry>> read() {
        std::vector<std::string> endpoints = addresses();
        std::vector<EventEntry> entries;
        bool answered = false;
        for (const std::string& endpoint : endpoints) answered |= read_one(endpoint, entries);
        if (!answered) return error(Errc::unreachable, "no member of the cluster answered", "raftctl start");
        std::stable_sort(entries.begin(), entries.end(),
                         [](const EventEntry& a, const EventEntry& b) { return a.time_ms < b.time_ms; });
        return entries;
    }
    Result<void> check_names() const {
        for (const std::string& name : options_.nodes)
            if (!known_.contains(name))
                return error(Errc::bad_input, "the cluster has no member `" + name + "`",
                             "raftctl member list shows the members");
        return {};
    }

private:
    std::vector<std::string> addresses() {
        std::vector<std::string> endpoints;
        for (const MemberView& member : observe(found_, kEventsAskTimeout).members) {
            known_[member.name] = member.client;
            bool wanted = options_.nodes.empty() ||
                          std::count(options_.nodes.begin(), options_.nodes.end(), member.name) != 0;
            if (wanted && member.status) endpoints.push_back(member.client);
        }
        return endpoints;
    }

    bool read_one(const std::string& endpoint, std::vector<EventEntry>& into) {
        EventPlace& place = places_[endpoint];
        for (bool more = true; more;) {
            pb::Request request;
            request.mutable_events()->set_after(place.number);
            request.mutable_events()->set_boot(place.boot);
            std::optional<ClusterId> id;
            if (found_.spec) id = found_.spec->id;
            MemberAnswer told = ask_each({endpoint}, request, kEventsAskTimeout, id).front();
            if (!told.answer || !told.answer->has_events()) return false;
            const pb::Events& events = told.answer->events();
            place.boot = events.boot();
            for (const pb::MemberEvent& event : events.events()) {
                into.push_back({event.time_ms(), events.name(), event.line()});
                place.number = event.number();
            }
            more = events.more();
        }
        return true;
    }

    const Found& found_;
    const EventsOptions& options_;
    std::map<std::string, EventPlace> places_;
    std::map<std::string, std::string> known_;  // name to address
};

bool show(const Context& context, const std::vector<EventEntry>& entries, size_t first) {
    std::string text;
    for (size_t i = first; i < entries.size(); ++i) {
        const EventEntry& entry = entries[i];
        text += context.output == Output::text
                    ? text_of_time(entry.time_ms) + "  " + entry.member + "  " + printable(entry.line)
                    : json_of(entry);
        text += "\n";
    }
    return text.empty() || write_out(text);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> event_fields(const std::string& line) {
    size_t at = std::min(line.find(' '), line.size());
    std::vector<std::pair<std::string, std::string>> fields{{"event", line.substr(0, at)}};
    while (at < line.size()) {
        size_t begin = at + 1, equals = line.find('=', begin);
        if (equals == std::string::npos) break;
        std::string key = line.substr(begin, equals - begin), value;
        at = equals + 1;
        bool quoted = at < line.size() && line[at] == '"';
        at += quoted;
        while (at < line.size() && line[at] != (quoted ? '"' : ' ')) {
            if (quoted && line[at] == '\\' && at + 1 < line.size() && line[at + 1] != 'x') ++at;
            value += line[at++];
        }
        at += quoted;
        fields.emplace_back(std::move(key), std::move(value));
    }
    return fields;
}

Exit events(const Context& context, const EventsOptions& options) {
    if (context.output == Output::json && options.follow)
        return fail(context, error(Errc::bad_input, "--follow has no end, and -o json is one document",
                                   "raftctl events -f -o jsonl"));
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    EventReader reader(*found, options);
    auto first = reader.read();
    if (auto names = reader.check_names(); first && !names) return fail(context, names.error());
    if (!first) return fail(context, first.error());
    size_t skip = first->size() - std::min<size_t>(first->size(), options.lines);
    if (context.output == Output::json) {
        std::string list;
        for (size_t i = skip; i < first->size(); ++i)
            list += (list.empty() ? "" : ",") + json_of((*first)[i]);
        write_out("{\"schema\":1,\"events\":[" + list + "]}\n");
        return finish_output(context, Exit::done);
    }
    bool wanted = show(context, *first, skip);
    while (options.follow && wanted) {
        if (!pause_for(kEventsInterval)) return Exit::interrupted;
        if (auto more = reader.read()) wanted = show(context, *more, 0);
    }
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
