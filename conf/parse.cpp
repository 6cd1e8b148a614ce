// Reads with the TOML library, whose exceptions stop here. Reads loosely, so that one pass finds
// every problem, and keeps the position of each.
#include <toml++/toml.h>
#include <algorithm>
#include <set>

#include "base/uuid.h"
#include "conf/load.h"
#include "conf/table.h"
#include "conf/units.h"

namespace raftd::conf {
namespace {

constexpr size_t kVotersMax = 9, kMembersMax = 16;

std::string kind_of(const toml::node& node) {
    if (node.is_string()) return "a text";
    if (node.is_integer()) return "a bare number";
    if (node.is_floating_point()) return "a number with a fraction";
    if (node.is_boolean()) return "a boolean";
    if (node.is_table()) return "a table";
    if (node.is_array()) return "an array";
    return "a date or time";
}

/// Collects problems of one file.
class Report {
public:
    Report(const std::string& path, std::vector<Problem>& problems) : path_(path), problems_(problems) {}

    void at(const toml::source_region& region, const std::string& key, const std::string& what,
            const std::string& hint = {}) {
        std::string where =
            path_ + ":" + std::to_string(region.begin.line) + ":" + std::to_string(region.begin.column);
        problems_.push_back({where, key.empty() ? what : key + ": " + what, hint});
        lines_.push_back(region.begin.line);
    }
    void whole(const std::string& what, const std::string& hint = {}) {
        problems_.push_back({path_, what, hint});
        lines_.push_back(0);
    }
    /// Unknown keys of `table`, each with the nearest known one.
    void unknown_keys(const toml::table& table, std::string_view prefix,
                      const std::vector<std::string_view>& known) {
        for (const auto& [key, node] : table) {
            if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
            std::string what = node.is_table() ? "unknown table" : "unknown setting";
            auto near = nearest(key.str(), known);
            if (near) what += "; did you mean " + std::string(prefix) + std::string(*near) + "?";
            at(key.source(), std::string(prefix) + std::string(key.str()), what);
        }
    }
    /// Problems in the order of the lines.
    void sort() {
        std::vector<size_t> order(problems_.size());
        for (size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::stable_sort(order.begin(), order.end(),
                         [&](size_t a, size_t b) { return lines_[a] < lines_[b]; });
        std::vector<Problem> sorted;
        for (size_t i : order) sorted.push_back(std::move(problems_[i]));
        problems_ = std::move(sorted);
    }

private:
    const std::string& path_;
    std::vector<Problem>& problems_;
    std::vector<uint32_t> lines_;
};

std::optional<toml::table> parse_toml(std::string_view text, const std::string& path, Report& report) {
    try {
        return toml::parse(text, path);
    } catch (const toml::parse_error& e) {
        report.at(e.source(), "", std::string(e.description()));
    } catch (const std::exception& e) {
        report.whole(std::string("can't be read as TOML: ") + e.what());
    }
    return std::nullopt;
}

void check_format(const toml::table& root, Report& report) {
    const toml::node* node = root.get("format");
    if (node == nullptr) return report.whole("format: missing; write `format = 1` on the first line");
    std::optional<int64_t> format = node->is_integer() ? node->value<int64_t>() : std::nullopt;
    if (!format || *format != 1)
        report.at(node->source(), "format", "must be 1, the only format that this version knows");
}

/// Puts one value of the file into its field, or says what is wrong with it.
class SettingReader {
public:
    SettingReader(const Setting& setting, const toml::node& node, NodeSettings& settings, Report& report)
        : setting_(setting), node_(node), settings_(settings), report_(report) {}

    void operator()(DurationField field) const {
        std::optional<std::string> text = text_or_complain();
        if (!text) return;
        std::optional<Duration> value = parse_duration(*text);
        if (!value)
            return complain(toml_text(*text) + " is not " + form_text(setting_) + " (units: us ms s m h d)");
        if (in_range(static_cast<uint64_t>(value->ns))) field(settings_) = *value;
    }
    void operator()(BytesField field) const {
        std::optional<std::string> text = text_or_complain();
        if (!text) return;
        std::optional<uint64_t> value = parse_bytes(*text);
        if (!value)
            return complain(toml_text(*text) + " is not " + form_text(setting_) +
                            " (units: KiB MiB GiB TiB)");
        if (in_range(*value)) field(settings_) = *value;
    }
    void operator()(CountField field) const {
        std::optional<int64_t> value = node_.is_integer() ? node_.value<int64_t>() : std::nullopt;
        if (!value) return complain("needs " + form_text(setting_) + ", not " + kind_of(node_));
        if (in_range(*value < 0 ? UINT64_MAX : static_cast<uint64_t>(*value)))
            field(settings_) = static_cast<uint32_t>(*value);
    }
    void operator()(FlagField field) const {
        std::optional<bool> value = node_.is_boolean() ? node_.value<bool>() : std::nullopt;
        if (!value) return complain("needs " + form_text(setting_) + ", not " + kind_of(node_));
        field(settings_) = *value;
    }
    void operator()(TextField field) const {
        std::optional<std::string> text = text_or_complain();
        if (!text) return;
        if (!allowed(*text)) return complain(toml_text(*text) + " must be " + range_text(setting_));
        if (setting_.needed && text->empty()) return complain("must not be empty");
        if (setting_.section == "listen" && setting_.choices.empty() && !parse_host_port(*text))
            return complain(toml_text(*text) + " is not an address like \"0.0.0.0:7101\"");
        field(settings_) = *text;
    }

private:
    void complain(const std::string& what) const { report_.at(node_.source(), path_of(setting_), what); }
    std::optional<std::string> text_or_complain() const {
        if (node_.is_string()) return node_.value<std::string>();
        std::string what = "needs " + form_text(setting_) + ", not " + kind_of(node_);
        if (std::optional<int64_t> number = node_.is_integer() ? node_.value<int64_t>() : std::nullopt)
            what += suggestion(*number);
        complain(what);
        return std::nullopt;
    }
    /// A bare number was meant in some unit; the first that fits the range is shown.
    std::string suggestion(int64_t number) const {
        std::vector<std::string_view> units = {"", "KiB", "MiB", "GiB"};
        if (std::holds_alternative<DurationField>(setting_.field)) units = {"ms", "s", "m"};
        for (std::string_view unit : units) {
            std::string text = std::to_string(number) + std::string(unit);
            auto duration = parse_duration(text);
            auto bytes = parse_bytes(text);
            uint64_t value = duration ? static_cast<uint64_t>(duration->ns) : bytes.value_or(0);
            if (value >= setting_.low && value <= setting_.high && (duration || bytes))
                return "; write " + std::string(setting_.key) + " = \"" + text + "\"";
        }
        return "";
    }
    bool in_range(uint64_t value) const {
        if (value >= setting_.low && value <= setting_.high) return true;
        complain("must be " + range_text(setting_));
        return false;
    }
    bool allowed(std::string_view text) const {
        if (setting_.choices.empty()) return true;
        std::string_view rest = setting_.choices;
        while (!rest.empty()) {
            size_t bar = std::min(rest.find('|'), rest.size());
            if (rest.substr(0, bar) == text) return true;
            rest.remove_prefix(std::min(bar + 1, rest.size()));
        }
        return false;
    }

    const Setting& setting_;
    const toml::node& node_;
    NodeSettings& settings_;
    Report& report_;
};

const toml::node* find_node(const toml::table& root, const Setting& setting) {
    if (setting.section.empty()) return root.get(setting.key);
    const toml::table* section = root[setting.section].as_table();
    return section == nullptr ? nullptr : section->get(setting.key);
}

void check_known(const toml::table& root, Report& report) {
    std::vector<std::string_view> top = {"format"}, sections;
    for (const Setting& setting : settings_table()) {
        if (setting.section.empty()) top.push_back(setting.key);
        if (!setting.section.empty() && (sections.empty() || sections.back() != setting.section))
            sections.push_back(setting.section);
    }
    top.insert(top.end(), sections.begin(), sections.end());
    report.unknown_keys(root, "", top);
    for (std::string_view section : sections) {
        const toml::node* node = root.get(section);
        if (node == nullptr) continue;
        if (!node->is_table()) {
            report.at(node->source(), std::string(section),
                      "must be a table, [" + std::string(section) + "]");
            continue;
        }
        std::vector<std::string_view> known;
        for (const Setting& setting : settings_table())
            if (setting.section == section) known.push_back(setting.key);
        report.unknown_keys(*node->as_table(), std::string(section) + ".", known);
    }
}

/// Rules between settings. The place is that of whichever the file names.
void check_together(const toml::table& root, const NodeSettings& settings, Report& report) {
    auto at = [&](std::string_view section, std::string_view key, std::string_view other,
                  const std::string& what) {
        const toml::node* node = root[section][key].node();
        if (node == nullptr) node = root[section][other].node();
        if (node != nullptr) report.at(node->source(), std::string(section) + "." + std::string(key), what);
    };
    const RaftSettings& raft = settings.raft;
    if (raft.election_timeout < raft.heartbeat_interval * 3)
        at("raft", "election_timeout", "heartbeat_interval",
           "is " + text_of(raft.election_timeout) + ", less than 3 x raft.heartbeat_interval (" +
               text_of(raft.heartbeat_interval) +
               "): one late heartbeat would depose a good leader; write at least \"" +
               text_of(raft.heartbeat_interval * 3) + "\", better \"" +
               text_of(raft.heartbeat_interval * 10) + "\"");
    if (raft.in_flight_bytes_max < raft.batch_bytes_max)
        at("raft", "in_flight_bytes_max", "batch_bytes_max", "is less than raft.batch_bytes_max");
    if (settings.log.disk_free_min < settings.log.disk_free_reserve)
        at("log", "disk_free_min", "disk_free_reserve", "is less than log.disk_free_reserve");
    if (settings.log.buffer_bytes < settings.log.record_bytes_max * 2)
        at("log", "buffer_bytes", "record_bytes_max", "must hold 2 records of log.record_bytes_max");
    if (!settings.name.empty() && !valid_name(settings.name))
        report.at(root["name"].node()->source(), "name",
                  toml_text(settings.name) + " is not a name of letters, digits, . _ -");
}

/// One [[member]] or [cluster]: typed reads that complain with the key's path.
class TableReader {
public:
    TableReader(const toml::table& table, std::string prefix, Report& report)
        : table_(table), prefix_(std::move(prefix)), report_(report) {}

    std::string text(std::string_view key, bool needed) {
        const toml::node* node = table_.get(key);
        if (node == nullptr) {
            if (needed) complain(key, "missing");
            return "";
        }
        if (!node->is_string()) complain(key, "needs a text in quotes, not " + kind_of(*node));
        return node->value_or(std::string());
    }
    uint64_t number(std::string_view key, uint64_t low, uint64_t high, std::optional<uint64_t> fallback) {
        const toml::node* node = table_.get(key);
        if (node == nullptr) {
            if (!fallback) complain(key, "missing");
            return fallback.value_or(0);
        }
        std::optional<int64_t> value = node->is_integer() ? node->value<int64_t>() : std::nullopt;
        if (!value || *value < static_cast<int64_t>(low) || static_cast<uint64_t>(*value) > high) {
            complain(key, "needs a whole number, " + std::to_string(low) + " to " + std::to_string(high) +
                              (value ? "" : ", not " + kind_of(*node)));
            return low;
        }
        return static_cast<uint64_t>(*value);
    }
    std::string address(std::string_view key, bool needed) {
        std::string value = text(key, needed);
        if (!value.empty() && !parse_host_port(value))
            complain(key, toml_text(value) + " is not an address like \"127.0.0.1:7101\"");
        return value;
    }
    void complain(std::string_view key, const std::string& what) {
        const toml::node* node = table_.get(key);
        report_.at(node == nullptr ? table_.source() : node->source(), prefix_ + std::string(key), what);
    }
    const toml::table& table() const { return table_; }

private:
    const toml::table& table_;
    std::string prefix_;
    Report& report_;
};

MemberSpec read_member(TableReader& reader) {
    MemberSpec member;
    member.id = NodeId{reader.number("id", 1, uint64_t{1} << 53, std::nullopt)};
    member.name = reader.text("name", true);
    if (!member.name.empty() && !valid_name(member.name))
        reader.complain("name", toml_text(member.name) + " is not a name of letters, digits, . _ -");
    member.peer = reader.address("peer", true);
    member.client = reader.address("client", true);
    member.http = reader.address("http", false);
    std::string role = reader.text("role", false);
    if (!role.empty() && role != "voter" && role != "learner")
        reader.complain("role", toml_text(role) + " must be \"voter\" or \"learner\"");
    member.learner = role == "learner";
    member.priority = static_cast<uint8_t>(reader.number("priority", 0, 255, 0));
    member.data = reader.text("data", false);
    return member;
}

/// Ids, names, folders and addresses each belong to one member.
class Unique {
public:
    void check(TableReader& reader, const char* key, const std::string& group, const std::string& value,
               const std::string& owner) {
        if (value.empty()) return;
        auto [found, fresh] = seen_.emplace(group + "=" + value, owner);
        if (!fresh) reader.complain(key, toml_text(value) + " is already " + found->second);
    }

private:
    std::map<std::string, std::string> seen_;
};

void read_members(const toml::table& root, ClusterSpec& spec, Report& report) {
    const toml::array* array = root["member"].as_array();
    if (array == nullptr || array->empty())
        return report.whole("has no [[member]]", "raftctl init DIR makes a cluster with its file");
    Unique unique;
    size_t voters = 0;
    for (const toml::node& node : *array) {
        const toml::table* table = node.as_table();
        if (table == nullptr) {
            report.at(node.source(), "member", "must be a table, [[member]]");
            continue;
        }
        report.unknown_keys(*table, "member.",
                            {"id", "name", "peer", "client", "http", "role", "priority", "data"});
        TableReader reader(*table, "member.", report);
        MemberSpec member = read_member(reader);
        std::string of = " of " + member.name;
        if (table->contains("id"))
            unique.check(reader, "id", "id", std::to_string(raw(member.id)), "the id" + of);
        unique.check(reader, "name", "name", member.name, "another member's name");
        unique.check(reader, "data", "data", member.data, "the folder" + of);
        unique.check(reader, "peer", "address", member.peer, "the peer address" + of);
        unique.check(reader, "client", "address", member.client, "the client address" + of);
        unique.check(reader, "http", "address", member.http, "the http address" + of);
        voters += !member.learner;
        spec.members.push_back(std::move(member));
    }
    if (voters == 0) report.whole("has no voter", "give at least one member role = \"voter\"");
    if (voters > kVotersMax || spec.members.size() > kMembersMax)
        report.whole("has " + std::to_string(voters) + " voters and " + std::to_string(spec.members.size()) +
                     " members; at most 9 and 16 are allowed");
}

void read_cluster(const toml::table& root, ClusterSpec& spec, Report& report) {
    const toml::table* cluster = root["cluster"].as_table();
    if (cluster == nullptr)
        return report.whole("has no [cluster]", "raftctl init DIR makes a cluster with its file");
    report.unknown_keys(*cluster, "cluster.", {"name", "id", "config_index"});
    TableReader reader(*cluster, "cluster.", report);
    spec.name = reader.text("name", true);
    if (!spec.name.empty() && !valid_name(spec.name))
        reader.complain("name", toml_text(spec.name) + " is not a name of letters, digits, . _ -");
    std::string id = reader.text("id", true);
    std::optional<Uuid> parsed = parse_uuid(id);
    if (!parsed && !id.empty())
        reader.complain("id", "is not 32 lower-case hex digits, as raftctl init writes them");
    spec.id = parsed.value_or(Uuid{});
    spec.config_index = reader.number("config_index", 0, uint64_t{1} << 53, 1);
}

}  // namespace

NodeSettings parse_node_settings(std::string_view text, const std::string& path,
                                 std::vector<Problem>& problems, std::vector<std::string>* given) {
    NodeSettings settings;
    Report report(path, problems);
    std::optional<toml::table> root = parse_toml(text, path, report);
    if (!root) return settings;
    check_format(*root, report);
    check_known(*root, report);
    for (const Setting& setting : settings_table()) {
        const toml::node* node = find_node(*root, setting);
        if (node == nullptr) {
            if (setting.needed)
                report.whole(path_of(setting) + ": missing; it is " + std::string(setting.comment));
            continue;
        }
        if (given != nullptr) given->push_back(path_of(setting));
        std::visit(SettingReader(setting, *node, settings, report), setting.field);
    }
    if (problems.empty()) check_together(*root, settings, report);
    if (!settings.data_dir.empty()) settings.data_dir = resolve_beside(path, settings.data_dir);
    report.sort();
    return settings;
}

ClusterSpec parse_cluster_spec(std::string_view text, const std::string& path,
                               std::vector<Problem>& problems) {
    ClusterSpec spec;
    Report report(path, problems);
    std::optional<toml::table> root = parse_toml(text, path, report);
    if (!root) return spec;
    check_format(*root, report);
    report.unknown_keys(*root, "", {"format", "cluster", "member"});
    read_cluster(*root, spec, report);
    read_members(*root, spec, report);
    report.sort();
    return spec;
}

}  // namespace raftd::conf
