#include "cli/fault.h"

#include <cmath>
#include <cstdio>

#include "cli/ask.h"
#include "cli/debug.h"

namespace raftd::cli {
namespace {

pb::FaultRequest::Kind kind_of(FaultWord word) {
    switch (word) {
        case FaultWord::show: return pb::FaultRequest::SHOW;
        case FaultWord::disconnect: return pb::FaultRequest::DISCONNECT;
        case FaultWord::drop: return pb::FaultRequest::DROP;
        case FaultWord::delay: return pb::FaultRequest::DELAY;
        case FaultWord::duplicate: return pb::FaultRequest::DUPLICATE;
        case FaultWord::timeout: return pb::FaultRequest::TIMEOUT;
        case FaultWord::reconnect: return pb::FaultRequest::RECONNECT;
        case FaultWord::clear: return pb::FaultRequest::CLEAR;
    }
    return pb::FaultRequest::SHOW;
}

const char* word_of(pb::FaultRequest::Kind kind) {
    switch (kind) {
        case pb::FaultRequest::DISCONNECT: return "disconnect";
        case pb::FaultRequest::DROP: return "drop";
        case pb::FaultRequest::DELAY: return "delay";
        case pb::FaultRequest::DUPLICATE: return "duplicate";
        default: return "?";
    }
}

std::string percent_text(uint32_t per_million) {
    char text[32];
    std::snprintf(text, sizeof text, "%g %%", per_million / 1e4);
    return text;
}

/// `n2: delay to n3 by 200 ms, 59 s left`.
std::string line_of(const std::string& node, const pb::FaultInForce& one) {
    std::string text = node + ": " + word_of(one.kind()) + (one.outgoing() ? " to " : " from ") +
                       (one.peer().empty() ? "all" : one.peer());
    if (one.per_million() != 0) text += " " + percent_text(one.per_million());
    if (one.delay_us() != 0)
        text += " by " + text_of_duration(microseconds(static_cast<int64_t>(one.delay_us())));
    return text + ", " + text_of_duration(milliseconds(static_cast<int64_t>(one.ends_in_ms()))) + " left\n";
}

std::string text_of(const std::string& node, FaultWord word, const pb::Faults& faults) {
    if (word == FaultWord::timeout)
        return node + " campaigns in term " + std::to_string(faults.term()) + "\n";
    std::string text;
    for (const pb::FaultInForce& one : faults.faults()) text += line_of(node, one);
    return text.empty() ? node + ": no faults\n" : text;
}

Json json_of(const std::string& node, const pb::Faults& faults) {
    Json list = Json::array();
    for (const pb::FaultInForce& one : faults.faults()) {
        Json json = Json::object();
        json.add("kind", word_of(one.kind())).add("direction", one.outgoing() ? "to" : "from");
        if (one.peer().empty())
            json.null("peer");
        else
            json.add("peer", one.peer());
        if (one.per_million() == 0)
            json.null("percent");
        else
            json.add("percent", one.per_million() / 1e4);
        if (one.delay_us() == 0)
            json.null("delay_ms");
        else
            json.add("delay_ms", static_cast<double>(one.delay_us()) / 1e3);
        list.add(json.add("ends_in_ms", one.ends_in_ms()));
    }
    Json json = Json::object();
    json.add("schema", 1).add("node", node).add("term", faults.term()).add("faults", list);
    return json.add("lost", faults.lost()).add("late", faults.late()).add("doubled", faults.doubled());
}

Result<pb::Request> request_of(FaultWord word, const FaultOptions& options) {
    pb::Request request;
    pb::FaultRequest& fault = *request.mutable_fault();
    fault.set_kind(kind_of(word));
    for (const std::string& name : options.to) fault.add_to(name);
    for (const std::string& name : options.from) fault.add_from(name);
    bool by_chance = word == FaultWord::drop || word == FaultWord::duplicate;
    if (by_chance && !(options.percent >= 1e-4 && options.percent <= 100))
        return error(Errc::bad_input, "PERCENT is above 0 and at most 100",
                     std::string("raftctl fault ") + word_of(fault.kind()) + " " + options.node + " 20");
    if (by_chance) fault.set_per_million(static_cast<uint32_t>(std::lround(options.percent * 1e4)));
    fault.set_delay_us(static_cast<uint64_t>(options.delay.ns / 1000));
    fault.set_for_ms(static_cast<uint64_t>(options.lasts.ns / 1'000'000));
    return request;
}

}  // namespace

Exit fault(const Context& context, FaultWord word, const FaultOptions& options) {
    auto request = request_of(word, options);
    if (!request) return fail(context, request.error());
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    auto address = address_of(context, *found, options.node);
    if (!address) return fail(context, address.error());
    MemberAnswer answer = std::move(ask_each({*address}, *request, context.timeout).front());
    if (interrupted()) return Exit::interrupted;
    if (!answer.answer)
        return fail(context,
                    error(Errc::unreachable, options.node + " (" + *address + "): " + answer.failure,
                          "raftctl status"),
                    {}, {{*address, answer.failure}});
    if (!answer.answer->has_faults()) {
        const pb::Error& why = answer.answer->error();
        return fail(context, error(static_cast<Errc>(why.code()), why.what(), why.hint()));
    }
    const pb::Faults& faults = answer.answer->faults();
    if (context.output == Output::text)
        write_out(text_of(options.node, word, faults));
    else
        write_out(json_of(options.node, faults).text() + "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
