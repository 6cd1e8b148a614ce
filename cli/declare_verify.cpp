// The commands that look after what is kept: compare the members, hold everything as it is.
#include "cli/line.h"

namespace raftd::cli {

void add_verify(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line,
        {"verify", "[--from LSN] [--deep]", "running", "compares the members: logs, archives, states"},
        "raftctl verify\nraftctl verify --deep -o json",
        [&line] { return verify(line.context, line.verify); });
    command->add_option("--from", line.verify.from, "leave out what lies before this record")
        ->type_name("LSN");
    command->add_flag("--deep", line.verify.deep,
                      "have each member read back all its files, at 64 MiB a second, and compare the states");
}

}  // namespace raftd::cli
