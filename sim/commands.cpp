#include "sim/commands.h"

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "daemon/black_box.h"
#include "sim/trial.h"

namespace raftd::sim {
namespace {

constexpr const char* kHelp =
    "usage: raftsim [--seed N] [--seeds COUNT] [--profile P] [--nodes N] [--time SECONDS] [--trace]\n"
    "       raftsim --replay FILE\n"
    "\n"
    "Runs whole clusters, real daemon and client code, in virtual time, under the faults drawn from each "
    "seed.\n"
    "\n"
    "  --seed N          first seed, decimal or 0x...  (default 1)\n"
    "  --seeds COUNT     how many, one after the other  (default 1)\n"
    "  --profile P       swarm, quiet, crash, disk, network, damage, churn, install, restored or speed\n"
    "                    (default swarm)\n"
    "  --nodes N         members, 1 to 9  (default: drawn)\n"
    "  --time SECONDS    virtual time of the phase with faults  (default: drawn, 10 to 170)\n"
    "  --twice           runs each seed twice and compares  (1 % are, anyway)\n"
    "  --speed-min X     fails when slower than X times real time\n"
    "  --changes-min N   fails when fewer changes of the members were completed\n"
    "  --ledger FILE     adds the changes of the members to those of earlier runs\n"
    "  --find            passes when a seed fails: for planted bugs\n"
    "  --trace           prints every event of a run\n"
    "  --replay FILE     runs the black box of a raftd whose internal check failed, to the same failure\n"
    "\n"
    "A batch of 200 seeds or more, with nothing else drawn by hand, must also have met each situation that "
    "its\n"
    "profile is there for.\n"
    "\n"
    "Exit codes: 0 pass, 1 too slow or too few changes, or planted and not found, 2 correctness, 3 liveness, "
    "4 a seed that "
    "didn't\n"
    "repeat itself, 5 something that must be reached wasn't, 134 a failed check, 64 wrong usage.\n";

constexpr int kUsage = 64;
constexpr int kNotReached = 5;

struct Command {
    TrialOptions trial;
    uint64_t seeds = 1;
    bool twice = false, find = false, help = false;
    double speed_min = 0;
    uint64_t changes_min = 0;
    std::string plant, replay, ledger;
};

std::optional<uint64_t> number(std::string_view text) {
    int base = 10;
    if (text.starts_with("0x")) base = 16, text.remove_prefix(2);
    uint64_t value = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (fault != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

/// The value of one option; false when it can't be.
bool set_option(Command& command, std::string_view name, std::string_view value) {
    if (name == "--plant") return command.plant = value, true;
    if (name == "--ledger") return command.ledger = value, !value.empty();
    if (name == "--replay") return command.replay = value, !value.empty();
    if (name == "--profile") {
        auto profile = parse_profile(value);
        if (profile) command.trial.profile = *profile;
        return profile.has_value();
    }
    auto parsed = number(value);
    if (!parsed) return false;
    if (name == "--seed") return command.trial.seed = *parsed, true;
    if (name == "--seeds") return command.seeds = *parsed, *parsed > 0;
    if (name == "--nodes")
        return command.trial.members = static_cast<uint32_t>(*parsed), *parsed >= 1 && *parsed <= 9;
    if (name == "--time")
        return command.trial.length = seconds(static_cast<int64_t>(*parsed)),
               *parsed >= 1 && *parsed <= 1'000'000;
    if (name == "--changes-min") return command.changes_min = *parsed, true;
    if (name == "--speed-min") return command.speed_min = static_cast<double>(*parsed), true;
    return false;
}

bool parse(int argc, char** argv, Command& command) {
    for (int i = 1; i < argc; ++i) {
        std::string_view name = argv[i];
        if (name == "--help" || name == "-h")
            command.help = true;
        else if (name == "--trace")
            command.trial.trace = true;
        else if (name == "--twice")
            command.twice = true;
        else if (name == "--find")
            command.find = true;
        else if (i + 1 >= argc || !set_option(command, name, argv[++i])) {
            std::fprintf(stderr, "raftsim: don't understand %s; see raftsim --help\n", argv[i]);
            return false;
        }
    }
    return true;
}

std::string repeat_command(const Command& command, uint64_t seed) {
    std::string text = command.plant.empty() ? "raftsim" : "raftsim_planted --plant " + command.plant;
    text += " --seed " + std::to_string(seed) + " --profile " + std::string(text_of(command.trial.profile));
    if (command.trial.members != 0) text += " --nodes " + std::to_string(command.trial.members);
    if (command.trial.length) text += " --time " + std::to_string(command.trial.length->ns / 1'000'000'000);
    return text + " --trace";
}

/// What many runs add up to.
struct Sum {
    uint64_t seeds = 0, events = 0, elections = 0, acked = 0, restarts = 0;
    int64_t virtual_ns = 0;
    Reached reached;
    NetTotals net;
    std::map<std::string, uint64_t> faults;
    ChangeTotals changes;

    void add(const TrialResult& result) {
        ++seeds;
        events += result.events, elections += result.elections, acked += result.acked,
            restarts += result.restarts;
        virtual_ns += result.virtual_time.ns;
        changes.add(result.changes);
        reached.add(result.reached);
        net.frames += result.net.frames, net.dropped += result.net.dropped, net.doubled += result.net.doubled;
        net.reordered += result.net.reordered, net.resets += result.net.resets,
            net.delayed += result.net.delayed, net.corrupted += result.net.corrupted;
        for (const auto& [name, times] : result.faults) faults[name] += times;
    }
    void print(double real_seconds) const {
        double virtual_seconds = static_cast<double>(virtual_ns) / 1e9;
        std::printf("seeds=%llu virtual_hours=%.2f real_s=%.1f times_real=%.0f events_per_s=%.0f\n",
                    static_cast<unsigned long long>(seeds), virtual_seconds / 3600, real_seconds,
                    virtual_seconds / real_seconds, static_cast<double>(events) / real_seconds);
        std::printf(
            "elections=%llu records_acked=%llu starts=%llu frames=%llu dropped=%llu doubled=%llu "
            "reordered=%llu delayed=%llu resets=%llu corrupted=%llu\n",
            static_cast<unsigned long long>(elections), static_cast<unsigned long long>(acked),
            static_cast<unsigned long long>(restarts), static_cast<unsigned long long>(net.frames),
            static_cast<unsigned long long>(net.dropped), static_cast<unsigned long long>(net.doubled),
            static_cast<unsigned long long>(net.reordered), static_cast<unsigned long long>(net.delayed),
            static_cast<unsigned long long>(net.resets), static_cast<unsigned long long>(net.corrupted));
        const uint64_t unknown = reached[Reach::append_unknown];
        const uint64_t appends =
            unknown + reached[Reach::append_committed] + reached[Reach::append_refused_client];
        std::printf("appends=%llu unknown=%llu unknown_percent=%.3f\n",
                    static_cast<unsigned long long>(appends), static_cast<unsigned long long>(unknown),
                    appends == 0 ? 0.0 : 100.0 * static_cast<double>(unknown) / static_cast<double>(appends));
        std::string line = "faults:";
        for (const auto& [name, times] : faults) line += " " + name + "=" + std::to_string(times);
        std::printf("%s\n", line.c_str());
        if (changes.completed() > 0)
            std::printf("changes_completed=%llu (completed/refused/abandoned: %s)\n",
                        static_cast<unsigned long long>(changes.completed()), changes.text().c_str());
        line = "reached:";
        for (size_t i = 0; i < kReachCount; ++i)
            line +=
                " " + std::string(text_of(static_cast<Reach>(i))) + "=" + std::to_string(reached.counts[i]);
        std::printf("%s\n", line.c_str());
    }
};

TrialResult run_one(const Command& command, uint64_t seed) {
    TrialOptions options = command.trial;
    options.seed = seed;
    TrialResult result = run_trial(options);
    if (result.ending != Ending::pass || (!command.twice && seed % 100 != 0)) return result;
    options.trace = false;
    TrialResult again = run_trial(options);
    if (again.hash == result.hash && again.events == result.events) return result;
    result.ending = Ending::not_repeatable;
    result.text = "ran twice and differed: " + std::to_string(result.events) + " and " +
                  std::to_string(again.events) + " events";
    return result;
}

/// One line, of all runs so far.
bool add_to_ledger(const std::string& path, ChangeTotals changes) {
    std::string line;
    if (std::ifstream before(path); before) std::getline(before, line);
    changes.parse(line);
    std::ofstream after(path);
    after << changes.text() << '\n';
    std::printf("ledger: changes_completed=%llu (%s)\n", static_cast<unsigned long long>(changes.completed()),
                changes.text().c_str());
    return after.good();
}

/// A planted bug was found; without it the same seeds must pass.
int found_planted(Command command, const Outside& outside, uint64_t seeds) {
    std::printf("found with %llu seeds\n", static_cast<unsigned long long>(seeds));
    if (outside.plant == nullptr) return 0;
    outside.plant("none");
    for (uint64_t i = 0; i < seeds; ++i) {
        TrialResult clean = run_one(command, command.trial.seed + i);
        if (clean.ending == Ending::pass) continue;
        command.plant = "none";
        std::printf("but the seed fails without it too: %s\n%s\n", clean.text.c_str(),
                    repeat_command(command, command.trial.seed + i).c_str());
        return static_cast<int>(clean.ending);
    }
    return 0;
}

int run_seeds(const Command& command, const Outside& outside) {
    double begun = outside.seconds();
    Sum sum;
    for (uint64_t i = 0; i < command.seeds; ++i) {
        uint64_t seed = command.trial.seed + i;
        TrialResult result = run_one(command, seed);
        sum.add(result);
        if (result.ending == Ending::pass) {
            if (command.seeds == 1)
                std::printf("knobs: %s\nhash=%016llx committed=%llu\n", result.knobs.c_str(),
                            static_cast<unsigned long long>(result.hash),
                            static_cast<unsigned long long>(result.committed));
            continue;
        }
        std::printf("seed %llu failed after %.6f s: %s\nknobs: %s\n", static_cast<unsigned long long>(seed),
                    static_cast<double>(result.virtual_time.ns) / 1e9, result.text.c_str(),
                    result.knobs.c_str());
        if (command.find) return found_planted(command, outside, i + 1);
        if (!result.dumps.empty()) std::printf("%s", result.dumps.c_str());
        std::printf("%s\n", repeat_command(command, seed).c_str());
        return static_cast<int>(result.ending);
    }
    double real = outside.seconds() - begun;
    sum.print(real);
    if (command.find) {
        std::printf("not found in %llu seeds\n", static_cast<unsigned long long>(command.seeds));
        return 1;
    }
    if (!command.ledger.empty() && !add_to_ledger(command.ledger, sum.changes)) return 1;
    bool as_drawn = command.trial.members == 0 && !command.trial.length && command.plant.empty();
    std::string missing = sum.reached.missing(command.trial.profile);
    if (command.seeds >= kBatchSeeds && as_drawn && !missing.empty()) {
        std::printf("never reached, though %llu seeds of this profile must: %s\n",
                    static_cast<unsigned long long>(command.seeds), missing.c_str());
        return kNotReached;
    }
    if (sum.changes.completed() < command.changes_min) {
        std::printf("too few changes of the members were completed: wanted %llu\n",
                    static_cast<unsigned long long>(command.changes_min));
        return 1;
    }
    double speed = static_cast<double>(sum.virtual_ns) / 1e9 / real;
    if (speed < command.speed_min) {
        std::printf("too slow: %.0f x real time, wanted %.0f\n", speed, command.speed_min);
        return 1;
    }
    return 0;
}

}  // namespace

namespace {

int run_black_box(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string box{std::istreambuf_iterator<char>(file), {}};
    if (!file.good() && box.empty()) {
        std::fprintf(stderr, "raftsim: can't read %s\n", path.c_str());
        return kUsage;
    }
    std::printf("replay=%s revision=%s\n", path.c_str(), RAFTD_REVISION);
    auto events = daemon::replay(as_bytes(box), [](const std::string& line) {
        std::printf("%s\n", line.c_str());
        std::fflush(stdout);  // the next event may be the one that aborts
    });
    if (!events) {
        std::fprintf(stderr, "raftsim: %s: %s\n", path.c_str(), events.error().what.c_str());
        return kUsage;
    }
    std::printf("%llu events, and no check failed\n", static_cast<unsigned long long>(*events));
    return 0;
}

}  // namespace

int run_command(int argc, char** argv, const Outside& outside) {
    Command command;
    if (!parse(argc, argv, command)) return kUsage;
    if (command.help) return std::fputs(kHelp, stdout), 0;
    if (!command.replay.empty()) return run_black_box(command.replay);
    if (!command.plant.empty() && (outside.plant == nullptr || !outside.plant(command.plant))) {
        std::fprintf(stderr, "raftsim: no planted bug %s here\n", command.plant.c_str());
        return kUsage;
    }
    std::printf("seed=%llu revision=%s profile=%s\n", static_cast<unsigned long long>(command.trial.seed),
                RAFTD_REVISION, std::string(text_of(command.trial.profile)).c_str());
    return run_seeds(command, outside);
}

}  // namespace raftd::sim
