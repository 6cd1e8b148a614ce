#include "daemon/feature_changes.h"

#include <algorithm>

#include "base/features.h"
#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {
namespace {

const char* const kShowHint = "raftctl feature show says what each member takes part in";

}  // namespace

FeatureChanges::FeatureChanges(Context& context, Replica& replica, Peers& peers, Clients& clients)
    : context_(context), replica_(replica), peers_(peers), clients_(clients) {}

bool FeatureChanges::request(const ClientConn& conn, uint32_t stream, const pb::Request& request) {
    if (request.has_raise_feature()) {
        raise(conn, stream, request.raise_feature().to());
        return true;
    }
    if (!request.has_features()) return false;
    pb::Answer answer_to;
    fill(*answer_to.mutable_features(), false);
    answer(clients_, conn.id, stream, answer_to);
    return true;
}

uint32_t FeatureChanges::highest_of_all() const {
    uint32_t highest = feature_level_max();
    for (const auto& [id, info] : context_.members)
        if (id != context_.dir.identity.id) highest = std::min(highest, peers_.features(id).value_or(0));
    return highest;
}

uint32_t FeatureChanges::newest_of_any() const {
    uint32_t newest = feature_level_max();
    for (const auto& [id, info] : context_.members)
        newest = std::max(newest, peers_.features(id).value_or(0));
    return newest;
}

/// The members that keep the cluster from `level`, with the reason of each: `n2 (older program, level 1)`.
std::string FeatureChanges::who_lacks(uint32_t level) const {
    std::string who;
    for (const auto& [id, info] : context_.members) {
        bool me = id == context_.dir.identity.id;
        std::optional<uint32_t> has = me ? std::optional(feature_level_max()) : peers_.features(id);
        if (has && *has >= level) continue;
        who += (who.empty() ? "" : ", ") + info.name +
               (has ? " (older program, level " + std::to_string(*has) + ")" : " (not connected)");
    }
    return who;
}

void FeatureChanges::raise(const ClientConn& conn, uint32_t stream, uint32_t wanted) {
    const raft::Core& core = replica_.core();
    if (core.role() != raft::Role::leader || !core.accepting())
        return refuse(conn.id, stream,
                      error(Errc::unavailable, "this member doesn't lead", "raftctl status says who does"));
    uint32_t now = context_.feature_level;
    if (wanted == 0 && newest_of_any() > now && highest_of_all() <= now)
        wanted = now + 1;  // refused below, with the names of those who lack it
    uint32_t level = wanted == 0 ? std::max(highest_of_all(), now) : wanted;
    if (level <= now) {
        pb::Answer answer_to;
        fill(*answer_to.mutable_features(), false);
        return answer(clients_, conn.id, stream, answer_to);
    }
    if (std::string who = who_lacks(level); !who.empty())
        return refuse(conn.id, stream,
                      error(Errc::conflict,
                            "feature level " + std::to_string(level) + " isn't taken part in by " + who +
                                "; the level stays " + std::to_string(now),
                            "start or upgrade those members first; " + std::string(kShowHint)));
    bool under_way = proposed_.term == core.term() && proposed_level_ >= level &&
                     core.term_at(proposed_.index) == proposed_.term;
    if (!under_way) propose(level);
    waiters_.push_back({conn.id, stream, level, core.term()});
}

void FeatureChanges::propose(uint32_t level) {
    std::vector<std::byte> body = encode_feature(level);
    EntryHeader draft = draft_batch(0, body);
    draft.kind = EntryKind::feature;
    LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    EntryHeader placed = replica_.propose(context_.now, draft, body, time);
    proposed_ = id_of(placed);
    proposed_level_ = level;
    context_.log(LogLevel::info, "feature_raise")("level", level)("index", placed.index);
}

void FeatureChanges::turn() {
    if (waiters_.empty()) return;
    const raft::Core& core = replica_.core();
    auto done = [&](const Waiter& waiter) {
        if (waiter.level <= context_.feature_level) {
            pb::Answer answer_to;
            fill(*answer_to.mutable_features(), true);
            answer(clients_, waiter.conn, waiter.stream, answer_to);
            return true;
        }
        if (core.role() == raft::Role::leader && core.term() == waiter.term) return false;
        // It may still come: raising it again asks whoever leads, and does nothing when it has come.
        refuse(waiter.conn, waiter.stream,
               error(Errc::unavailable, "another member leads now", "raftctl feature raise again"));
        return true;
    };
    std::erase_if(waiters_, done);
}

void FeatureChanges::fill(pb::Features& features, bool raised) const {
    features.set_level(context_.feature_level);
    features.set_level_max(feature_level_max());
    for (const auto& [id, info] : context_.members) {
        pb::MemberFeatures& member = *features.add_members();
        member.set_id(raw(id));
        member.set_name(info.name);
        bool me = id == context_.dir.identity.id;
        member.set_level_max(me ? feature_level_max() : peers_.features(id).value_or(0));
    }
    features.set_leader(raw(replica_.core().leader()));
    features.set_raised(raised);
}

void FeatureChanges::refuse(io::ConnId conn, uint32_t stream, const Error& why) {
    daemon::refuse(clients_, conn, stream, why, replica_.core().leader());
}

}  // namespace raftd::daemon
