// `raftctl debug state`: what the store of a stopped member's replicated state holds.
#include <algorithm>

#include "base/uuid.h"
#include "cli/debug.h"
#include "cli/stored_state.h"
#include "cli/view.h"
#include "io/asio/process.h"
#include "snapshot/leveldb_store.h"

namespace raftd::cli {
namespace {

Result<StoredState> read_state(const std::string& data_dir) {
    auto lock = io::asio::DirectoryLock::take(data_dir);
    if (!lock) {
        Error why = lock.error();
        if (why.code == Errc::conflict)
            why.hint = "raftctl debug dump NODE shows the state of a running member";
        if (why.code == Errc::not_found) why.hint = "a data directory is a member's data/, such as n1/data";
        return why;
    }
    const std::string again = "start the member: it makes its state again from the log";
    auto store = snapshot::LevelDbMaker(data_dir + "/state").open_existing();
    if (!store) {
        if (store.error().code == Errc::not_found)
            return error(Errc::not_found, data_dir + " holds no replicated state", again);
        return error(store.error().code, store.error().what, again);
    }
    auto found = read_stored(**store);
    if (found) return found;
    return error(found.error().code, data_dir + "/state: " + found.error().what, again);
}

Json json_of(const StoredState& state) {
    const LogPoint& at = state.mark.applied;
    Json producers = Json::array(), used = Json::array(), configs = Json::array();
    for (const ProducerLine& line : state.producers)
        producers.add(Json::object()
                          .add("id", line.id)
                          .add("epoch", uint64_t{line.record.epoch})
                          .add("last", line.record.last)
                          .add("records", line.record.records)
                          .add("opened_index", line.record.opened_index)
                          .add("used_ms", line.record.used_ms)
                          .add("name", line.name));
    for (uint64_t id : state.used_ids) used.add(Json::object().add("id", id));
    for (uint64_t index : state.configs) configs.add(Json::object().add("index", index));
    Json cursors = Json::array(), checkpoints = Json::array();
    for (const std::string& name : state.cursors) cursors.add(Json::object().add("name", name));
    for (uint64_t id : state.checkpoints) checkpoints.add(Json::object().add("id", id));
    Json marks = Json::array();
    for (const auto& [first, record] : state.marks)
        marks.add(Json::object()
                      .add("first_index", first)
                      .add("lsn_first", record.lsn_first)
                      .add("timestamp_ms", record.timestamp_ms)
                      .add("bytes_before", record.bytes_before));
    Json mark = Json::object()
                    .add("cluster_id", to_hex(state.mark.cluster_id))
                    .add("incarnation", to_hex(state.mark.incarnation))
                    .add("index", raw(at.index))
                    .add("term", raw(at.term))
                    .add("chain", to_hex(at.chain))
                    .add("next_lsn", raw(at.lsn_next))
                    .add("timestamp_ms", at.timestamp_ms);
    return Json::object()
        .add("schema", 1)
        .add("mark", mark)
        .add("feature_level", uint64_t{state.header.feature_level})
        .add("answers_given", state.header.answers_given)
        .add("archive", Json::object()
                            .add("bytes", state.header.archive_bytes)
                            .add("entries", state.header.archive_entries)
                            .add("changes", state.header.archive_changes))
        .add("archives", marks)
        .add("cursors", cursors)
        .add("checkpoints", checkpoints)
        .add("used_ids", used)
        .add("configs", configs)
        .add("producers", producers);
}

std::string text_of(const StoredState& state) {
    const LogPoint& at = state.mark.applied;
    auto number = [](uint64_t value) { return std::to_string(value); };
    std::string text = "applied to entry " + number(raw(at.index)) + ", term " + number(raw(at.term)) +
                       ", chain " + to_hex(at.chain) + ", next LSN " + number(raw(at.lsn_next)) + "\n";
    text +=
        "cluster " + to_hex(state.mark.cluster_id) + ", incarnation " + to_hex(state.mark.incarnation) + "\n";
    text += "feature level " + number(state.header.feature_level) + "\n";
    text += "used member ids:";
    for (uint64_t id : state.used_ids) text += " " + number(id);
    text += "\nconfigurations at entries:";
    for (uint64_t index : state.configs) text += " " + number(index);
    text += "\narchives begin at entries:";
    for (const auto& [first, record] : state.marks) text += " " + number(first);
    text += "; entries in the open one: " + number(state.header.archive_entries);
    text += "\n" + counted(state.cursors.size(), "cursor") + ", " +
            counted(state.checkpoints.size(), "checkpoint");
    text += "\nanswers given to producers: " + number(state.header.answers_given) + "\n";
    text += counted(state.producers.size(), "producer") + "\n";
    if (state.producers.empty()) return text;
    auto row = [&](std::initializer_list<std::string> cells) {
        std::string line;
        for (const std::string& cell : cells) {
            line.append(line.empty() ? "  " : " ");
            if (cell.size() < 12) line.append(12 - cell.size(), ' ');
            line += cell;
        }
        text += line;
    };
    row({"ID", "EPOCH", "LAST", "RECORDS", "OPENED"});
    text += "  NAME\n";
    for (const ProducerLine& line : state.producers) {
        const auto& record = line.record;
        row({number(line.id), number(record.epoch), number(record.last), number(record.records),
             number(record.opened_index)});
        text += "  " + (line.name.empty() ? "-" : printable(line.name)) + "\n";
    }
    return text;
}

}  // namespace

Exit debug_state(const Context& context, const DebugStateOptions& options) {
    if (context.output == Output::jsonl)
        return fail(context, error(Errc::bad_input, "a state is one document, no stream of lines",
                                   "raftctl debug state DATA_DIR -o json"));
    auto state = read_state(options.data_dir);
    if (!state) return fail(context, state.error());
    write_out(context.output == Output::text ? text_of(*state) : json_of(*state).text() + "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
