// The commands about what of the log stays: trim, retention, cursor, checkpoint.
#include "cli/line.h"

namespace raftd::cli {
namespace {

void add_cursor(CLI::App& app, Line& line) {
    CursorOptions& options = line.cursor;
    CLI::App* command = add_command(
        app, line,
        {"cursor", "list|get|set|delete", "keeping", "named positions of readers, kept by the cluster"},
        "raftctl cursor set audit 1 --hold\nraftctl tail --cursor audit --commit", nullptr);
    command->require_subcommand(1);
    add_part(command, line, "list", "all of them", "raftctl cursor list\nraftctl cursor list -o jsonl",
             [&line] { return cursor_list(line.context); });
    auto named = [&](CLI::App* part) {
        part->add_option("CURSOR", options.name, "its name")->required();
        return part;
    };
    named(add_part(command, line, "get", "the LSN that it is to read next",
                   "raftctl cursor get audit\nraftctl cursor get audit -o json",
                   [&line] { return cursor_get(line.context, line.cursor); }));
    CLI::App* set =
        named(add_part(command, line, "set", "to an LSN, forward or back; made if it isn't there",
                       "raftctl cursor set audit 1042\nraftctl cursor set audit 1 --hold-max 10GiB",
                       [&line] { return cursor_set(line.context, line.cursor); }));
    set->add_option("LSN", options.lsn, "the next one to be read")->required()->check(CLI::PositiveNumber);
    set->add_flag("--hold", options.hold, "nothing at or above it is trimmed");
    set->add_option("--hold-max", options.hold_max, "a hold that ends where it keeps more than this")
        ->type_name("SIZE");
    named(add_part(command, line, "delete", "forgets it, and its hold",
                   "raftctl cursor delete audit\nraftctl cursor delete audit -q",
                   [&line] { return cursor_delete(line.context, line.cursor); }));
}

void add_checkpoint(CLI::App& app, Line& line) {
    CheckpointOptions& options = line.checkpoint;
    CLI::App* command = add_command(
        app, line, {"checkpoint", "put|get|list", "keeping", "the application's state in place of a prefix"},
        "raftctl checkpoint put state.bin --upto 1042 --trim\nraftctl checkpoint get state.bin", nullptr);
    command->require_subcommand(1);
    CLI::App* put = add_part(command, line, "put", "keeps FILE as the state behind record LSN",
                             "raftctl checkpoint put state.bin --upto 1042\n"
                             "raftctl checkpoint put state.bin --upto 1042 --trim",
                             [&line] { return checkpoint_put(line.context, line.checkpoint); });
    put->add_option("FILE", options.file, "the state")->required()->type_name("FILE");
    put->add_option("--upto", options.upto, "the last record that it stands for")
        ->required()
        ->type_name("LSN")
        ->check(CLI::PositiveNumber);
    put->add_flag("--trim", options.trim, "then the records up to there go");
    add_part(command, line, "get", "the newest one, into FILE or to standard output",
             "raftctl checkpoint get state.bin\nraftctl checkpoint get > state.bin",
             [&line] { return checkpoint_get(line.context, line.checkpoint); })
        ->add_option("FILE", options.file, "default: standard output")
        ->type_name("FILE");
    add_part(command, line, "list", "what there is, uploads too",
             "raftctl checkpoint list\nraftctl checkpoint list -o json",
             [&line] { return checkpoint_list(line.context); });
}

}  // namespace

void add_retention(CLI::App& app, Line& line) {
    CLI::App* trim_command =
        add_command(app, line, {"trim", "--before LSN", "keeping", "drop the records below an LSN"},
                    "raftctl trim --before 1042\nraftctl trim --before 1042 -o json",
                    [&line] { return trim(line.context, line.trim); });
    trim_command->add_option("--before", line.trim.before, "the first one that stays")
        ->required()
        ->type_name("LSN")
        ->check(CLI::PositiveNumber);

    CLI::App* command = add_command(
        app, line, {"retention", "show|set", "keeping", "what the cluster drops by itself"},
        "raftctl retention set --bytes 10GiB\nraftctl retention set --age 7d --below-checkpoint on", nullptr);
    command->require_subcommand(1);
    add_part(command, line, "show", "the policy in force, and what is kept",
             "raftctl retention show\nraftctl retention show -o json",
             [&line] { return retention_show(line.context); });
    CLI::App* set =
        add_part(command, line, "set", "changes what is given",
                 "raftctl retention set --bytes 10GiB --age 7d\nraftctl retention set --records off",
                 [&line] { return retention_set(line.context, line.retention); });
    RetentionOptions& options = line.retention;
    set->add_option("--bytes", options.bytes, "so much of the log stays")->type_name("SIZE");
    set->add_option("--age", options.age, "older records go")->type_name("DUR");
    set->add_option("--records", options.records, "so many stay")->type_name("N");
    set->add_option("--below-checkpoint", options.below_checkpoint,
                    "nothing above the newest checkpoint goes; alone: all below it does")
        ->type_name("on|off")
        ->check(CLI::IsMember({"on", "off"}));
    add_cursor(app, line);
    add_checkpoint(app, line);
}

}  // namespace raftd::cli
