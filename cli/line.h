// What the command line may say, and how commands are declared to the option parser. Only main.cpp and the
// declare_*.cpp files know that parser.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include "cli/append.h"
#include "cli/apply.h"
#include "cli/bench.h"
#include "cli/checkpoint.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/config.h"
#include "cli/debug.h"
#include "cli/destroy.h"
#include "cli/doctor.h"
#include "cli/events.h"
#include "cli/failover.h"
#include "cli/fault.h"
#include "cli/feature.h"
#include "cli/freeze.h"
#include "cli/fsck.h"
#include "cli/help.h"
#include "cli/init.h"
#include "cli/logs.h"
#include "cli/member.h"
#include "cli/recover.h"
#include "cli/retention.h"
#include "cli/snapshot.h"
#include "cli/start.h"
#include "cli/status.h"
#include "cli/tail.h"
#include "cli/verify.h"
#include "cli/why.h"

namespace raftd::cli {

/// Everything that the line may say.
struct Line {
    Context context;
    std::function<Exit()> run;
    std::vector<CommandInfo> commands;
    std::vector<std::string> help_topics;

    AppendOptions append;
    TailOptions tail;
    GetOptions get;
    BenchAppendOptions bench_append;
    BenchTailOptions bench_tail;
    BenchFailoverOptions bench_failover;
    InitOptions init;
    StartOptions start;
    StopOptions stop;
    RestartOptions restart;
    StatusOptions status;
    WaitOptions wait;
    LogsOptions logs;
    DestroyOptions destroy;
    MemberAddOptions member_add;
    MemberNames member_names;
    MemberSetOptions member_set;
    TransferOptions transfer;
    MemberFileOptions member_file;
    WhyOptions why;
    FaultOptions fault;
    EventsOptions events;
    FeatureOptions feature;
    SnapshotOptions snapshot;
    VerifyOptions verify;
    SaveOptions save;
    RestoreOptions restore;
    FreezeOptions freeze;
    RecoverOptions recover;
    FsckOptions fsck;
    ConfigOptions config;
    TrimOptions trim;
    RetentionOptions retention;
    CursorOptions cursor;
    CheckpointOptions checkpoint;
    Shell shell = Shell::bash;
    DebugDumpOptions dump;
    DebugWalOptions wal;
    DebugStateOptions state;
};

/// Before any command is declared.
void shape_help(CLI::App& app);
/// Of a declared command; its description begins with examples.
std::string summary_of(const CLI::App& command);
/// Declares a command: `examples` are whole lines, shown first in its help.
CLI::App* add_command(CLI::App& parent, Line& line, const CommandInfo& info, const std::string& examples,
                      std::function<Exit()> run);
/// A command of a command: `raftctl config check`.
CLI::App* add_part(CLI::App* command, Line& line, const std::string& name, const std::string& summary,
                   const std::string& examples, std::function<Exit()> run);

void add_members(CLI::App& app, Line& line);
void add_retention(CLI::App& app, Line& line);
void add_snapshots(CLI::App& app, Line& line);
void add_verify(CLI::App& app, Line& line);
void add_faults(CLI::App& app, Line& line);
void add_recover(CLI::App& app, Line& line);
void add_fsck(CLI::App& app, Line& line);
void add_failover(CLI::App& bench, Line& line);

}  // namespace raftd::cli
