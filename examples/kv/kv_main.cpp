// kv: asks a kvd, or the next one when that doesn't answer. Without a command it sends the JSON lines of
// standard input, many at a time, and prints the answers.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "kv/ask.h"

namespace {

enum Exit { kDone = 0, kNo = 1, kUsage = 2, kUnavailable = 4, kUnknown = 5 };

int print(const kv::Answer& answer) {
    using Kind = kv::Answer::Kind;
    const char* told = answer.value.c_str();
    switch (answer.kind) {
        case Kind::yes: std::printf("%s\n", told); return kDone;
        case Kind::no: std::fprintf(stderr, "kv: no: %s\n", told); return kNo;
        case Kind::unavailable:
            std::fprintf(stderr, "kv: unavailable, nothing has happened: %s\n", told);
            return kUnavailable;
        case Kind::unknown:
            std::fprintf(stderr, "kv: it may have happened, or may yet: %s\n", told);
            return kUnknown;
        case Kind::refused: std::fprintf(stderr, "kv: %s\n", told); return kUsage;
    }
    return kUsage;
}

int stream(const std::string& servers) {
    const auto unanswered = kv::ask_all(servers);
    if (!unanswered) return print({kv::Answer::Kind::unavailable, "no connection to " + servers});
    if (*unanswered == 0) return kDone;
    return print({kv::Answer::Kind::unknown, std::to_string(*unanswered) + " commands have no answer"});
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Asks a kvd; without a command, the JSON lines of standard input.\n"
        "  kv --server 127.0.0.1:7300 set colour green\n"
        "  kv --server 127.0.0.1:7300,127.0.0.1:7301 cas colour green blue\n"
        "Exit codes: 0 done, 1 the key has another value or none, 2 usage, 4 unavailable (nothing has\n"
        "happened), 5 unknown (it may have).");
    std::string servers, key;
    std::vector<std::string> values;
    bool json = false;
    double timeout_s = 10;
    app.add_option("--server", servers, "HOST:PORT of a kvd, or several behind commas")->required();
    app.add_flag("--json", json, "values are JSON, not text; cas with null: the key isn't there");
    app.add_option("--timeout", timeout_s, "seconds for one command")->capture_default_str();
    app.fallthrough();
    auto command = [&](const char* name, const char* what, const char* wanted, int count) {
        CLI::App* added = app.add_subcommand(name, what);
        added->add_option("KEY", key)->required();
        if (count > 0) added->add_option(wanted, values)->required()->expected(count);
    };
    command("get", "prints a key's value", "", 0);
    command("set", "gives a key a value", "VALUE", 1);
    command("cas", "gives it the new value if it has the old one", "OLD_NEW", 2);
    command("delete", "removes a key", "", 0);
    app.require_subcommand(0, 1);
    CLI11_PARSE(app, argc, argv);

    if (app.get_subcommands().empty()) return stream(servers);
    const std::string op = app.get_subcommands().front()->get_name();
    const auto line = kv::command_line(op, key, values, json);
    if (!line) return print({kv::Answer::Kind::refused, "a value isn't JSON, or not in UTF-8"});
    kv::Answer answer = kv::ask(servers, *line, op != "get", timeout_s);
    if (op == "get" && answer.kind == kv::Answer::Kind::yes && answer.value == "null")
        answer = {kv::Answer::Kind::no, "there is no such key"};
    return print(answer);
}
