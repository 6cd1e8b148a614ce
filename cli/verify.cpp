#include "cli/verify.h"

#include <algorithm>
#include <map>

#include "cli/ask.h"
#include "cli/deadline.h"
#include "cli/discover.h"
#include "cli/member_folder.h"
#include "cli/view.h"

namespace raftd::cli {
namespace {

constexpr Duration kVerifyAskTimeout = seconds(2), kVerifyInterval = milliseconds(100);
constexpr size_t kDifferencesShown = 20;

std::string failure_of(const MemberAnswer& answer, const char* lacks) {
    if (!answer.answer) return answer.failure;
    return answer.answer->has_error() ? answer.answer->error().what() : lacks;
}

class Verification {
public:
    Verification(const Context& context, const VerifyOptions& options, const Found& found)
        : context_(context), options_(options) {
        if (found.spec) cluster_ = found.spec->id;
        for (const MemberView& member : observe(found, std::min(context.timeout, kVerifyAskTimeout)).members)
            members_.push_back({member.name, member.client, member.status ? "" : member.failure, {}, {}, {}});
    }

    const std::vector<VerifyMember>& members() const { return members_; }
    const Comparison& comparison() const { return comparison_; }

    /// What the members have: logs, archives.
    void compare() {
        pb::Request request;
        request.mutable_chain();
        ask_all(request, [](VerifyMember& member, const pb::Answer& answer) {
            if (answer.has_chain()) member.chain = answer.chain();
            return answer.has_chain();
        });
        request.mutable_snapshots();
        ask_all(request, [](VerifyMember& member, const pb::Answer& answer) {
            if (answer.has_snapshots()) member.snapshots = answer.snapshots();
            return answer.has_snapshots();
        });
        for (const VerifyMember& member : members_)
            if (!member.failure.empty())
                comparison_.not_compared.push_back({member.name, "log", member.failure});
        compare_chains(
            members_, options_.from,
            [this](const VerifyMember& of, const pb::ChainRequest& asked) { return ask(of, asked); },
            comparison_);
        compare_archives(members_, options_.from, comparison_);
    }

    /// Has them read everything back. False: interrupted.
    bool read_back() {
        pb::Request request;
        request.mutable_verify()->set_run(random_number() | 1);
        request.mutable_verify()->set_from_lsn(options_.from);
        auto patience = std::make_unique<Deadline>(context_.timeout);
        uint64_t before = 0;
        while (true) {
            const uint64_t now = look(request);
            if (now == kAllDone) break;
            if (now != before) before = now, patience = std::make_unique<Deadline>(context_.timeout);
            if (interrupted() || !pause_for(kVerifyInterval)) return false;
            if (patience->over()) break;
        }
        for (const VerifyMember& member : members_)
            if (member.chain && (!member.read || !member.read->done()))
                comparison_.not_compared.push_back({member.name, "files", unread_[member.name]});
        compare_read(members_, comparison_);
        return true;
    }

private:
    static constexpr uint64_t kAllDone = UINT64_MAX;

    template <class Take>
    void ask_all(const pb::Request& request, Take take) {
        std::vector<std::string> endpoints;
        for (const VerifyMember& member : members_) endpoints.push_back(member.client);
        const auto answers = ask_each(endpoints, request, context_.timeout, cluster_);
        for (size_t i = 0; i < members_.size(); ++i) {
            VerifyMember& member = members_[i];
            if (answers[i].answer && take(member, *answers[i].answer))
                member.failure.clear();
            else if (member.failure.empty())
                member.failure = failure_of(answers[i], "doesn't know this request");
        }
    }
    Result<pb::Chain> ask(const VerifyMember& of, const pb::ChainRequest& asked) const {
        pb::Request request;
        *request.mutable_chain() = asked;
        MemberAnswer answer = ask_each({of.client}, request, context_.timeout, cluster_).front();
        if (answer.answer && answer.answer->has_chain()) return answer.answer->chain();
        return error(Errc::unavailable, failure_of(answer, "doesn't know this request"));
    }
    /// How far all are together.
    uint64_t look(const pb::Request& request) {
        std::vector<std::string> endpoints;
        std::vector<VerifyMember*> asked;
        for (VerifyMember& member : members_)
            if (member.chain && !(member.read && member.read->done())) {
                endpoints.push_back(member.client);
                asked.push_back(&member);
            }
        const auto answers =
            ask_each(endpoints, request, std::min(context_.timeout, kVerifyAskTimeout), cluster_);
        uint64_t entries = 0, total = 0;
        bool all = true;
        for (size_t i = 0; i < asked.size(); ++i) {
            if (answers[i].answer && answers[i].answer->has_verified())
                asked[i]->read = answers[i].answer->verified();
            unread_[asked[i]->name] = asked[i]->read ? "it doesn't come to an end" : "";
            if (!answers[i].answer || !answers[i].answer->has_verified())
                unread_[asked[i]->name] = failure_of(answers[i], "doesn't know this request");
            all &= asked[i]->read && asked[i]->read->done();
        }
        for (const VerifyMember& member : members_)
            if (member.read) entries += member.read->entries(), total += member.read->entries_total();
        if (shows_progress(context_) && total != 0 && entries * 20 / total != shown_) {
            shown_ = entries * 20 / total;
            note(context_, "read back: " + std::to_string(entries * 100 / total) + " %");
        }
        return all ? kAllDone : entries;
    }

    const Context& context_;
    const VerifyOptions& options_;
    std::optional<ClusterId> cluster_;
    std::vector<VerifyMember> members_;
    Comparison comparison_;
    std::map<std::string, std::string> unread_;  // why
    uint64_t shown_ = 0;
};

Json json_of(const VerifyMember& member) {
    Json one = Json::object();
    one.add("name", member.name).add("reachable", member.chain.has_value());
    if (member.chain)
        one.add("first_index", member.chain->base_index() + 1)
            .add("commit_index", member.chain->commit_index())
            .add("commit_lsn", member.chain->commit_lsn());
    else
        one.null("first_index").null("commit_index").null("commit_lsn");
    if (member.snapshots)
        one.add("archives", static_cast<uint64_t>(member.snapshots->archives_size()))
            .add("snapshot_index", member.snapshots->index());
    else
        one.null("archives").null("snapshot_index");
    if (member.read && member.read->done())
        one.add("bytes_read", member.read->bytes());
    else
        one.null("bytes_read");
    return member.failure.empty() ? one.null("error") : one.add("error", member.failure);
}

Json json_of(const Difference& difference) {
    Json one = Json::object();
    one.add("kind", difference.kind).add("member", difference.member);
    difference.other.empty() ? one.null("other") : one.add("other", difference.other);
    difference.index == 0 ? one.null("index") : one.add("index", difference.index);
    difference.lsn == 0 ? one.null("lsn") : one.add("lsn", difference.lsn);
    difference.file.empty() ? one.null("file") : one.add("file", difference.file);
    return one.add("what", difference.what);
}

std::string json_text_of(const Verification& done, bool deep) {
    const Comparison& found = done.comparison();
    Json members = Json::array(), differences = Json::array(), missing = Json::array();
    bool whole = true;
    for (const VerifyMember& member : done.members()) members.add(json_of(member));
    for (const Difference& difference : found.differences) differences.add(json_of(difference));
    for (const NotCompared& one : found.not_compared) {
        whole &= !one.matters;
        missing.add(Json::object().add("member", one.member).add("what", one.what).add("why", one.why));
    }
    return Json::object()
               .add("schema", 1)
               .add("identical", found.differences.empty() && whole)
               .add("deep", deep)
               .add("index", found.index)
               .add("lsn", found.lsn)
               .add("members", members)
               .add("differences", differences)
               .add("not_compared", missing)
               .text() +
           "\n";
}

std::string place_of(const Difference& difference) {
    std::string text = difference.member;
    if (!difference.file.empty()) text += ", " + difference.file;
    if (difference.index != 0) text += ", entry " + std::to_string(difference.index);
    if (difference.lsn != 0) text += ", LSN " + std::to_string(difference.lsn);
    return text;
}

void print_text(const Context& context, const Verification& done, bool deep) {
    for (const VerifyMember& member : done.members()) {
        if (!member.chain) continue;
        std::string line = member.name + "  entries " + std::to_string(member.chain->base_index() + 1) + "-" +
                           std::to_string(member.chain->commit_index()) + "  LSN up to " +
                           std::to_string(member.chain->commit_lsn());
        if (member.snapshots)
            line += "  " + counted(static_cast<uint64_t>(member.snapshots->archives_size()), "archive");
        if (deep && member.read) line += "  " + text_of_bytes(member.read->bytes()) + " read back";
        write_out(line + "\n");
    }
    const auto& differences = done.comparison().differences;
    for (size_t i = 0; i < std::min(differences.size(), kDifferencesShown); ++i)
        write_out(std::string(differences[i].kind) + "  " + place_of(differences[i]) + ": " +
                  differences[i].what + "\n");
    if (differences.size() > kDifferencesShown)
        write_out("and " + std::to_string(differences.size() - kDifferencesShown) + " more\n");
    for (const NotCompared& one : done.comparison().not_compared)
        note(context, "not compared: " + one.member + ", " + one.what + ": " + one.why);
}

Error failure_for(const Difference& first) {
    const bool damage = std::string(first.kind) == "damage";
    return error(Errc::damaged,
                 (damage ? "damage in " : "members differ, first at ") + place_of(first) + ": " + first.what,
                 damage ? "raftctl member replace " + first.member +
                              " brings it back from the others; keep its data directory until then"
                        : "raftctl freeze keeps all files as they are; compare the data directories before "
                          "anything else");
}

Exit report(const Context& context, const Verification& done, bool deep) {
    const Comparison& found = done.comparison();
    const auto up = std::count_if(done.members().begin(), done.members().end(),
                                  [](const VerifyMember& member) { return member.chain.has_value(); });
    const bool whole = std::none_of(found.not_compared.begin(), found.not_compared.end(),
                                    [](const NotCompared& one) { return one.matters; });
    if (context.output != Output::text) {
        write_out(json_text_of(done, deep));
        return finish_output(context, !found.differences.empty() ? Exit::damaged
                                      : whole                    ? Exit::done
                                                                 : Exit::degraded);
    }
    print_text(context, done, deep);
    if (!found.differences.empty())
        return finish_output(context, fail(context, failure_for(found.differences.front())));
    write_out((done.members().size() == 1 ? "one member: there is nothing to compare it with"
                                          : "identical on " + std::to_string(up) + " of " +
                                                counted(done.members().size(), "member")) +
              " up to entry " + std::to_string(found.index) + ", LSN " + std::to_string(found.lsn) + "\n");
    return finish_output(context, whole ? Exit::done : Exit::degraded);
}

}  // namespace

Exit verify(const Context& context, const VerifyOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    Verification verification(context, options, *found);
    if (verification.members().empty())
        return fail(context, error(Errc::unreachable, "no member of the cluster answered", "raftctl start"));
    verification.compare();
    if (interrupted()) return Exit::interrupted;
    const bool any = std::any_of(verification.members().begin(), verification.members().end(),
                                 [](const VerifyMember& member) { return member.chain.has_value(); });
    if (!any) {
        std::vector<Tried> tried;
        for (const VerifyMember& member : verification.members())
            tried.push_back({member.client, member.failure});
        return fail(context, error(Errc::unreachable, "no member of the cluster answered", "raftctl start"),
                    {}, tried);
    }
    if (options.deep && !verification.read_back()) return Exit::interrupted;
    return report(context, verification, options.deep);
}

}  // namespace raftd::cli
