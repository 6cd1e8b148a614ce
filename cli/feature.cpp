#include "cli/feature.h"

#include "base/features.h"
#include "cli/discover.h"
#include "cli/membership.h"

namespace raftd::cli {
namespace {

/// As whoever leads has them.
Result<pb::Features> ask(const Context& context, const Found& found, const pb::Request& request) {
    TRY(answer, ask_leader(context, found, request));
    if (answer.has_features()) return answer.features();
    const pb::Error& refusal = answer.error();
    return error(static_cast<Errc>(refusal.code()), refusal.what(), refusal.hint());
}

std::string sentence_of(const pb::Features& features) {
    return "feature level " + std::to_string(features.level()) + " (" +
           name_of_feature_level(features.level()) + ")";
}

/// The level that a raise would come to, and who stands in the way of the next one.
uint32_t highest_of_all(const pb::Features& features) {
    uint32_t highest = features.level_max();
    for (const pb::MemberFeatures& member : features.members())
        highest = std::min(highest, member.level_max());
    return std::max(highest, features.level());
}

std::string json_text_of(const pb::Features& features) {
    Json json = Json::object(), members = Json::array();
    json.add("schema", 1).add("level", uint64_t{features.level()});
    json.add("raisable_to", uint64_t{highest_of_all(features)}).add("raised", features.raised());
    for (const pb::MemberFeatures& member : features.members()) {
        Json one = Json::object();
        one.add("id", uint64_t{member.id()}).add("name", member.name());
        if (member.level_max() == 0)
            one.null("level_max");
        else
            one.add("level_max", uint64_t{member.level_max()});
        members.add(one);
    }
    return json.add("members", members).text() + "\n";
}

}  // namespace

Exit feature_show(const Context& context) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    pb::Request request;
    request.mutable_features();
    auto features = ask(context, *found, request);
    if (!features) return fail(context, features.error());
    if (context.output != Output::text) {
        write_out(json_text_of(*features));
        return finish_output(context, Exit::done);
    }
    std::string text = sentence_of(*features) + "\n";
    for (const pb::MemberFeatures& member : features->members())
        text += member.name() + "  " +
                (member.level_max() == 0 ? "not connected" : "up to " + std::to_string(member.level_max())) +
                "\n";
    write_out(text);
    if (highest_of_all(*features) > features->level()) note(context, "hint: raftctl feature raise");
    return finish_output(context, Exit::done);
}

Exit feature_raise(const Context& context, const FeatureOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    pb::Request request;
    request.mutable_raise_feature()->set_to(options.to);
    auto features = ask(context, *found, request);
    if (!features) return fail(context, features.error());
    if (context.output != Output::text)
        write_out(json_text_of(*features));
    else
        write_out(sentence_of(*features) + "\n");
    if (!features->raised() && context.output == Output::text) note(context, "nothing to raise");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
