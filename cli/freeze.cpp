#include "cli/freeze.h"

#include <algorithm>

#include "cli/ask.h"
#include "cli/discover.h"
#include "cli/view.h"

namespace raftd::cli {
namespace {

constexpr Duration kFreezeAskTimeout = seconds(2);
constexpr Duration kShortest = seconds(1), kLongest = seconds(7 * 24 * 3600);

struct FreezeAnswer {
    std::string name, client, failure;
    std::optional<pb::Frozen> frozen;
};

void ask(std::vector<FreezeAnswer>& members, const pb::Request& request, const Context& context,
         std::optional<ClusterId> cluster) {
    std::vector<std::string> endpoints;
    for (const FreezeAnswer& member : members) endpoints.push_back(member.client);
    const auto answers = ask_each(endpoints, request, context.timeout, cluster);
    for (size_t i = 0; i < members.size(); ++i) {
        FreezeAnswer& member = members[i];
        member.frozen.reset();
        member.failure.clear();
        if (answers[i].answer && answers[i].answer->has_frozen())
            member.frozen = answers[i].answer->frozen();
        else if (!answers[i].answer)
            member.failure = answers[i].failure;
        else
            member.failure = answers[i].answer->has_error() ? answers[i].answer->error().what()
                                                            : "doesn't know this request";
    }
}

void print(const Context& context, const std::vector<FreezeAnswer>& members) {
    Json list = Json::array();
    for (const FreezeAnswer& member : members) {
        Json one = Json::object();
        one.add("name", member.name);
        if (member.frozen)
            one.add("frozen_s", (member.frozen->left_ms() + 999) / 1000).null("error");
        else
            one.null("frozen_s").add("error", member.failure);
        list.add(one);
        if (context.output != Output::text || !member.frozen) continue;
        const uint64_t left_s = (member.frozen->left_ms() + 999) / 1000;
        write_out(member.name + "  " +
                  (left_s == 0 ? "not frozen"
                               : "frozen for " + text_of_duration(seconds(static_cast<int64_t>(left_s)))) +
                  "\n");
    }
    if (context.output != Output::text)
        write_out(Json::object().add("schema", 1).add("members", list).text() + "\n");
}

Exit run(const Context& context, uint64_t for_ms) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    std::optional<ClusterId> cluster;
    if (found->spec) cluster = found->spec->id;
    std::vector<FreezeAnswer> members;
    for (const MemberView& member : observe(*found, std::min(context.timeout, kFreezeAskTimeout)).members)
        members.push_back({member.name, member.client, {}, {}});
    pb::Request request;
    request.mutable_freeze();
    ask(members, request, context, cluster);
    // Above all that is known, so that it counts whoever tells whom.
    uint64_t version = 0;
    for (const FreezeAnswer& member : members)
        if (member.frozen) version = std::max(version, member.frozen->version());
    request.mutable_freeze()->set_version(version + 1);
    request.mutable_freeze()->set_for_ms(for_ms);
    ask(members, request, context, cluster);
    if (interrupted()) return Exit::interrupted;
    const auto told = std::count_if(members.begin(), members.end(),
                                    [](const FreezeAnswer& member) { return member.frozen.has_value(); });
    if (told == 0) {
        std::vector<Tried> tried;
        for (const FreezeAnswer& member : members) tried.push_back({member.client, member.failure});
        return fail(context, error(Errc::unreachable, "no member of the cluster answered", "raftctl start"),
                    {}, tried);
    }
    print(context, members);
    if (told == static_cast<std::ptrdiff_t>(members.size())) return finish_output(context, Exit::done);
    for (const FreezeAnswer& member : members)
        if (!member.frozen)
            note(context, "warning: " + member.name + ": " + member.failure +
                              "; the others tell it once it is connected to one of them");
    return finish_output(context, Exit::degraded);
}

}  // namespace

Exit freeze(const Context& context, const FreezeOptions& options) {
    if (options.span < kShortest || options.span > kLongest)
        return fail(context, error(Errc::bad_input, "a cluster is frozen for 1 s to 7 days",
                                   "raftctl freeze --for 1h"));
    return run(context, static_cast<uint64_t>(options.span.ns / 1'000'000));
}

Exit thaw(const Context& context) { return run(context, 0); }

}  // namespace raftd::cli
