// `raftctl append --resolve PRODUCER:SEQUENCE`: what became of a batch whose outcome is unknown.
#include <charconv>

#include "cli/append.h"
#include "cli/connect.h"

namespace raftd::cli {
namespace {

using client::Resolution;

struct WantedRecord {
    std::string producer;
    uint64_t sequence = 0;
};

std::optional<WantedRecord> parse(const std::string& text) {
    size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0) return std::nullopt;
    WantedRecord wanted{text.substr(0, colon), 0};
    const char* end = text.data() + text.size();
    auto [read, failed] = std::from_chars(text.data() + colon + 1, end, wanted.sequence);
    if (failed != std::errc() || read != end || wanted.sequence == 0) return std::nullopt;
    return wanted;
}

std::string lsns_of(const Resolution& found) {
    if (found.count == 0) return "committed; its LSN is no longer remembered";
    std::string first = std::to_string(raw(found.first));
    if (found.count == 1) return "committed at LSN " + first;
    return "committed at LSNs " + first + " to " + std::to_string(raw(found.first) + found.count - 1);
}

std::string text_of(const Resolution& found) {
    switch (found.fate) {
        case Resolution::Fate::committed: return lsns_of(found);
        case Resolution::Fate::never: return "never: it isn't in the log and never will be";
        case Resolution::Fate::open:
            return "still open: it isn't in the log, and lands if a process that uses the producer sends it";
        case Resolution::Fate::gone:
            return "forgotten: the producer is closed or has expired; nothing of it lands any more, and "
                   "whether "
                   "this did before isn't known";
    }
    return "?";
}

const char* word_of(Resolution::Fate fate) {
    switch (fate) {
        case Resolution::Fate::committed: return "committed";
        case Resolution::Fate::never: return "never";
        case Resolution::Fate::open: return "open";
        case Resolution::Fate::gone: return "forgotten";
    }
    return "?";
}

Exit exit_for(Resolution::Fate fate) {
    switch (fate) {
        case Resolution::Fate::committed: return Exit::done;
        case Resolution::Fate::never: return Exit::not_found;
        case Resolution::Fate::open:
        case Resolution::Fate::gone: break;
    }
    return Exit::unknown;
}

void show(const Context& context, const WantedRecord& wanted, const Resolution& found) {
    if (context.output == Output::text) {
        write_out(text_of(found) + "\n");
        if (found.fate == Resolution::Fate::open)
            note(context, "hint: raftctl append --producer " + found.producer.name +
                              " --resume, with the same input, opens it again: then it is settled");
        return;
    }
    Json document = Json::object();
    document.add("schema", 1).add("producer", wanted.producer).add("sequence", wanted.sequence);
    document.add("outcome", word_of(found.fate));
    if (found.count != 0)
        document.add("lsn", raw(found.first)).add("count", uint64_t{found.count});
    else
        document.null("lsn").null("count");
    write_out(document.text() + "\n");
}

}  // namespace

Exit resolve(const Context& context, const std::string& what) {
    auto wanted = parse(what);
    if (!wanted)
        return fail(context,
                    error(Errc::bad_input, "`" + what + "` is not PRODUCER:SEQUENCE, like job:42 or 17:42",
                          "raftctl append --resolve 17:42"));
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto found = connected->client.resolve(wanted->producer, wanted->sequence, interrupted);
    if (!found) return fail_with_cluster(context, connected->client, found.error());
    show(context, *wanted, *found);
    return finish_output(context, exit_for(found->fate));
}

}  // namespace raftd::cli
