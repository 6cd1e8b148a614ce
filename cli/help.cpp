#include "cli/help.h"

#include <algorithm>

namespace raftd::cli {
namespace {

std::string padded(std::string text, size_t width) {
    text.resize(std::max(text.size(), width), ' ');
    return text;
}

std::vector<std::string_view> groups_of(const std::vector<CommandInfo>& commands) {
    std::vector<std::string_view> groups;
    for (const CommandInfo& command : commands)
        if (std::find(groups.begin(), groups.end(), command.group) == groups.end())
            groups.push_back(command.group);
    return groups;
}

std::string group_in_full(const std::vector<CommandInfo>& commands, std::string_view group) {
    std::string text = std::string(group) + "\n";
    for (const CommandInfo& command : commands) {
        if (command.group != group) continue;
        std::string head = "  " + std::string(command.name);
        if (!command.arguments.empty()) head += " " + std::string(command.arguments);
        text += padded(head, 32) + (head.size() >= 32 ? "\n" + std::string(32, ' ') : "") +
                std::string(command.summary) + "\n";
    }
    return text;
}

}  // namespace

std::string overview(const std::vector<CommandInfo>& commands) {
    std::string text =
        "raftctl makes, runs and uses a cluster of raftd: one replicated, durable log of records.\n\n";
    text += group_in_full(commands, kEveryday) + "\n";
    for (std::string_view group : groups_of(commands)) {
        if (group == kEveryday) continue;
        std::string names;
        for (const CommandInfo& command : commands)
            if (command.group == group) names += "  " + std::string(command.name);
        text += padded(std::string(group), 14) + names + "\n";
    }
    return text + "\nraftctl COMMAND --help, raftctl help all, raftctl help exit-codes\n";
}

std::string help_all(const std::vector<CommandInfo>& commands) {
    std::string text;
    for (std::string_view group : groups_of(commands)) text += group_in_full(commands, group) + "\n";
    return text +
           "flags that work with every command, anywhere on the line\n"
           "  --endpoint HOST:PORT[,...]    members to ask (else --cluster, $RAFTCTL_ENDPOINTS,\n"
           "                                $RAFTCTL_CLUSTER, cluster.toml here or above)\n"
           "  --cluster PATH                a cluster.toml, or its folder\n"
           "  -o, --output text|json|jsonl  form of the result\n"
           "  --timeout DUR                 without progress (10s)\n"
           "  --progress auto|always|never  and --color auto|always|never\n"
           "  -q, --quiet                   errors only\n"
           "  -v, --verbose                 also which source named the cluster\n"
           "  -h, --help                    of the command, with examples\n";
}

std::string help_exit_codes() {
    return "0    done (status: there is a leader)\n"
           "1    failed, nothing else said\n"
           "2    usage, bad configuration, bad input\n"
           "3    unreachable: no endpoint answered, nothing was sent\n"
           "4    unavailable: no leader, no quorum, busy, disk full: nothing happened\n"
           "5    unknown outcome: an append may have landed (append --resolve tells)\n"
           "6    not found, trimmed, beyond the end\n"
           "7    conflict: exists already, in use, condition not met, fenced\n"
           "8    damage or difference found\n"
           "9    denied\n"
           "10   degraded (status --check, wait): quorum, but a member is missing\n"
           "130  interrupted by Ctrl-C (an append with unanswered batches: 5)\n";
}

std::string_view version_number() { return RAFTD_VERSION; }
std::string version_text() { return "raftctl " + std::string(version_number()); }

}  // namespace raftd::cli
