// The commands about snapshots.
#include "cli/line.h"

namespace raftd::cli {

void add_snapshots(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line,
        {"snapshot", "take|list|inspect|verify", "running", "archives of the log and the state with them"},
        "raftctl snapshot take\nraftctl snapshot verify", nullptr);
    command->require_subcommand(1);
    add_part(command, line, "take", "compacts up to now on all members, and compares them",
             "raftctl snapshot take\nraftctl snapshot take n2 -o json",
             [&line] { return snapshot_take(line.context, line.snapshot); })
        ->add_option("NODE", line.snapshot.nodes, "wait for these members alone");
    add_part(command, line, "list", "the archives that a member has",
             "raftctl snapshot list\nraftctl snapshot list --node n2",
             [&line] { return snapshot_list(line.context, line.snapshot); })
        ->add_option("--node", line.snapshot.node, "of this member; default: of whoever answers first");
    add_part(command, line, "inspect", "what archives hold, by their index",
             "raftctl snapshot inspect\nraftctl snapshot inspect n1/data/snapshot/*.zst",
             [&line] { return snapshot_inspect(line.context, line.snapshot); })
        ->add_option("FILE", line.snapshot.files,
                     "archives, or data directories; default: of all local members");
    add_part(command, line, "verify", "reads archives back: every entry, chain and hash",
             "raftctl snapshot verify\nraftctl snapshot verify n1/data",
             [&line] { return snapshot_verify(line.context, line.snapshot); })
        ->add_option("FILE", line.snapshot.files,
                     "archives, or data directories; default: of all local members");
}

}  // namespace raftd::cli
