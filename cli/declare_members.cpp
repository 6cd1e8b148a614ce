// The commands about members.
#include "cli/line.h"

namespace raftd::cli {
namespace {

/// Flags of a member that is to be made or found.
void add_place(CLI::App* part, MemberAddOptions& options) {
    part->add_option("NAME", options.name, "of the new member")->required();
    CLI::Option* local =
        part->add_flag("--local", options.local, "make its folder here, pick ports, start it");
    part->add_option("--peer", options.peer, "where the others reach it")
        ->type_name("HOST:PORT")
        ->excludes(local);
    part->add_option("--client", options.client, "where clients reach it; default: 100 above the peer port")
        ->type_name("HOST:PORT");
    part->add_flag("--learner", options.learner, "it only receives, and never votes");
    part->add_option("--priority", options.priority, "a higher one is preferred as leader; 0 to 255");
    part->add_option("--make-folder", options.make_folder,
                     "only make its folder in DIR, to be moved to its machine")
        ->type_name("DIR")
        ->excludes(local);
}

void add_member_changes(CLI::App* command, Line& line) {
    auto names_of = [&line](CLI::App* part) {
        part->add_option("NAME", line.member_names.names, "members")->required();
    };
    names_of(add_part(command, line, "remove", "members leave; their folders stay",
                      "raftctl member remove n3\nraftctl member remove n4 n5",
                      [&line] { return member_remove(line.context, line.member_names); }));
    names_of(add_part(command, line, "promote", "learners become voters once they have caught up",
                      "raftctl member promote n4\nraftctl member promote n4 n5",
                      [&line] { return member_promote(line.context, line.member_names); }));
    names_of(add_part(command, line, "demote", "voters become learners",
                      "raftctl member demote n3\nraftctl member demote n2 n3",
                      [&line] { return member_demote(line.context, line.member_names); }));
    CLI::App* set = add_part(command, line, "set", "another address or priority",
                             "raftctl member set n2 --priority 5\nraftctl member set n2 --peer 10.0.0.7:7101",
                             [&line] { return member_set(line.context, line.member_set); });
    set->add_option("NAME", line.member_set.name, "member")->required();
    set->add_option("--peer", line.member_set.peer, "where the others reach it")->type_name("HOST:PORT");
    set->add_option("--client", line.member_set.client, "where clients reach it")->type_name("HOST:PORT");
    set->add_option("--priority", line.member_set.priority, "a higher one is preferred as leader")
        ->check(CLI::Range(0, 255));
    set->add_option("--offline", line.member_set.offline,
                    "of a stopped member: changes only what it knows, so that it can start elsewhere")
        ->type_name("DATA_DIR");
}

}  // namespace

void add_members(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line, {"member", "list|add|remove|...", "members", "who belongs, and changes of that"},
        "raftctl member list\nraftctl member add n4 --local", nullptr);
    command->require_subcommand(1);
    add_part(command, line, "list", "the members as the leader has them",
             "raftctl member list\nraftctl member list -o json",
             [&line] { return member_list(line.context); });
    add_place(add_part(command, line, "add", "a new member: receives first, votes once it has caught up",
                       "raftctl member add n4 --local\nraftctl member add n4 --peer 10.0.0.4:7101",
                       [&line] { return member_add(line.context, line.member_add); }),
              line.member_add);
    add_place(
        add_part(command, line, "replace", "a new data directory in place of a lost one, under a new id",
                 "raftctl member replace n2 --local\nraftctl member replace n2 --peer 10.0.0.4:7101",
                 [&line] { return member_replace(line.context, line.member_add); }),
        line.member_add);
    add_member_changes(command, line);
    add_part(command, line, "diff", "what a cluster.toml has other members; exit 8 when it differs",
             "raftctl member diff cluster.toml\nraftctl member diff wanted.toml -o json",
             [&line] { return member_diff(line.context, line.member_file); })
        ->add_option("FILE", line.member_file.file, "a cluster.toml")
        ->required();
    CLI::App* apply =
        add_part(command, line, "apply", "make the members those of a cluster.toml",
                 "raftctl member apply wanted.toml --dry-run\nraftctl member apply wanted.toml --yes",
                 [&line] { return member_apply(line.context, line.member_file); });
    apply->add_option("FILE", line.member_file.file, "a cluster.toml")->required();
    apply->add_flag("--dry-run", line.member_file.dry_run, "only the plan");
    apply->add_flag("--yes", line.member_file.yes, "don't ask");
    CLI::App* transfer =
        add_command(app, line, {"transfer-leader", "[NODE]", "members", "hand leadership over"},
                    "raftctl transfer-leader\nraftctl transfer-leader n2",
                    [&line] { return transfer_leader(line.context, line.transfer); });
    transfer->add_option("NODE", line.transfer.to, "to this member; default: one that is fit");
}

}  // namespace raftd::cli
