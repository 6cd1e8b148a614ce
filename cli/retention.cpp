#include "cli/retention.h"

#include "cli/connect.h"
#include "cli/view.h"
#include "conf/units.h"

namespace raftd::cli {
namespace {

std::string number(Lsn lsn) { return std::to_string(raw(lsn)); }

std::string line_of(const char* name, uint64_t value, const std::string& text) {
    return std::string(name) + (value == 0 ? "off" : text) + "\n";
}

void show(const Context& context, const client::RetentionFacts& facts) {
    const client::RetentionPolicy& policy = facts.policy;
    const uint64_t records = raw(facts.last) + 1 - raw(facts.first);
    if (context.output != Output::text) {
        Json json = Json::object().add("schema", 1);
        auto bound = [&json](const char* name, uint64_t value) {
            value == 0 ? json.null(name) : json.add(name, value);
        };
        bound("bytes", policy.bytes);
        bound("age_ms", policy.age_ms);
        bound("records", policy.records);
        json.add("below_checkpoint", policy.below_checkpoint);
        json.add("first_lsn", raw(facts.first)).add("last_lsn", raw(facts.last));
        json.add("kept_records", records).add("kept_bytes", facts.kept_bytes);
        write_out(json.text() + "\n");
        return;
    }
    auto age = milliseconds(static_cast<int64_t>(policy.age_ms));
    write_out(line_of("bytes             ", policy.bytes, text_of_bytes(policy.bytes)) +
              line_of("age               ", policy.age_ms, text_of_duration(age)) +
              line_of("records           ", policy.records, std::to_string(policy.records)) +
              line_of("below-checkpoint  ", policy.below_checkpoint ? 1 : 0, "on"));
    note(context, "kept: " + counted(records, "record") + " from LSN " + number(facts.first) + ", " +
                      text_of_bytes(facts.kept_bytes));
}

Result<std::optional<uint64_t>> bytes_of(const char* flag, const std::string& text) {
    if (text.empty()) return std::optional<uint64_t>{};
    if (text == "off") return std::optional<uint64_t>(0);
    auto bytes = conf::parse_bytes(text);
    if (bytes && *bytes != 0) return bytes;
    return error(Errc::bad_input, std::string(flag) + " needs a size or off, not \"" + text + "\"",
                 std::string(flag) + " 10GiB");
}

Result<client::RetentionChange> change_of(const RetentionOptions& options) {
    client::RetentionChange change;
    TRY(bytes, bytes_of("--bytes", options.bytes));
    change.bytes = bytes;
    if (options.age == "off") {
        change.age_ms = 0;
    } else if (!options.age.empty()) {
        auto age = conf::parse_duration(options.age);
        if (!age || age->ns < 1'000'000)
            return error(Errc::bad_input, "--age needs a duration or off, not \"" + options.age + "\"",
                         "--age 7d");
        change.age_ms = static_cast<uint64_t>(age->ns / 1'000'000);
    }
    if (options.records == "off") {
        change.records = 0;
    } else if (!options.records.empty()) {
        const bool digits = options.records.size() < 19 &&
                            options.records.find_first_not_of("0123456789") == std::string::npos;
        change.records = digits ? std::stoull(options.records) : 0;
        if (change.records == 0)
            return error(Errc::bad_input, "--records needs a number or off, not \"" + options.records + "\"",
                         "--records 1000000");
    }
    if (!options.below_checkpoint.empty()) change.below_checkpoint = options.below_checkpoint == "on";
    if (!change.bytes && !change.age_ms && !change.records && !change.below_checkpoint)
        return error(Errc::bad_input, "nothing to set: give --bytes, --age, --records or --below-checkpoint",
                     "raftctl retention set --bytes 10GiB");
    return change;
}

}  // namespace

Exit trim(const Context& context, const TrimOptions& options) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto done = connected->client.trim(Lsn{options.before});
    if (!done) return fail_with_cluster(context, connected->client, done.error());
    if (done->held_at && raw(*done->held_at) < options.before) {
        const std::string who = done->held_by.empty() ? "the newest checkpoint, by `retention`"
                                                      : "cursor " + printable(done->held_by);
        return fail_with_cluster(context, connected->client,
                                 error(Errc::conflict,
                                       "trimmed up to LSN " + number(done->first) + " only: " + who +
                                           " keeps what is at " + number(*done->held_at) + " and above",
                                       done->held_by.empty() ? "raftctl checkpoint put FILE --upto LSN --trim"
                                                             : "raftctl cursor set " + done->held_by +
                                                                   " LSN moves it; without "
                                                                   "--hold it keeps nothing"));
    }
    if (context.output == Output::text)
        write_out("the first record is " + number(done->first) + "\n");
    else
        write_out(Json::object().add("schema", 1).add("first_lsn", raw(done->first)).text() + "\n");
    return finish_output(context, Exit::done);
}

Exit retention_show(const Context& context) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto facts = connected->client.retention();
    if (!facts) return fail_with_cluster(context, connected->client, facts.error());
    show(context, *facts);
    return finish_output(context, Exit::done);
}

Exit retention_set(const Context& context, const RetentionOptions& options) {
    auto change = change_of(options);
    if (!change) return fail(context, change.error());
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto facts = connected->client.set_retention(*change);
    if (!facts) return fail_with_cluster(context, connected->client, facts.error());
    show(context, *facts);
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
