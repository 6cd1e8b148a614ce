#include "cli/completion.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <vector>

#include "cli/line.h"

namespace raftd::cli {
namespace {

/// What may stand for a value.
struct Value {
    enum class Kind : uint8_t { none, words, files, members, other } kind = Kind::none;
    std::string words;  // split by blanks
};
struct Flag {
    std::vector<std::string> shorts, longs;  // without dashes
    Value value;
    std::string what;
};
struct Part {
    std::string name, what;
};
/// One command, or the program itself (path "").
struct Command {
    std::string path;  // "config check"
    std::vector<Part> parts;
    std::vector<Flag> flags;
    Value argument;
};

Value value_of(std::string type) {
    using Kind = Value::Kind;
    if (type.empty()) return {Kind::other, {}};
    if (type.find('|') != std::string::npos) {
        std::replace(type.begin(), type.end(), '|', ' ');
        return {Kind::words, type};
    }
    for (const char* file : {"PATH", "FILE", "DIR", "F"})
        if (type == file) return {Kind::files, {}};
    if (type == "NODE" || type == "NAME") return {Kind::members, {}};
    return {Kind::other, {}};
}

/// The one loop over the tree; every shell is written from what it gathers.
void gather(const CLI::App& app, const std::string& path, const std::vector<Flag>& global,
            std::vector<Command>& into) {
    Command command{path, {}, {}, {}};
    for (const CLI::Option* option : app.get_options()) {
        bool takes_value = option->get_items_expected_max() > 0;
        if (option->nonpositional())
            command.flags.push_back({option->get_snames(), option->get_lnames(),
                                     takes_value ? value_of(option->get_type_name()) : Value{},
                                     option->get_description()});
        else if (command.argument.kind == Value::Kind::none)  // the first is what a tab is pressed for
            command.argument = option->get_type_name().find('|') != std::string::npos
                                   ? value_of(option->get_type_name())
                                   : value_of(option->get_name());
    }
    std::vector<Flag> everywhere = path.empty() ? command.flags : global;
    if (!path.empty()) {
        auto help = [](const Flag& flag) { return flag.longs == std::vector<std::string>{"help"}; };
        std::erase_if(command.flags, help);  // it is among those of every command
        command.flags.insert(command.flags.end(), global.begin(), global.end());
    }
    auto parts = app.get_subcommands([](const CLI::App*) { return true; });
    for (const CLI::App* part : parts) command.parts.push_back({part->get_name(), summary_of(*part)});
    into.push_back(std::move(command));
    for (const CLI::App* part : parts)
        gather(*part, path.empty() ? part->get_name() : path + " " + part->get_name(), everywhere, into);
}

std::vector<std::string> spellings(const Flag& flag) {
    std::vector<std::string> all;
    for (const std::string& name : flag.shorts) all.push_back("-" + name);
    for (const std::string& name : flag.longs) all.push_back("--" + name);
    return all;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

/// In single quotes, for any of the shells.
std::string quoted(std::string text, const std::string& quote = "'\\''") {
    for (size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += quote.size())
        text.replace(at, 1, quote);
    return "'" + text + "'";
}

// The members that the cluster.toml here or above names.
constexpr const char* kMembers = R"(_raftctl_members() {
    local folder=$PWD
    while [[ -n $folder && ! -f $folder/cluster.toml ]]; do folder=${folder%/*}; done
    [[ -f $folder/cluster.toml ]] || return 0
    awk -F'"' '/^\[/ { member = /^\[\[member\]\]/ } member && /^name *=/ { print $2 }' "$folder/cluster.toml"
}
)";

/// Patterns `path|flag` of the flags of `command` that take a value, by what the value is.
std::string value_patterns(const Command& command, const Flag& flag) {
    std::vector<std::string> patterns;
    for (const std::string& spelling : spellings(flag))
        patterns.push_back(quoted(command.path + "|" + spelling));
    return joined(patterns, "|");
}

std::string step_cases(const std::vector<Command>& commands) {
    std::string text;
    for (const Command& command : commands) {
        for (const Part& part : command.parts)
            text += "            " + quoted(command.path + "|" + part.name) +
                    ") at=" + quoted(command.path.empty() ? part.name : command.path + " " + part.name) +
                    " ;;\n";
        std::vector<std::string> skipped;
        for (const Flag& flag : command.flags)
            if (flag.value.kind != Value::Kind::none) skipped.push_back(value_patterns(command, flag));
        if (!skipped.empty()) text += "            " + joined(skipped, "|") + ") skip=1 ;;\n";
    }
    return text;
}

std::string bash_offer(const Value& value) {
    switch (value.kind) {
        case Value::Kind::words: return "_raftctl_offer " + quoted(value.words);
        case Value::Kind::files: return "_raftctl_files";
        case Value::Kind::members: return "_raftctl_offer \"$(_raftctl_members)\"";
        case Value::Kind::none:
        case Value::Kind::other: break;
    }
    return ":";
}

std::string bash_script(const std::vector<Command>& commands) {
    std::string text = "# Completion of raftctl for bash: source <(raftctl completion bash)\n";
    text += kMembers;
    text += R"(_raftctl_offer() {
    local IFS=$' \t\n'
    COMPREPLY+=($(compgen -W "$1" -- "$cur"))
}
_raftctl_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$cur"))
}
_raftctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= skip=0 i
    COMPREPLY=()
    # --flag=value comes as three words.
    if [[ $cur == '=' ]]; then cur=; elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == '=' ]]; then continue; fi
        if [[ $skip == 1 ]]; then skip=0; continue; fi
        case "$at|${COMP_WORDS[i]}" in
)";
    text += step_cases(commands) + "        esac\n    done\n    case \"$at|$prev\" in\n";
    for (const Command& command : commands)
        for (const Flag& flag : command.flags)
            if (flag.value.kind != Value::Kind::none)
                text += "        " + value_patterns(command, flag) + ") " + bash_offer(flag.value) +
                        "; return ;;\n";
    text += "    esac\n    case \"$at\" in\n";
    for (const Command& command : commands) {
        std::vector<std::string> flags, parts;
        for (const Flag& flag : command.flags)
            for (const std::string& spelling : spellings(flag)) flags.push_back(spelling);
        for (const Part& part : command.parts) parts.push_back(part.name);
        text += "        " + quoted(command.path) +
                ")\n            if [[ $cur == -* ]]; then _raftctl_offer " + quoted(joined(flags, " ")) +
                "; return; fi\n";
        if (!parts.empty()) text += "            _raftctl_offer " + quoted(joined(parts, " ")) + "\n";
        text += "            " + bash_offer(command.argument) + " ;;\n";
    }
    return text + "    esac\n}\ncomplete -F _raftctl raftctl\n";
}

std::string zsh_offer(const Value& value) {
    switch (value.kind) {
        case Value::Kind::words: return "compadd -- " + value.words;
        case Value::Kind::files: return "_files";
        case Value::Kind::members: return "compadd -- $(_raftctl_members)";
        case Value::Kind::none:
        case Value::Kind::other: break;
    }
    return ":";
}

/// `name:what`, as _describe takes it.
std::string zsh_item(std::string name, const std::string& what) {
    for (size_t at = 0; (at = name.find(':', at)) != std::string::npos; at += 2) name.insert(at, "\\");
    return quoted(name + ":" + what);
}

std::string zsh_script(const std::vector<Command>& commands) {
    std::string text =
        "#compdef raftctl\n# Completion of raftctl for zsh: source <(raftctl completion zsh)\n";
    text += kMembers;
    text += R"(_raftctl() {
    local at= skip=0 word
    local -a items
    for word in "${(@)words[2,CURRENT-1]}"; do
        if [[ $skip == 1 ]]; then skip=0; continue; fi
        case "$at|$word" in
)";
    text += step_cases(commands) + "        esac\n    done\n    case \"$at|${words[CURRENT-1]}\" in\n";
    for (const Command& command : commands)
        for (const Flag& flag : command.flags)
            if (flag.value.kind != Value::Kind::none)
                text += "        " + value_patterns(command, flag) + ") " + zsh_offer(flag.value) +
                        "; return ;;\n";
    text += "    esac\n    case \"$at\" in\n";
    for (const Command& command : commands) {
        std::vector<std::string> flags, parts;
        for (const Flag& flag : command.flags)
            for (const std::string& spelling : spellings(flag))
                flags.push_back(zsh_item(spelling, flag.what));
        for (const Part& part : command.parts) parts.push_back(zsh_item(part.name, part.what));
        text += "        " + quoted(command.path) + ")\n            if [[ $PREFIX == -* ]]; then items=(" +
                joined(flags, " ") + "); _describe -o flag items; return; fi\n";
        if (!parts.empty())
            text += "            items=(" + joined(parts, " ") + "); _describe command items\n";
        text += "            " + zsh_offer(command.argument) + " ;;\n";
    }
    return text + "    esac\n}\ncompdef _raftctl raftctl\n";
}

std::string fish_offer(const Value& value) {
    switch (value.kind) {
        case Value::Kind::words: return " -x -a " + quoted(value.words, "\\'");
        case Value::Kind::files: return " -r -F";
        case Value::Kind::members: return " -x -a '(__raftctl_members)'";
        case Value::Kind::other: return " -x";
        case Value::Kind::none: break;
    }
    return "";
}

std::string fish_script(const std::vector<Command>& commands) {
    std::string text = "# Completion of raftctl for fish: raftctl completion fish | source\n";
    text += R"(function __raftctl_members
    set -l folder $PWD
    while test -n "$folder"; and not test -f "$folder/cluster.toml"
        set folder (string replace -r '/[^/]*$' '' -- $folder)
    end
    test -f "$folder/cluster.toml"; or return
    awk -F'"' '/^\[/ { member = /^\[\[member\]\]/ } member && /^name *=/ { print $2 }' "$folder/cluster.toml"
end
function __raftctl_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        switch "$at|$word"
)";
    for (const Command& command : commands)
        for (const Part& part : command.parts)
            text += "            case " + quoted(command.path + "|" + part.name, "\\'") + "\n" +
                    "                set at " +
                    quoted(command.path.empty() ? part.name : command.path + " " + part.name, "\\'") + "\n";
    text += "        end\n    end\n    test \"$at\" = \"$argv[1]\"\nend\ncomplete -c raftctl -f\n";
    for (const Command& command : commands) {
        std::string head = "complete -c raftctl -n \"__raftctl_at '" + command.path + "'\"";
        for (const Part& part : command.parts)
            text += head + " -a " + part.name + " -d " + quoted(part.what, "\\'") + "\n";
        for (const Flag& flag : command.flags) {
            text += head;
            for (const std::string& name : flag.shorts) text += " -s " + name;
            for (const std::string& name : flag.longs) text += " -l " + name;
            text += fish_offer(flag.value) + " -d " + quoted(flag.what, "\\'") + "\n";
        }
        bool useful =
            command.argument.kind != Value::Kind::none && command.argument.kind != Value::Kind::other;
        std::string offer = fish_offer(command.argument);
        if (useful) text += head + (command.argument.kind == Value::Kind::files ? " -F" : offer) + "\n";
    }
    return text;
}

}  // namespace

std::string completion_script(const CLI::App& app, Shell shell) {
    std::vector<Command> commands;
    gather(app, "", {}, commands);
    switch (shell) {
        case Shell::bash: return bash_script(commands);
        case Shell::zsh: return zsh_script(commands);
        case Shell::fish: return fish_script(commands);
    }
    return "";
}

}  // namespace raftd::cli
