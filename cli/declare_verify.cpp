// The commands that look after what is kept: compare the members, hold everything as it is.
#include "cli/line.h"
#include "conf/units.h"

namespace raftd::cli {

void add_verify(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line,
        {"verify", "[--from LSN] [--deep]", "running", "compare the members: logs, archives, states"},
        "raftctl verify\nraftctl verify --deep -o json",
        [&line] { return verify(line.context, line.verify); });
    command->add_option("--from", line.verify.from, "leave out what lies before this record")
        ->type_name("LSN");
    command->add_flag("--deep", line.verify.deep,
                      "have each member read back all its files, at 64 MiB a second, and compare the states");

    command = add_command(
        app, line, {"freeze", "[--for 1h]", "running", "nothing is compacted or removed for a time"},
        "raftctl freeze\nraftctl freeze --for 30m", [&line] { return freeze(line.context, line.freeze); });
    command
        ->add_option_function<std::string>(
            "--for", [&line](const std::string& text) { line.freeze.span = *conf::parse_duration(text); },
            "it ends by itself after that; 1s to 7d, default 1h")
        ->check([](const std::string& text) {
            return conf::parse_duration(text) ? std::string()
                                              : "`" + text + "` is not a duration like 10m, 1h or 7d";
        })
        ->type_name("DUR");
    add_command(app, line, {"thaw", "", "running", "end a freeze"}, "raftctl thaw\nraftctl thaw -o json",
                [&line] { return thaw(line.context); });
}

}  // namespace raftd::cli
