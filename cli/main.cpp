// raftctl's main: the one place that knows the option parser. Declares commands and their flags, runs one,
// and turns every usage error into one line with the nearest right word.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "cli/line.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

using Words = std::map<std::string, When>;
const Words kWhen = {{"auto", When::automatic}, {"always", When::always}, {"never", When::never}};
const std::map<std::string, Output> kOutput = {
    {"text", Output::text}, {"json", Output::json}, {"jsonl", Output::jsonl}};
const std::map<std::string, StartWait> kStartWait = {
    {"leader", StartWait::leader}, {"ready", StartWait::ready}, {"none", StartWait::none}};

const std::map<std::string, Framing> kFraming = {
    {"lines", Framing::lines}, {"nul", Framing::nul}, {"raw", Framing::raw}, {"length", Framing::length}};
const std::map<std::string, DataAs> kDataAs = {
    {"auto", DataAs::automatic}, {"text", DataAs::text}, {"base64", DataAs::base64}};

/// One of a few words; anything else is a usage error that names them.
template <class T>
CLI::Option* add_choice(CLI::App* app, const std::string& flag, T& into,
                        const std::map<std::string, T>& words, const std::string& what) {
    std::vector<std::string> names;
    for (const auto& [name, value] : words) names.push_back(name);
    std::string typed;
    for (const std::string& name : names) typed += (typed.empty() ? "" : "|") + name;
    auto take = [&into, words](const std::string& text) { into = words.at(text); };
    return app->add_option_function<std::string>(flag, take, what)
        ->check([names](const std::string& text) {
            if (std::find(names.begin(), names.end(), text) != names.end()) return std::string();
            std::string known;
            for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
            return "`" + text + "` is not one of: " + known;
        })
        ->type_name(typed);
}

CLI::Option* add_duration(CLI::App* app, const std::string& flag, Duration& into, const std::string& what) {
    return app
        ->add_option_function<std::string>(
            flag, [&into](const std::string& text) { into = *conf::parse_duration(text); }, what)
        ->check([](const std::string& text) {
            return conf::parse_duration(text) ? std::string()
                                              : "`" + text + "` is not a duration like 150ms, 2s or 5m";
        })
        ->type_name("DUR");
}

void add_globals(CLI::App& app, Context& context) {
    app.add_option("--endpoint", context.endpoints, "members to ask")
        ->delimiter(',')
        ->type_name("HOST:PORT")
        ->allow_extra_args(false);
    app.add_option("--cluster", context.cluster, "a cluster.toml, or its folder")->type_name("PATH");
    add_choice(&app, "-o,--output", context.output, kOutput, "text, json or jsonl");
    add_duration(&app, "--timeout", context.timeout, "without progress; default 10s");
    add_choice(&app, "--progress", context.progress, kWhen, "auto, always or never");
    add_choice(&app, "--color", context.color, kWhen, "auto, always or never");
    app.add_flag("-q,--quiet", context.quiet, "errors only");
    app.add_flag("-v,--verbose", context.verbose, "also which source named the cluster");
    for (CLI::Option* option : app.get_options()) option->group("Flags of every command");
}

void add_lifecycle(CLI::App& app, Line& line) {
    CLI::App* init_command = add_command(
        app, line, {"init", "DIR", kEveryday, "make a cluster: cluster.toml and a folder a member"},
        "raftctl init demo\nraftctl init demo --nodes 5 --base-port 9100",
        [&line] { return init(line.context, line.init); });
    init_command->add_option("DIR", line.init.folder, "folder of the new cluster")->required();
    init_command->add_option("--nodes", line.init.nodes, "voters, 1 to 9; default 3");
    init_command->add_option("--learners", line.init.learners, "members that only receive");
    init_command
        ->add_option("--base-port", line.init.base_port,
                     "first peer port, default 7101; client ports are 100 above")
        ->check(CLI::Range(1024, 32000));
    init_command->add_option("--host", line.init.host, "address of all members; default 127.0.0.1");
    init_command
        ->add_option("--member", line.init.members, "a member on some machine; clients dial PORT + 100")
        ->type_name("NAME=HOST:PORT")
        ->allow_extra_args(false);
    init_command
        ->add_option("--min-members", line.init.min_members,
                     "the first leader is elected once so many members are up")
        ->check(CLI::Range(1, 16));
    init_command->add_option("--max-members", line.init.max_members, "the cluster never grows beyond so many")
        ->check(CLI::Range(1, 16));

    CLI::App* start_command = add_command(
        app, line, {"start", "[NODE...]", kEveryday, "start this machine's members"},
        "raftctl start\nraftctl start n2 --wait ready", [&line] { return start(line.context, line.start); });
    start_command->add_option("NODE", line.start.nodes, "members; default: all of this machine");
    add_choice(start_command, "--wait", line.start.wait, kStartWait, "until leader (default), ready or none");
    start_command->add_flag("--foreground", line.start.foreground, "become the daemon of one member");
}

void add_append(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line, {"append", "[RECORD...]", kEveryday, "add records; prints their LSNs as they commit"},
        "raftctl append hello\nraftctl append --producer job --resume --file job.log",
        [&line] { return append(line.context, line.append); });
    AppendOptions& options = line.append;
    command->add_option("RECORD", options.records, "records; default: standard input, one a line");
    command->add_option("--file", options.files, "read records from this file")
        ->type_name("F")
        ->allow_extra_args(false);
    add_choice(command, "--format", options.framing, kFraming, "lines, nul, raw or length");
    command->add_option("--batch", options.batch,
                        "records of a batch at most; default: what one read returned");
    add_duration(command, "--linger", options.linger, "how long a batch waits for more; default 0");
    command->add_option("--in-flight", options.in_flight, "batches sent and not answered; default 1024")
        ->check(CLI::Range(1, 65536));
    command
        ->add_option("--producer", options.producer,
                     "append under this name: whoever opens it again goes on behind it, and fences others")
        ->type_name("NAME");
    command->add_flag("--resume", options.resume, "pass over the records that the producer has appended");
    command->add_flag("--no-producer", options.no_producer,
                      "nothing is sent twice: a lost connection leaves outcomes unknown");
    command
        ->add_option("--expect-lsn", options.expect_lsn,
                     "the LSN that the first record is to get; else nothing is appended (exit 7)")
        ->type_name("LSN")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--resolve", options.resolve,
                     "append nothing: tell what became of a batch of unknown outcome (exit 5)")
        ->type_name("PRODUCER:SEQUENCE");
}

void add_tail(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line, {"tail", "", kEveryday, "show the last records, or follow the log"},
        "raftctl tail -f\nraftctl tail -n all --with-lsn", [&line] { return tail(line.context, line.tail); });
    TailOptions& options = line.tail;
    command->add_option("-n,--lines", options.number, "how many, or all; default 10")->type_name("N");
    command->add_flag("-f,--follow", options.follow, "go on as records come");
    command->add_option("--from", options.from, "first: an LSN, first, end, @TIME, -2h")->type_name("P");
    command->add_option("--to", options.to, "last, included")->type_name("P");
    command->add_option_function<uint64_t>(
        "--count", [&options](uint64_t count) { options.count = count; }, "end after so many");
    add_choice(command, "--format", options.framing, kFraming, "lines, nul, raw or length");
    add_choice(command, "--data", options.data, kDataAs, "of json and jsonl: auto, text or base64");
    command->add_flag("--with-lsn", options.with_lsn, "the LSN before each record");
    command->add_flag("--local", options.local, "what the member has, without asking the leader");
    add_duration(command, "--max-lag", options.max_lag,
                 "with --local: refused (exit 4) where more than that may be missing");
    command->add_flag("--strict", options.strict, "fail when records were trimmed");
    CLI::Option* cursor = command->add_option("--cursor", options.cursor, "begin where this cursor stands")
                              ->type_name("CURSOR");
    command->add_flag("--commit", options.commit, "move the cursor behind what was shown; made if need be")
        ->needs(cursor);
    command->add_option("--node", options.node, "ask this member")->type_name("NAME");
}

void add_get(CLI::App& app, Line& line) {
    CLI::App* command =
        add_command(app, line, {"get", "LSN", "records", "exactly the bytes of one record"},
                    "raftctl get 7\nraftctl get 7 -o json", [&line] { return get(line.context, line.get); });
    command->add_option("LSN", line.get.lsn, "number of the record")->required();
    add_choice(command, "--data", line.get.data, kDataAs, "of json: auto, text or base64");
    command->add_flag("--local", line.get.local, "what the member has, without asking the leader");
    add_duration(command, "--max-lag", line.get.max_lag,
                 "with --local: refused (exit 4) where more than that may be missing");
    command->add_option("--node", line.get.node, "ask this member")->type_name("NAME");
}

void add_everyday(CLI::App& app, Line& line) {
    CLI::App* status_command =
        add_command(app, line, {"status", "", kEveryday, "who leads, who is up, how far each member is"},
                    "raftctl status\nraftctl status --check && echo all members are up",
                    [&line] { return status(line.context, line.status); });
    status_command->add_flag("--watch", line.status.watch, "again each second");
    status_command->add_flag("--check", line.status.check, "exit 10 when a member is missing");

    CLI::App* stop_command = add_command(
        app, line, {"stop", "[NODE...]", kEveryday, "stop this machine's members"},
        "raftctl stop\nraftctl stop n2 --kill", [&line] { return stop(line.context, line.stop); });
    stop_command->add_option("NODE", line.stop.nodes, "members; default: all of this machine");
    stop_command->add_flag("--kill", line.stop.kill, "at once, like a crash; nothing acknowledged is lost");
}

void add_running(CLI::App& app, Line& line) {
    CLI::App* restart_command =
        add_command(app, line, {"restart", "[NODE...]", "running", "stop and start members"},
                    "raftctl restart\nraftctl restart --rolling",
                    [&line] { return restart(line.context, line.restart); });
    restart_command->add_option("NODE", line.restart.nodes, "members; default: all of this machine");
    restart_command->add_flag("--rolling", line.restart.rolling,
                              "one at a time, each healthy before the next");

    CLI::App* wait_command = add_command(
        app, line, {"wait", "leader|healthy|lsn N|...", "running", "wait until it is so; for scripts"},
        "raftctl wait leader --timeout 30s\nraftctl wait lsn 1000",
        [&line] { return wait(line.context, line.wait); });
    wait_command->require_subcommand(1);
    wait_command->add_subcommand("leader", "a member leads")->callback([&line] {
        line.wait.what = WaitFor::leader;
    });
    wait_command->add_subcommand("healthy", "a member leads and all answer")->callback([&line] {
        line.wait.what = WaitFor::healthy;
    });
    CLI::App* lsn = wait_command->add_subcommand("lsn", "the record with that LSN is committed");
    lsn->add_option("N", line.wait.lsn, "LSN")->required()->check(CLI::PositiveNumber);
    lsn->callback([&line] { line.wait.what = WaitFor::lsn; });
    CLI::App* caught_up = wait_command->add_subcommand("caught-up", "the member has all of the log");
    caught_up->add_option("NODE", line.wait.member, "member")->required();
    caught_up->callback([&line] { line.wait.what = WaitFor::caught_up; });
    wait_command->add_subcommand("members-stable", "no change of the members is under way")
        ->callback([&line] { line.wait.what = WaitFor::members_stable; });
}

void add_keeping(CLI::App& app, Line& line) {
    CLI::App* logs_command = add_command(
        app, line, {"logs", "[NODE...]", "running", "the daemons' logs, merged by time"},
        "raftctl logs -f\nraftctl logs n1 -n 100", [&line] { return logs(line.context, line.logs); });
    logs_command->add_option("NODE", line.logs.nodes, "members; default: all of this machine");
    logs_command->add_flag("-f,--follow", line.logs.follow, "go on as lines come");
    logs_command->add_option("-n,--lines", line.logs.lines, "how many of the last lines; default 20");

    CLI::App* destroy_command =
        add_command(app, line, {"destroy", "", "running", "remove a stopped cluster and all its data"},
                    "raftctl destroy\nraftctl stop && raftctl destroy --yes",
                    [&line] { return destroy(line.context, line.destroy); });
    destroy_command->add_flag("--yes", line.destroy.yes, "don't ask");
}

void add_feature(CLI::App& app, Line& line) {
    CLI::App* command = add_command(
        app, line, {"feature", "show|raise", "running", "what the members' programs have in common"},
        "raftctl feature show\nraftctl feature raise", nullptr);
    command->require_subcommand(1);
    add_part(command, line, "show", "the cluster's feature level, and each member's",
             "raftctl feature show\nraftctl feature show -o json",
             [&line] { return feature_show(line.context); });
    add_part(command, line, "raise", "once all members run the new version: use what it brought",
             "raftctl feature raise\nraftctl feature raise --to 2",
             [&line] { return feature_raise(line.context, line.feature); })
        ->add_option("--to", line.feature.to, "level; default: the highest that all members take part in")
        ->check(CLI::Range(1, 1000));
}

void add_looking(CLI::App& app, Line& line) {
    CLI::App* config_command =
        add_command(app, line, {"config", "check|show [FILE...]", "looking", "the settings' files"},
                    "raftctl config check\nraftctl config show n1/raftd.toml", nullptr);
    config_command->require_subcommand(1);
    add_part(config_command, line, "check", "every problem with file, line and column",
             "raftctl config check\nraftctl config check n1/raftd.toml",
             [&line] { return config_check(line.context, line.config); })
        ->add_option("FILE", line.config.files, "default: cluster.toml and each raftd.toml of this machine");
    add_part(config_command, line, "show", "every setting with value, default and origin",
             "raftctl config show\nraftctl config show n1/raftd.toml -o json",
             [&line] { return config_show(line.context, line.config); })
        ->add_option("FILE", line.config.files, "default: each raftd.toml of this machine");

    add_command(app, line,
                {"doctor", "", "looking", "disk, ports, limits and settings of this machine's members"},
                "raftctl doctor\nraftctl doctor -o json", [&line] { return doctor(line.context); });

    CLI::App* events_command = add_command(
        app, line, {"events", "[NODE...]", "looking", "leadership, members, links, alarms: what happened"},
        "raftctl events\nraftctl events -f -o jsonl", [&line] { return events(line.context, line.events); });
    events_command->add_option("NODE", line.events.nodes, "members; default: all");
    events_command->add_flag("-f,--follow", line.events.follow, "go on as they come");
    events_command->add_option("-n,--lines", line.events.lines, "how many of the last ones; default 20");

    CLI::App* why_command = add_command(
        app, line, {"why", "[LSN]", "looking", "what keeps appends from being committed, and what helps"},
        "raftctl why\nraftctl why 1042", [&line] { return why(line.context, line.why); });
    why_command->add_option("LSN", line.why.lsn, "why this record isn't committed")
        ->check(CLI::PositiveNumber);

    CLI::App* debug_command = add_command(
        app, line, {"debug", "dump NODE|wal FILE|state DIR", "looking", "inside a member or its files"},
        "raftctl debug dump n1\nraftctl debug dump n1 -o json", nullptr);
    debug_command->require_subcommand(1);
    add_part(debug_command, line, "dump", "live state of a member's core",
             "raftctl debug dump n1\nraftctl debug dump n2 -o json",
             [&line] { return debug_dump(line.context, line.dump); })
        ->add_option("NODE", line.dump.node, "member")
        ->required();
    add_part(debug_command, line, "wal", "groups and entries of a segment, and what is damaged",
             "raftctl debug wal n1/data/wal/0000000000000001.wal\nraftctl debug wal FILE -o jsonl",
             [&line] { return debug_wal(line.context, line.wal); })
        ->add_option("FILE", line.wal.file, "a file of NODE/data/wal, or NODE/data for all of them")
        ->required();
    add_part(debug_command, line, "state", "the replicated state of a stopped member, as its disk has it",
             "raftctl debug state n1/data\nraftctl debug state n1/data -o json",
             [&line] { return debug_state(line.context, line.state); })
        ->add_option("DATA_DIR", line.state.data_dir, "NODE/data")
        ->required();
}

void add_bench(CLI::App& app, Line& line) {
    CLI::App* bench = add_command(
        app, line, {"bench", "append|tail|failover", "looking", "what this cluster does for one client"},
        "raftctl bench append --in-flight 64\nraftctl bench append --rate 1000 -o json", nullptr);
    bench->require_subcommand(1);
    BenchAppendOptions& options = line.bench_append;
    CLI::App* append_part =
        add_part(bench, line, "append", "adds records of random bytes: rate and latency, seen from here",
                 "raftctl bench append --in-flight 64\nraftctl bench append --rate 1000 --duration 60s",
                 [&line] { return bench_append(line.context, line.bench_append); });
    append_part->add_option("--size", options.record_bytes, "bytes of a record; default 256");
    append_part->add_option("--batch", options.batch, "records of an append; default 1")
        ->check(CLI::Range(1, 65536));
    append_part->add_option("--in-flight", options.in_flight, "appends under way at once; default 1")
        ->check(CLI::Range(1, 65536));
    append_part
        ->add_option("--rate", options.rate, "appends a second, sent when due; latency counts from there")
        ->check(CLI::Range(1, 10000000));
    add_duration(append_part, "--duration", options.duration, "default 10s");
    add_duration(append_part, "--warm-up", options.warm_up, "before it, not counted; default 1s");
    append_part->add_flag("--no-producer", options.no_producer, "without numbers, to see what they cost");
    CLI::App* tail_part = add_part(bench, line, "tail", "read the whole log once",
                                   "raftctl bench tail\nraftctl bench tail --local --node n2",
                                   [&line] { return bench_tail(line.context, line.bench_tail); });
    tail_part->add_flag("--local", line.bench_tail.local, "without asking the leader");
    tail_part->add_option("--node", line.bench_tail.node, "ask this member")->type_name("NAME");
    add_failover(*bench, line);
}

Exit show_version(const Context& context) {
    if (context.output == Output::text)
        write_out(version_text() + "\n");
    else
        write_out(Json::object().add("schema", 1).add("version", version_number()).text() + "\n");
    return finish_output(context, Exit::done);
}

void add_about(CLI::App& app, Line& line) {
    add_command(app, line, {"version", "", "about", "version of this program"},
                "raftctl version\nraftctl version -o json", [&line] { return show_version(line.context); });
    CLI::App* completion_command =
        add_command(app, line, {"completion", "bash|zsh|fish", "about", "words for a shell's tab key"},
                    "source <(raftctl completion bash)\nraftctl completion fish | source", [&app, &line] {
                        write_out(completion_script(app, line.shell));
                        return finish_output(line.context, Exit::done);
                    });
    const std::map<std::string, Shell> shells{
        {"bash", Shell::bash}, {"fish", Shell::fish}, {"zsh", Shell::zsh}};
    add_choice(completion_command, "SHELL", line.shell, shells, "whose script")->required();
    CLI::App* help_command =
        add_command(app, line, {"help", "[COMMAND|all|exit-codes]", "about", "this and other help"},
                    "raftctl help all\nraftctl help exit-codes", nullptr);
    help_command->add_option("TOPIC", line.help_topics, "a command, all, exit-codes");
}

/// The command that the line names, as deep as it goes.
const CLI::App* chosen(const CLI::App& app) {
    const CLI::App* deepest = &app;
    while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
    return deepest;
}

std::string help_of(const CLI::App& command) {
    std::string path;
    for (const CLI::App* above = command.get_parent(); above != nullptr; above = above->get_parent())
        path = above->get_name() + (path.empty() ? "" : " " + path);
    return command.help(path) + "Flags of every command: raftctl help all\n";
}

Exit show_help(const Context& context, CLI::App& app, const Line& line,
               const std::vector<std::string>& topics) {
    std::string text;
    if (topics.empty()) {
        text = overview(line.commands);
    } else if (topics.front() == "all") {
        text = help_all(line.commands);
    } else if (topics.front() == "exit-codes") {
        text = help_exit_codes();
    } else {
        CLI::App* command = &app;
        for (const std::string& topic : topics) {
            auto named =
                command->get_subcommands([&](const CLI::App* one) { return one->get_name() == topic; });
            if (named.empty())
                return fail(context, error(Errc::bad_input, "there is no help on `" + topic + "`",
                                           "raftctl help all"));
            command = named.front();
        }
        text = help_of(*command);
    }
    write_out(text);
    return finish_output(context, Exit::done);
}

std::string nearest_of(const std::string& word, const std::vector<std::string>& words) {
    std::vector<std::string_view> views(words.begin(), words.end());
    auto near = conf::nearest(word, views);
    return near ? std::string(*near) : "";
}

/// What wasn't understood, with the nearest command or flag.
Error error_of_extra(const CLI::App& app, const std::string& extra) {
    const CLI::App* command = chosen(app);
    std::string help = command == &app ? "raftctl help all" : "raftctl " + command->get_name() + " --help";
    std::vector<std::string> words;
    bool flag = extra.starts_with("-");
    std::string name = extra.substr(0, extra.find('='));
    for (const CLI::App* at : {command, &app})
        for (const CLI::Option* option : at->get_options())
            for (const std::string& word : option->get_lnames()) words.push_back("--" + word);
    if (!flag) {
        words.clear();
        for (const CLI::App* one : command->get_subcommands([](const CLI::App*) { return true; }))
            words.push_back(one->get_name());
    }
    std::string near = nearest_of(name, words);
    std::string what = flag                                ? "unknown flag `" + name + "`"
                       : command == &app || !words.empty() ? "unknown command `" + extra + "`"
                                                           : "unexpected argument `" + extra + "`";
    return error(Errc::bad_input, what, near.empty() ? help : "did you mean " + near + "? (" + help + ")");
}

/// The output mode, for errors found before the line was read to its end.
Output output_of(int count, char** arguments) {
    for (int i = 1; i < count; ++i) {
        std::string word = arguments[i], value;
        if ((word == "-o" || word == "--output") && i + 1 < count) value = arguments[i + 1];
        if (word.starts_with("--output=")) value = word.substr(9);
        if (word.starts_with("-o") && word.size() > 2) value = word.substr(2);
        if (auto found = kOutput.find(value); found != kOutput.end()) return found->second;
    }
    return Output::text;
}

Exit report_usage(const Line& line, const CLI::App& app, const CLI::ParseError& e) {
    std::vector<std::string> extras = app.remaining(true);
    if (dynamic_cast<const CLI::ExtrasError*>(&e) != nullptr && !extras.empty())
        return fail(line.context, error_of_extra(app, extras.front()), "usage");
    const CLI::App* command = chosen(app);
    std::string help = command == &app ? "raftctl help all" : "raftctl " + command->get_name() + " --help";
    if (dynamic_cast<const CLI::RequiredError*>(&e) != nullptr && !extras.empty())
        return fail(line.context, error_of_extra(app, extras.front()), "usage");
    std::string what = e.what();
    if (dynamic_cast<const CLI::RequiredError*>(&e) != nullptr && command != &app) {
        std::string parts;
        for (const CLI::App* part : command->get_subcommands([](const CLI::App*) { return true; }))
            parts += (parts.empty() ? "" : ", ") + part->get_name();
        if (!parts.empty()) what = "`" + command->get_name() + "` needs one of: " + parts;
    }
    return fail(line.context, error(Errc::bad_input, what, help), "usage");
}

Exit run(int count, char** arguments) {
    Line line;
    CLI::App app("", "raftctl");
    shape_help(app);
    app.fallthrough();
    app.require_subcommand(0, 1);
    add_globals(app, line.context);
    add_lifecycle(app, line);
    add_append(app, line);
    add_tail(app, line);
    add_everyday(app, line);
    add_get(app, line);
    add_running(app, line);
    add_members(app, line);
    add_retention(app, line);
    add_snapshots(app, line);
    add_verify(app, line);
    add_recover(app, line);
    add_keeping(app, line);
    add_feature(app, line);
    add_looking(app, line);
    add_fsck(app, line);
    add_bench(app, line);
    add_faults(app, line);
    add_about(app, line);
    try {
        app.parse(count, arguments);
    } catch (const CLI::CallForHelp&) {
        if (chosen(app) == &app) return show_help(line.context, app, line, {});
        write_out(help_of(*chosen(app)));
        return finish_output(line.context, Exit::done);
    } catch (const CLI::ParseError& e) {
        line.context.output = output_of(count, arguments);
        return report_usage(line, app, e);
    }
    if (line.run) return line.run();
    return show_help(line.context, app, line, line.help_topics);
}

}  // namespace
}  // namespace raftd::cli

int main(int count, char** arguments) {
    raftd::cli::prepare_process();
    return static_cast<int>(raftd::cli::run(count, arguments));
}
