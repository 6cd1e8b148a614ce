// Where each key stands is asked of the parser; only whole lines, or the value within a line, are replaced.
#include "conf/edit.h"

#include <toml++/toml.h>
#include <algorithm>
#include <set>

#include "conf/load.h"

namespace raftd::conf {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
        size_t end = text.find('\n', at);
        end = end == std::string::npos ? text.size() : end + 1;
        lines.push_back(text.substr(at, end - at));
        at = end;
    }
    return lines;
}

bool begins_table(const std::string& line) {
    size_t first = line.find_first_not_of(" \t");
    return first != std::string::npos && line[first] == '[';
}
bool is_blank_or_comment(const std::string& line) {
    size_t first = line.find_first_not_of(" \t\r\n");
    return first == std::string::npos || line[first] == '#';
}

class Editor {
public:
    Editor(const std::string& text, const toml::table& root) : lines_(lines_of(text)), root_(root) {}

    void set_config_index(uint64_t index) {
        if (const toml::table* cluster = root_["cluster"].as_table())
            set(*cluster, "config_index", std::to_string(index));
    }

    void set_member(const toml::table& block, const MemberSpec& before, const MemberSpec& wanted) {
        if (before.peer != wanted.peer) set(block, "peer", quoted(wanted.peer));
        if (before.client != wanted.client) set(block, "client", quoted(wanted.client));
        if (before.learner != wanted.learner)
            set(block, "role", wanted.learner ? "\"learner\"" : "\"voter\"");
        if (before.priority != wanted.priority) set(block, "priority", std::to_string(wanted.priority));
        if (before.name != wanted.name) set(block, "name", quoted(wanted.name));
    }

    /// The block's lines go, and the blank lines before it; comments that stand before the next block stay.
    void remove_member(const toml::table& block) {
        size_t first = line_of(block.source()), end = first + 1;
        while (end < lines_.size() && !begins_table(lines_[end])) ++end;
        while (end > first + 1 && is_blank_or_comment(lines_[end - 1])) --end;
        while (first > 0 && lines_[first - 1].find_first_not_of(" \t\r\n") == std::string::npos) --first;
        for (size_t at = first; at < end; ++at) gone_.insert(at);
    }

    void add_member(const MemberSpec& member) {
        ClusterSpec alone;
        alone.members.push_back(member);
        std::string whole = render_cluster_toml(alone);
        added_ += "\n" + whole.substr(whole.find("[[member]]"));
    }

    std::string text() const {
        std::string result;
        for (size_t at = 0; at < lines_.size(); ++at)
            if (!gone_.contains(at)) result += lines_[at];
        if (!added_.empty() && !result.empty() && result.back() != '\n') result += '\n';
        return result + added_;
    }

private:
    static std::string quoted(const std::string& value) { return "\"" + value + "\""; }
    static size_t line_of(const toml::source_region& region) { return region.begin.line - 1; }

    void set(const toml::table& table, std::string_view key, const std::string& value) {
        const toml::node* node = table.get(key);
        if (node == nullptr) {
            lines_[line_of(table.source())] += std::string(key) + " = " + value + "\n";
            return;
        }
        const toml::source_region& at = node->source();
        lines_[line_of(at)].replace(at.begin.column - 1, at.end.column - at.begin.column, value);
    }

    std::vector<std::string> lines_;
    const toml::table& root_;
    std::set<size_t> gone_;
    std::string added_;
};

}  // namespace

Result<std::string> edit_cluster_toml(const std::string& text, const ClusterSpec& spec) {
    std::vector<Problem> problems;
    ClusterSpec before = parse_cluster_spec(text, "cluster.toml", problems);
    if (!problems.empty()) return error_of(problems);
    toml::table root = toml::parse(text);  // was parsed once without a problem: can't throw
    Editor editor(text, root);
    editor.set_config_index(spec.config_index);
    const toml::array& blocks = *root["member"].as_array();
    for (size_t i = 0; i < before.members.size(); ++i) {
        const toml::table& block = *blocks[i].as_table();
        auto is_it = [&](const MemberSpec& member) { return member.id == before.members[i].id; };
        auto wanted = std::find_if(spec.members.begin(), spec.members.end(), is_it);
        if (wanted == spec.members.end())
            editor.remove_member(block);
        else
            editor.set_member(block, before.members[i], *wanted);
    }
    for (const MemberSpec& member : spec.members) {
        auto is_it = [&](const MemberSpec& other) { return other.id == member.id; };
        if (std::none_of(before.members.begin(), before.members.end(), is_it)) editor.add_member(member);
    }
    std::string edited = editor.text();
    parse_cluster_spec(edited, "cluster.toml", problems);
    if (!problems.empty()) return error_of(problems);
    return edited;
}

}  // namespace raftd::conf
