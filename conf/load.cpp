#include "conf/load.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/uuid.h"
#include "conf/table.h"
#include "conf/units.h"

namespace raftd::conf {

Result<std::string> read_text(const std::string& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    if (file) content << file.rdbuf();
    if (std::error_code fault; !file || std::filesystem::is_directory(path, fault)) {
        int number = errno == 0 ? EISDIR : errno;
        return error(number == ENOENT ? Errc::not_found : Errc::io,
                     "can't read " + path + ": " + std::strerror(number));
    }
    return content.str();
}

Error error_of(const std::vector<Problem>& problems) {
    const Problem& first = problems.front();
    std::string what = first.where + ": " + first.what, hint = first.hint;
    if (size_t more = problems.size() - 1; more != 0) {
        what += " (and " + std::to_string(more) + " more)";
        if (hint.empty())
            hint = "raftctl config check " + first.where.substr(0, first.where.find(':')) + " shows all";
    }
    return error(Errc::bad_input, std::move(what), std::move(hint));
}

Result<NodeSettings> load_node_settings(const std::string& path) {
    TRY(text, read_text(path));
    std::vector<Problem> problems;
    NodeSettings settings = parse_node_settings(text, path, problems);
    if (!problems.empty()) return error_of(problems);
    return settings;
}

Result<ClusterSpec> load_cluster_spec(const std::string& path) {
    TRY(text, read_text(path));
    std::vector<Problem> problems;
    ClusterSpec spec = parse_cluster_spec(text, path, problems);
    if (!problems.empty()) return error_of(problems);
    return spec;
}

std::string resolve_beside(const std::string& file, const std::string& path) {
    std::error_code fault;
    std::filesystem::path folder = std::filesystem::absolute(file, fault).parent_path();
    std::string resolved = (folder / path).lexically_normal().string();
    while (resolved.size() > 1 && resolved.back() == '/') resolved.pop_back();
    return resolved;
}

std::string render_node_toml(const NodeSettings& settings) {
    std::string text =
        "# Settings of one member of a raftd cluster. Commented lines show the defaults.\n"
        "# `raftctl config check` names every error, `raftctl config show` every value.\n"
        "format = 1\n";
    std::string_view section;
    for (const Setting& setting : settings_table()) {
        if (setting.section != section) {
            section = setting.section;
            text += "\n[" + std::string(section) + "]\n";
        }
        std::string value = value_text(setting, settings);
        bool is_default = !setting.needed && value == default_text(setting);
        std::string line = (is_default ? "# " : "") + std::string(setting.key) + " = " + value;
        line.resize(std::max<size_t>(line.size() + 2, 38), ' ');
        std::string range = range_text(setting);
        text += line + "# " + std::string(setting.comment) + (range.empty() ? "" : " (" + range + ")") + "\n";
    }
    return text;
}

std::string render_cluster_toml(const ClusterSpec& spec) {
    std::string text =
        "# The wanted members of a raftd cluster; the same file on every machine. Changing it changes "
        "nothing by itself.\n"
        "format = 1\n\n[cluster]\n";
    text += "name = " + toml_text(spec.name) + "\n";
    text += "id = " + toml_text(to_hex(spec.id)) + "\n";
    text += "config_index = " + std::to_string(spec.config_index) + "\n";
    for (const MemberSpec& member : spec.members) {
        text += "\n[[member]]\n";
        text += "id = " + std::to_string(raw(member.id)) + "\n";
        text += "name = " + toml_text(member.name) + "\n";
        text += "peer = " + toml_text(member.peer) + "\n";
        text += "client = " + toml_text(member.client) + "\n";
        if (!member.http.empty()) text += "http = " + toml_text(member.http) + "\n";
        text += std::string("role = ") + (member.learner ? "\"learner\"" : "\"voter\"") + "\n";
        text += "priority = " + std::to_string(member.priority) + "\n";
        if (!member.data.empty()) text += "data = " + toml_text(member.data) + "\n";
    }
    return text;
}

const MemberSpec* find_member(const ClusterSpec& spec, std::string_view name) {
    for (const MemberSpec& member : spec.members)
        if (member.name == name) return &member;
    return nullptr;
}

}  // namespace raftd::conf
