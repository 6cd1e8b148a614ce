// `raftctl get`: one record, exactly its bytes.
#include <unistd.h>

#include "cli/connect.h"
#include "cli/place.h"
#include "cli/tail.h"

namespace raftd::cli {
namespace {

Exit show(const Context& context, const GetOptions& options, const client::Record& record) {
    std::string output;
    if (context.output == Output::text) {
        bool terminal = ::isatty(STDOUT_FILENO) != 0;
        write_record(output, terminal ? Framing::lines : Framing::raw, record.data, terminal);
    } else {
        output = "{\"schema\":1,\"lsn\":" + std::to_string(raw(record.lsn)) +
                 ",\"timestamp_ms\":" + std::to_string(record.timestamp_ms) + "," +
                 data_member(record.data, options.data) + "}\n";
    }
    if (!write_out(output)) return Exit::done;
    return finish_output(context, Exit::done);
}

}  // namespace

Exit get(const Context& context, const GetOptions& options) {
    auto place = parse_place(options.lsn, 0);
    if (!place || place->kind != Place::Kind::lsn)
        return fail(context,
                    error(Errc::bad_input, "\"" + options.lsn + "\" is no LSN: they are numbers from 1 on",
                          "raftctl tail --with-lsn shows some"));
    auto max_lag = max_lag_ms(options.max_lag, options.local, false);
    if (!max_lag) return fail(context, max_lag.error());
    auto connected = connect(context);
    if (!connected) return connected.error();
    client::TailOptions wanted;
    wanted.from = client::From::lsn;
    wanted.value = place->value;
    wanted.to = Lsn{place->value};
    wanted.linearizable = !options.local;
    wanted.max_lag_ms = *max_lag;
    wanted.node = options.node;
    client::Tail tail = connected->client.tail(wanted);
    client::Record record;
    while (tail.next({&record, 1}, milliseconds(100)) == 0) {
        if (interrupted()) return Exit::interrupted;
        if (!tail.ended()) continue;
        Error why = tail.failure().value_or(error(Errc::not_found, "there is no such record"));
        why.what = "LSN " + options.lsn + ": " + why.what;
        if (why.code == Errc::not_found) why.hint = "raftctl tail -n 1 --with-lsn shows the last record";
        return fail_with_cluster(context, connected->client, why);
    }
    return show(context, options, record);
}

}  // namespace raftd::cli
