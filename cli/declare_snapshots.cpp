// The commands about snapshots.
#include "cli/line.h"

namespace raftd::cli {

namespace {

void add_save(CLI::App* command, Line& line) {
    CLI::App* save =
        add_part(command, line, "save", "all that is committed, as one tar, while the cluster runs",
                 "raftctl snapshot save backup.tar\nraftctl snapshot save - --node n2 | ssh vault "
                 "'cat > backup.tar'",
                 [&line] { return snapshot_save(line.context, line.save); });
    save->add_option("FILE", line.save.file, "a new file, or `-` for standard output")->required();
    save->add_option("--node", line.save.node, "from this member; default: whoever answers first");
    save->add_flag("--force", line.save.force, "replace FILE once the save is whole");
    CLI::App* restore =
        add_part(command, line, "restore", "a new cluster that begins with what was saved",
                 "raftctl snapshot restore backup.tar fresh\nraftctl snapshot restore backup.tar "
                 "fresh --config cluster.toml --to @2026-11-20T10:00",
                 [&line] { return snapshot_restore(line.context, line.restore); });
    restore->add_option("FILE", line.restore.file, "made by snapshot save")->required();
    restore->add_option("DIR", line.restore.folder, "of the new cluster; nothing may be in it")->required();
    auto* nodes = restore->add_option("--nodes", line.restore.nodes,
                                      "that many voters on this machine; default: as many as were saved");
    restore
        ->add_option("--config", line.restore.config,
                     "the new cluster's cluster.toml, the same on all machines")
        ->excludes(nodes);
    restore
        ->add_option("--to", line.restore.to,
                     "only whole batches up to this LSN or @TIME; no producers, cursors")
        ->type_name("LSN|@TIME");
    restore->add_option("--base-port", line.restore.base_port, "first port to try for --nodes");
}

}  // namespace

void add_snapshots(CLI::App& app, Line& line) {
    CLI::App* command = add_command(app, line,
                                    {"snapshot", "take|list|save|restore|inspect|verify", "running",
                                     "archives of the log and the state with them"},
                                    "raftctl snapshot take\nraftctl snapshot save backup.tar", nullptr);
    command->require_subcommand(1);
    add_part(command, line, "take", "compact up to now on all members, and compare them",
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
                     "archives, saves, or data directories; default: of all local members");
    add_part(command, line, "verify", "read archives back: every entry, chain and hash",
             "raftctl snapshot verify\nraftctl snapshot verify n1/data",
             [&line] { return snapshot_verify(line.context, line.snapshot); })
        ->add_option("FILE", line.snapshot.files,
                     "archives, saves, or data directories; default: of all local members");
    add_save(command, line);
}

}  // namespace raftd::cli
