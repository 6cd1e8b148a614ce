#include "cli/why.h"

#include <algorithm>

#include "cli/local.h"

namespace raftd::cli {
namespace {

constexpr Duration kWhyAskTimeout = seconds(2);
constexpr size_t kLinesLookedAt = 50;

/// Why a member ended, when its log's last line but few says so: `... fatal why="..." exit=20`.
std::string last_words(const LocalMember& member) {
    std::vector<std::string> lines = last_lines(member.log_file(), kLinesLookedAt);
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        for (const char* event : {" fatal ", " start_failed ", " check_failed "}) {
            size_t at = line->find(event);
            if (at != std::string::npos) return printable(line->substr(at + 1));
        }
        bool alive =
            line->find(" stopped ") != std::string::npos || line->find(" recovered ") != std::string::npos;
        if (alive) return "";  // what stands before is of an earlier life, or it stopped as asked
    }
    return "";
}

std::map<std::string, LastWords> words_of(const Found& found) {
    std::map<std::string, LastWords> words;
    if (!found.spec) return words;
    auto local = local_members(found, {});
    for (const LocalMember& member : local ? *local : std::vector<LocalMember>{}) {
        LastWords& one = words[member.spec.name];
        one.here = true;
        one.runs = running_process(member) != 0;
        if (!one.runs) one.said = last_words(member);
    }
    return words;
}

Exit exit_of(const ClusterView& view, const std::vector<Finding>& findings) {
    if (view.state == State::unknown) return Exit::unreachable;
    bool blocked =
        std::any_of(findings.begin(), findings.end(), [](const Finding& one) { return one.blocks; });
    if (blocked) return Exit::unavailable;
    return view.state == State::healthy ? Exit::done : Exit::degraded;
}

void print_json(const ClusterView& view, const std::vector<Finding>& findings) {
    Json list = Json::array();
    for (const Finding& one : findings) {
        Json json = Json::object();
        json.add("cause", one.cause);
        if (one.member.empty())
            json.null("member");
        else
            json.add("member", one.member);
        list.add(json.add("blocks", one.blocks).add("what", one.what).add("hint", one.hint));
    }
    write_out(Json::object().add("schema", 1).add("state", text_of(view.state)).add("findings", list).text() +
              "\n");
}

}  // namespace

Exit why(const Context& context, const WhyOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    ClusterView view = observe(*found, std::min(context.timeout, kWhyAskTimeout));
    if (interrupted()) return Exit::interrupted;
    std::vector<Finding> findings = diagnose(view, words_of(*found), options.lsn);
    if (context.output != Output::text) {
        print_json(view, findings);
    } else {
        for (const Finding& one : findings) write_out(one.cause + ": " + one.what + "\n");
        write_out(closing_sentence(view) + "\n");
        for (const Finding& one : findings)
            if (!one.hint.empty()) note(context, "hint: " + one.hint);
    }
    return finish_output(context, exit_of(view, findings));
}

}  // namespace raftd::cli
