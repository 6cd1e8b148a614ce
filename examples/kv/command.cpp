#include "kv/command.h"

namespace kv {
namespace {

using raftd::Errc;
using raftd::error;
using raftd::Result;

// Whoever prints or compares a value goes down into it by calls: a stack has an end.
constexpr int kDepthMax = 32;

struct TooDeep {};

/// In words, since a Json can be made of almost anything.
Result<Json> good(Json json) { return {boost::system::in_place_value, std::move(json)}; }

Result<Json> parse_json(std::string_view text) {
    auto shallow = [](int depth, Json::parse_event_t, Json&) {
        if (depth > kDepthMax) throw TooDeep{};
        return true;
    };
    try {
        return good(Json::parse(text, shallow));
    } catch (const Json::exception&) {
        return error(Errc::bad_input, "this line isn't JSON in UTF-8");
    } catch (TooDeep) {
        return error(Errc::bad_input, "nested deeper than " + std::to_string(kDepthMax));
    }
}

/// A value that is there: null means "not there".
Result<Json> value_of(const Json& line, const char* name) {
    auto found = line.find(name);
    if (found == line.end()) return error(Errc::bad_input, std::string("\"") + name + "\" is missing");
    if (found->is_null())
        return error(Errc::bad_input, std::string("\"") + name + "\" can't be null; delete removes a key");
    return good(*found);
}

}  // namespace

Result<Command> parse_command(std::string_view text) {
    TRY(line, parse_json(text));
    if (!line.is_object()) return error(Errc::bad_input, "a command is a JSON object");
    Command command;
    const Json op = line.value("op", Json());
    const Json key = line.value("key", Json());
    if (!key.is_string()) return error(Errc::bad_input, "\"key\" must be a string");
    command.key = key;
    if (const Json id = line.value("id", Json()); id.is_string()) command.id = id;
    if (op == "get") return command;
    if (op == "delete") {
        command.op = Command::Op::del;
        return command;
    }
    if (op == "set") {
        TRY(value, value_of(line, "value"));
        command.op = Command::Op::set;
        command.value = std::move(value);
        return command;
    }
    if (op != "cas") return error(Errc::bad_input, "\"op\" must be get, set, cas or delete");
    TRY(value, value_of(line, "new"));
    if (!line.contains("old"))
        return error(Errc::bad_input, "\"old\" is missing; null is for a key that isn't there");
    command.op = Command::Op::cas;
    command.value = std::move(value);
    command.old = line["old"];
    return command;
}

std::string text_of(const Command& command) {
    Json line = {{"id", command.id}, {"key", command.key}};
    switch (command.op) {
        case Command::Op::get: line["op"] = "get"; break;
        case Command::Op::del: line["op"] = "delete"; break;
        case Command::Op::set:
            line["op"] = "set";
            line["value"] = command.value;
            break;
        case Command::Op::cas:
            line["op"] = "cas";
            line["old"] = command.old;
            line["new"] = command.value;
            break;
    }
    return line.dump();
}

}  // namespace kv
