// `raftctl cursor ...`
#include <algorithm>

#include "cli/connect.h"
#include "cli/retention.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

Json json_of(const client::Cursor& cursor) {
    Json json = Json::object().add("name", cursor.name).add("lsn", raw(cursor.lsn)).add("hold", cursor.hold);
    if (cursor.hold_bytes_max == 0)
        json.null("hold_max_bytes");
    else
        json.add("hold_max_bytes", cursor.hold_bytes_max);
    return json.add("hold_over", cursor.hold_over).add("set_ms", cursor.set_ms);
}

std::string hold_text(const client::Cursor& cursor) {
    if (!cursor.hold) return "-";
    std::string text = "hold";
    if (cursor.hold_bytes_max != 0) text += " up to " + text_of_bytes(cursor.hold_bytes_max);
    return cursor.hold_over ? text + ", over" : text;
}

}  // namespace

Exit cursor_list(const Context& context) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto cursors = connected->client.cursors();
    if (!cursors) return fail_with_cluster(context, connected->client, cursors.error());
    std::string text;
    if (context.output == Output::text) {
        size_t width = 4;
        for (const client::Cursor& cursor : *cursors) width = std::max(width, printable(cursor.name).size());
        auto row = [&](std::string name, const std::string& lsn, const std::string& hold) {
            name.resize(std::max(width, name.size()), ' ');
            text += name + "  " + std::string(lsn.size() < 12 ? 12 - lsn.size() : 0, ' ') + lsn + "  " +
                    hold + "\n";
        };
        if (!cursors->empty()) row("NAME", "LSN", "HOLD");
        for (const client::Cursor& cursor : *cursors)
            row(printable(cursor.name), std::to_string(raw(cursor.lsn)), hold_text(cursor));
        if (cursors->empty()) note(context, "there is no cursor");
    } else if (context.output == Output::jsonl) {
        for (const client::Cursor& cursor : *cursors) {
            std::string line = json_of(cursor).text();
            text += line.insert(1, "\"schema\":1,") + "\n";
        }
    } else {
        Json list = Json::array();
        for (const client::Cursor& cursor : *cursors) list.add(json_of(cursor));
        text = Json::object().add("schema", 1).add("cursors", list).text() + "\n";
    }
    write_out(text);
    return finish_output(context, Exit::done);
}

Exit cursor_get(const Context& context, const CursorOptions& options) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto cursor = connected->client.cursor(options.name);
    if (!cursor) return fail_with_cluster(context, connected->client, cursor.error());
    if (context.output == Output::text)
        write_out(std::to_string(raw(cursor->lsn)) + "\n");
    else
        write_out(json_of(*cursor).text().insert(1, "\"schema\":1,") + "\n");
    return finish_output(context, Exit::done);
}

Exit cursor_set(const Context& context, const CursorOptions& options) {
    client::Cursor cursor{options.name, Lsn{options.lsn}, options.hold, 0, 0, false};
    if (!options.hold_max.empty()) {
        auto bytes = conf::parse_bytes(options.hold_max);
        if (!bytes || *bytes == 0)
            return fail(context,
                        error(Errc::bad_input, "--hold-max needs a size, not \"" + options.hold_max + "\"",
                              "raftctl cursor set " + options.name + " 1 --hold --hold-max 10GiB"));
        cursor.hold = true;
        cursor.hold_bytes_max = *bytes;
    }
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto done = connected->client.set_cursor(cursor);
    if (!done) return fail_with_cluster(context, connected->client, done.error());
    if (context.output != Output::text)
        write_out(Json::object().add("schema", 1).add("name", cursor.name).add("lsn", options.lsn).text() +
                  "\n");
    return finish_output(context, Exit::done);
}

Exit cursor_delete(const Context& context, const CursorOptions& options) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto done = connected->client.delete_cursor(options.name);
    if (!done) return fail_with_cluster(context, connected->client, done.error());
    if (context.output != Output::text)
        write_out(Json::object().add("schema", 1).add("name", options.name).add("deleted", true).text() +
                  "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
