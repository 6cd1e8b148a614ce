#include "cli/config.h"

#include <algorithm>
#include <filesystem>

#include "cli/local.h"
#include "conf/load.h"
#include "conf/table.h"
#include "io/asio/files.h"
#include "snapshot/data_dir.h"

namespace raftd::cli {
namespace {

bool is_cluster_file(const std::string& path, const std::string& text) {
    return std::filesystem::path(path).filename() == "cluster.toml" ||
           text.find("[[member]]") != std::string::npos;
}

/// The files asked for, or all of this machine's cluster.
Result<std::vector<std::string>> files_of(const Context& context, const ConfigOptions& options,
                                          bool with_cluster) {
    if (!options.files.empty()) return options.files;
    auto found_or = find_local_cluster(context);
    // A wrong cluster.toml can't say which members are here, but it is what is to be checked.
    if (!found_or && found_or.error().code == Errc::bad_input && with_cluster) {
        TRY(file, find_cluster_file(context));
        return std::vector<std::string>{file};
    }
    TRY(found, std::move(found_or));
    TRY(members, local_members(found, {}));
    std::vector<std::string> files;
    if (with_cluster) files.push_back(found.file);
    for (const LocalMember& member : members) files.push_back(member.config_file());
    return files;
}

/// What is wrong with one file by itself, and that it names a member of its cluster.
Result<std::vector<conf::Problem>> problems_of(const std::string& path) {
    TRY(text, conf::read_text(path));
    std::vector<conf::Problem> problems;
    if (is_cluster_file(path, text)) {
        conf::parse_cluster_spec(text, path, problems);
        return problems;
    }
    conf::NodeSettings settings = conf::parse_node_settings(text, path, problems);
    if (!problems.empty()) return problems;
    std::string cluster_file = conf::resolve_beside(path, settings.cluster);
    auto spec = conf::load_cluster_spec(cluster_file);
    if (!spec)
        problems.push_back({path, "cluster: " + spec.error().what, spec.error().hint});
    else if (conf::find_member(*spec, settings.name) == nullptr)
        problems.push_back({path, "name: " + cluster_file + " has no member `" + settings.name + "`", ""});
    return problems;
}

void print_problems(const Context& context, const std::vector<conf::Problem>& problems) {
    if (context.output == Output::text) {
        for (const conf::Problem& problem : problems) {
            Context loud = context;
            loud.quiet = false;
            note(loud, problem.where + ": " + problem.what);
            if (!problem.hint.empty()) note(loud, "hint: " + problem.hint);
        }
        return;
    }
    Json list = Json::array();
    for (const conf::Problem& problem : problems)
        list.add(Json::object().add("where", problem.where).add("what", problem.what));
    write_out(Json::object().add("schema", 1).add("problems", list).text() + "\n");
}

/// What the cluster was made with and no file can change; nothing while there is no data directory.
std::vector<std::pair<const char*, uint32_t>> genesis_rules(const std::string& data_dir) {
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    std::vector<std::pair<const char*, uint32_t>> rules;
    auto dir = snapshot::inspect(files, data_dir);
    if (!dir) return rules;
    if (dir->manifest.min_members != 0) rules.emplace_back("cluster.min_members", dir->manifest.min_members);
    if (dir->manifest.max_members != 0) rules.emplace_back("cluster.max_members", dir->manifest.max_members);
    return rules;
}

Result<void> show_one(const Context& context, const std::string& path) {
    TRY(text, conf::read_text(path));
    std::vector<conf::Problem> problems;
    std::vector<std::string> given;
    conf::NodeSettings settings = conf::parse_node_settings(text, path, problems, &given);
    if (!problems.empty()) return conf::error_of(problems);
    Json list = Json::array();
    std::string out;
    for (const conf::Setting& setting : conf::settings_table()) {
        std::string name = conf::path_of(setting), value = conf::value_text(setting, settings);
        bool named = std::find(given.begin(), given.end(), name) != given.end();
        std::string fallback = setting.needed ? "" : conf::default_text(setting);
        list.add(Json::object()
                     .add("setting", name)
                     .add("value", value)
                     .add("default", fallback)
                     .add("origin", named ? path : std::string("default")));
        std::string line = name + " = " + value;
        line.resize(std::max<size_t>(line.size() + 2, 44), ' ');
        out += line +
               (named ? "# " + path + (fallback.empty() ? "" : ", default " + fallback) : "# default") + "\n";
    }
    for (auto [name, value] : genesis_rules(conf::resolve_beside(path, settings.data_dir))) {
        list.add(Json::object()
                     .add("setting", name)
                     .add("value", std::to_string(value))
                     .add("default", "")
                     .add("origin", "init"));
        std::string line = std::string(name) + " = " + std::to_string(value);
        line.resize(std::max<size_t>(line.size() + 2, 44), ' ');
        out += line + "# by init, for good\n";
    }
    write_out(context.output == Output::text
                  ? out
                  : Json::object().add("schema", 1).add("file", path).add("settings", list).text() + "\n");
    return {};
}

}  // namespace

Exit config_check(const Context& context, const ConfigOptions& options) {
    auto files = files_of(context, options, true);
    if (!files) return fail(context, files.error());
    std::vector<conf::Problem> all;
    for (const std::string& file : *files) {
        auto problems = problems_of(file);
        if (!problems) return fail(context, problems.error());
        if (problems->empty()) note(context, file + ": good");
        all.insert(all.end(), problems->begin(), problems->end());
    }
    if (!all.empty() || context.output != Output::text) print_problems(context, all);
    return finish_output(context, all.empty() ? Exit::done : Exit::usage);
}

Exit config_show(const Context& context, const ConfigOptions& options) {
    auto files = files_of(context, options, false);
    if (!files) return fail(context, files.error());
    if (context.output == Output::json && files->size() > 1)
        return fail(context, error(Errc::bad_input, "one document can show one file",
                                   "raftctl config show " + files->front() + " -o json"));
    for (const std::string& file : *files) {
        if (files->size() > 1 && context.output == Output::text) write_out("## " + file + "\n");
        if (auto shown = show_one(context, file); !shown) return fail(context, shown.error());
    }
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
