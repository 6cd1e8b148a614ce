// How every command is declared, and what its help looks like.
#include "cli/line.h"

namespace raftd::cli {
namespace {

std::string description_of(const std::string& examples, const std::string& summary) {
    std::string text = "  " + examples;
    text.insert(text.find('\n') + 1, "  ");
    return text + "\n\n" + summary + "\n";
}

class HelpFormatter final : public CLI::Formatter {
    /// In the list of its parent, without its examples.
    std::string make_subcommand(const CLI::App* part) const override {
        std::stringstream text;
        CLI::detail::format_help(text, part->get_display_name(true), summary_of(*part), get_column_width());
        return text.str();
    }
};

}  // namespace

void shape_help(CLI::App& app) { app.formatter(std::make_shared<HelpFormatter>()); }

std::string summary_of(const CLI::App& command) {
    std::string text = command.get_description();
    while (text.ends_with('\n')) text.pop_back();
    return text.substr(text.rfind('\n') + 1);
}

CLI::App* add_command(CLI::App& parent, Line& line, const CommandInfo& info, const std::string& examples,
                      std::function<Exit()> run) {
    line.commands.push_back(info);
    CLI::App* command =
        parent.add_subcommand(std::string(info.name), description_of(examples, std::string(info.summary)));
    if (run) command->callback([&line, run = std::move(run)] { line.run = run; });
    return command;
}

CLI::App* add_part(CLI::App* command, Line& line, const std::string& name, const std::string& summary,
                   const std::string& examples, std::function<Exit()> run) {
    CLI::App* part = command->add_subcommand(name, description_of(examples, summary));
    part->callback([&line, run = std::move(run)] { line.run = run; });
    return part;
}

}  // namespace raftd::cli
