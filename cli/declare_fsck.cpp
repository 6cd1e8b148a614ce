// `raftctl fsck`.
#include "cli/line.h"

namespace raftd::cli {

void add_fsck(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line, {"fsck", "[DIR...] [--repair]", "looking", "check the files of stopped members"},
        "raftctl fsck\nraftctl fsck n1/data --repair", [&line] { return fsck(line.context, line.fsck); });
    command->add_option("DIR", line.fsck.dirs,
                        "data directories, such as n1/data; default: those of all members on this machine");
    command->add_flag(
        "--repair", line.fsck.repair,
        "make again what this directory can make by itself (footers, seals, the state's store), "
        "and remove what crashes left; the rest is left to the other members");
}

}  // namespace raftd::cli
