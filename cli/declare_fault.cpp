// How the commands about faults are declared.
#include "cli/line.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

void add_node(CLI::App* part, FaultOptions& options) {
    part->add_option("NODE", options.node, "member whose links it is")->required();
}

void add_ways(CLI::App* part, FaultOptions& options) {
    part->add_option("--to", options.to, "only what it sends to these members; default: all, both ways")
        ->delimiter(',')
        ->type_name("NAME")
        ->allow_extra_args(false);
    part->add_option("--from", options.from, "only what comes to it from these members")
        ->delimiter(',')
        ->type_name("NAME")
        ->allow_extra_args(false);
}

CLI::Option* add_time(CLI::App* part, const std::string& name, Duration& into, const std::string& what) {
    return part
        ->add_option_function<std::string>(
            name, [&into](const std::string& text) { into = *conf::parse_duration(text); }, what)
        ->check([](const std::string& text) {
            return conf::parse_duration(text) ? std::string()
                                              : "`" + text + "` is not a duration like 150ms, 2s or 5m";
        })
        ->type_name("DUR");
}

void add_lasting(CLI::App* part, FaultOptions& options) {
    add_ways(part, options);
    add_time(part, "--for", options.lasts, "it ends by itself after that; 10ms to 1h, default 1m");
}

void add_percent(CLI::App* part, FaultOptions& options) {
    part->add_option("PERCENT", options.percent, "of its messages, chosen at random")->required();
}

}  // namespace

void add_faults(CLI::App& app, Line& line) {
    CLI::App* command =
        add_command(app, line, {"fault", "disconnect|drop|...", "looking", "worsen links, in test clusters"},
                    "raftctl fault disconnect n2 --to n1 --for 10s\nraftctl fault clear n2", nullptr);
    command->require_subcommand(1);
    FaultOptions& options = line.fault;
    auto part = [&](const std::string& name, FaultWord word, const std::string& summary,
                    const std::string& examples) {
        CLI::App* added = add_part(command, line, name, summary, examples,
                                   [&line, word] { return fault(line.context, word, line.fault); });
        add_node(added, options);
        return added;
    };
    add_lasting(part("disconnect", FaultWord::disconnect, "its messages are lost, and nobody can greet it",
                     "raftctl fault disconnect n2\nraftctl fault disconnect n2 --to n1,n3 --for 10s"),
                options);
    add_ways(part("reconnect", FaultWord::reconnect, "end a disconnect",
                  "raftctl fault reconnect n2\nraftctl fault reconnect n2 --from n1"),
             options);
    CLI::App* drop = part("drop", FaultWord::drop, "some of its messages are lost",
                          "raftctl fault drop n2 20\nraftctl fault drop n2 100 --to n1 --for 5s");
    add_percent(drop, options);
    add_lasting(drop, options);
    CLI::App* delay = part("delay", FaultWord::delay, "its messages are late, in order",
                           "raftctl fault delay n2 200ms\nraftctl fault delay n2 1s --from n1");
    add_time(delay, "DELAY", options.delay, "1us to 1m, each way")->required();
    add_lasting(delay, options);
    CLI::App* duplicate = part("duplicate", FaultWord::duplicate, "some of its messages come twice",
                               "raftctl fault duplicate n2 30\nraftctl fault duplicate n2 100 --for 5s");
    add_percent(duplicate, options);
    add_lasting(duplicate, options);
    part("timeout", FaultWord::timeout, "it campaigns at once, as if the leader had asked it to",
         "raftctl fault timeout n2\nraftctl fault timeout n2 -o json");
    part("clear", FaultWord::clear, "end all faults of a member",
         "raftctl fault clear n2\nraftctl fault clear n2 -o json");
    part("show", FaultWord::show, "what is in force at a member, and what it has met",
         "raftctl fault show n2\nraftctl fault show n2 -o json");
}

}  // namespace raftd::cli
