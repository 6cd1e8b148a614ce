// `raftctl recover`.
#include "cli/line.h"

namespace raftd::cli {

void add_recover(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line,
        {"recover", "DATA_DIR", "running", "a new cluster from one member, when the quorum is lost for good"},
        "raftctl recover --force-new-cluster n1/data --dry-run\nraftctl recover --force-new-cluster n1/data "
        "--yes",
        [&line] { return recover(line.context, line.recover); });
    command->add_option("DATA_DIR", line.recover.data_dir, "of a stopped member, such as n1/data")
        ->required();
    command
        ->add_flag("--force-new-cluster", line.recover.force_new_cluster,
                   "what only the lost members had is gone, and clients must come anew")
        ->required();
    command
        ->add_option("--into", line.recover.into,
                     "folder of the new cluster; default: beside the old one, its name and -recovered")
        ->type_name("DIR");
    command->add_flag("--dry-run", line.recover.dry_run,
                      "only term, last entry and commit, to compare survivors by");
    command->add_flag("--yes", line.recover.yes, "don't ask");
}

}  // namespace raftd::cli
