#include "raft/text.h"

namespace raftd::raft {

namespace {
std::string number(uint64_t value) { return std::to_string(value); }
template <Tagged E>
std::string number(E value) {
    return std::to_string(raw(value));
}
std::string term(Term value) { return " t" + number(value); }
const char* name_of(msg::Why why) {
    switch (why) {
        case msg::Why::conflict: return "conflict";
        case msg::Why::no_room: return "no-room";
        case msg::Why::repairing: return "repairing";
        case msg::Why::stale_term: return "stale-term";
    }
    return "?";
}
const char* name_of(Output::TransferEnd end) {
    switch (end) {
        case Output::TransferEnd::done: return "done";
        case Output::TransferEnd::timed_out: return "timed-out";
        case Output::TransferEnd::unfit: return "unfit";
        case Output::TransferEnd::lost_office: return "lost-office";
    }
    return "?";
}
const char* name_of(ev::Got got) {
    switch (got) {
        case ev::Got::ok: return "ok";
        case ev::Got::gone: return "gone";
        case ev::Got::damaged: return "damaged";
    }
    return "?";
}
std::string members_text(const std::vector<Member>& members) {
    std::string out = "{";
    for (const Member& member : members) {
        if (out.size() > 1) out += ' ';
        out += number(member.id);
        if (member.learner) out += '?';
        if (member.promote) out += '!';
        if (member.priority != 0) out += '*' + std::to_string(member.priority);
    }
    return out + "}";
}

struct MessageText {
    std::string operator()(const msg::Append& m) const {
        return "append" + term(m.term) + " prev=" + text(m.prev) + " last=" + number(m.last) +
               " commit=" + number(m.commit) + " round=" + number(m.round);
    }
    std::string operator()(const msg::AppendOk& m) const {
        return "append-ok" + term(m.term) + " match=" + number(m.match) + " round=" + number(m.round) +
               (m.readers_waiting ? " readers" : "");
    }
    std::string operator()(const msg::AppendNo& m) const {
        return "append-no" + term(m.term) + " " + name_of(m.why) + " hint=" + text(m.hint) +
               " last=" + number(m.last) + " round=" + number(m.round);
    }
    std::string operator()(const msg::Vote& m) const {
        return (m.pre ? "pre-vote" : "vote") + term(m.term) + " last=" + text(m.last) +
               (m.transfer ? " transfer" : "");
    }
    std::string operator()(const msg::VoteOk& m) const {
        return (m.pre ? "pre-vote-ok" : "vote-ok") + term(m.term) + (m.granted ? " granted" : " refused") +
               (m.removed_at == Index{} ? "" : " removed-at=" + number(m.removed_at));
    }
    std::string operator()(const msg::Snapshot& m) const {
        return "snapshot" + term(m.term) + " at=" + text(m.at);
    }
    std::string operator()(const msg::TimeoutNow& m) const { return "timeout-now" + term(m.term); }
    std::string operator()(const msg::ReadIndex& m) const {
        return "read-index" + term(m.term) + " id=" + number(m.id);
    }
    std::string operator()(const msg::ReadIndexOk& m) const {
        return "read-index-ok" + term(m.term) + " id=" + number(m.id) +
               (m.ok ? " index=" + number(m.index) : " refused");
    }
};

struct EventText {
    std::string operator()(const ev::Tick&) const { return "tick"; }
    std::string operator()(const ev::Propose& e) const { return "propose " + text(e.entries); }
    std::string operator()(const ev::ProposeMembership& e) const {
        return "propose-membership " + text(e.target);
    }
    std::string operator()(const ev::Message& e) const {
        return "from " + text(e.from) + " " + text(e.message) +
               (e.entries.empty() ? "" : " " + text(e.entries));
    }
    std::string operator()(const ev::Durable& e) const { return "durable #" + number(e.id); }
    std::string operator()(const ev::Fetched& e) const {
        return "fetched " + number(e.id) + " for " + text(e.to) + " " + number(e.first) + ".." +
               number(e.last) + " bytes=" + number(e.bytes) + " " + name_of(e.got);
    }
    std::string operator()(const ev::SnapshotEnded& e) const {
        return "snapshot-ended " + text(e.to) + " at=" + text(e.at) + (e.ok ? " ok" : " failed");
    }
    std::string operator()(const ev::Heard& e) const { return "heard " + text(e.from) + term(e.term); }
    std::string operator()(const ev::Installed& e) const {
        return "installed " + text(e.at) + " " + text(e.members);
    }
    std::string operator()(const ev::Compacted& e) const { return "compacted " + text(e.upto); }
    std::string operator()(const ev::Link& e) const {
        return "link " + text(e.peer) + (e.up ? " up" : " down");
    }
    std::string operator()(const ev::Peer& e) const {
        return "peer " + text(e.id) + (e.may_lead ? " fit" : " unfit");
    }
    std::string operator()(const Health& e) const {
        return std::string("health") + (e.may_vote ? "" : " no-vote") + (e.may_lead ? "" : " no-lead") +
               (e.may_ack ? "" : " no-ack") +
               (e.hole_first == Index{} ? "" : " hole=" + number(e.hole_first)) +
               (e.known_from == Index{} ? "" : " known-from=" + number(e.known_from));
    }
    std::string operator()(const ev::Transfer& e) const { return "transfer " + text(e.to); }
    std::string operator()(const ev::Read& e) const { return "read " + number(e.id); }
    std::string operator()(const ev::Contradicted& e) const {
        return "contradicted by " + text(e.from) + " at " + number(e.at);
    }
    std::string operator()(const ev::Mended& e) const {
        return "mended " + number(e.first) + ".." + number(e.last);
    }
    std::string operator()(const ev::Readers& e) const {
        return std::string("readers ") + (e.waiting ? "waiting" : "none");
    }
};

void part(std::vector<std::string>& out, std::string line) { out.push_back(std::move(line)); }
}  // namespace

std::string text(NodeId id) { return "n" + number(id); }
std::string text(EntryId id) { return number(id.index) + "@" + number(id.term); }
std::string text(Role role) {
    switch (role) {
        case Role::follower: return "follower";
        case Role::pre_candidate: return "pre-candidate";
        case Role::candidate: return "candidate";
        case Role::leader: return "leader";
    }
    return "?";
}
std::string text(FollowerMode mode) {
    switch (mode) {
        case FollowerMode::probe: return "probe";
        case FollowerMode::stream: return "stream";
        case FollowerMode::snapshot: return "snapshot";
    }
    return "?";
}
std::string text(Refusal refusal) {
    switch (refusal) {
        case Refusal::not_leading: return "not-leading";
        case Refusal::no_own_commit: return "no-own-commit";
        case Refusal::in_progress: return "in-progress";
        case Refusal::would_lose_quorum: return "would-lose-quorum";
        case Refusal::not_caught_up: return "not-caught-up";
        case Refusal::id_used: return "id-used";
        case Refusal::too_many: return "too-many";
        case Refusal::malformed: return "malformed";
    }
    return "?";
}
std::string text(const Membership& membership) {
    return members_text(membership.now) + (membership.joint() ? "->" + members_text(membership.next) : "");
}
std::string text(std::span<const EntryMeta> entries) {
    std::string out = "[";
    for (size_t first = 0; first < entries.size();) {
        size_t last = first;
        while (last + 1 < entries.size() && entries[last + 1].id.term == entries[first].id.term &&
               entries[last + 1].id.index == entries[last].id.index + 1)
            ++last;
        if (out.size() > 1) out += ' ';
        if (last > first) out += number(entries[first].id.index) + "..";
        out += text(entries[last].id);
        first = last + 1;
    }
    return out + "]";
}
std::string text(const msg::Any& message) { return std::visit(MessageText{}, message); }
std::string text(const Event& event) { return std::visit(EventText{}, event.what); }

std::vector<std::string> text(const Output& output) {
    std::vector<std::string> out;
    if (output.role)
        part(out, std::string("role ") + (output.role->leading ? "leader" : "follower") +
                      term(output.role->term) +
                      " leader=" + (output.role->leader == NodeId{} ? "?" : text(output.role->leader)));
    if (output.reset) part(out, "reset " + text(*output.reset));
    if (output.write)
        part(out, "write #" + number(output.write->id) + term(output.write->hard.term) +
                      " vote=" + (output.write->hard.vote == NodeId{} ? "-" : text(output.write->hard.vote)) +
                      " keep=" + number(output.write->keep_upto) + " last=" + number(output.write->last) +
                      (output.write->sync_needed ? "" : " no-sync"));
    if (output.want)
        part(out, std::string("want ") + (output.want->kind == EntryKind::noop
                                              ? "noop"
                                              : "membership " + text(output.want->membership)));
    for (const Send& send : output.send)
        part(out, "send " + text(send.to) + " " + text(send.message) +
                      (send.after == WriteId{} ? "" : " after #" + number(send.after)));
    for (const Output::Fetch& fetch : output.fetch)
        part(out, "fetch " + number(fetch.id) + " for " + text(fetch.to) + " first=" + number(fetch.first) +
                      " bytes<=" + number(fetch.bytes_max));
    if (output.install)
        part(out, "install " + text(output.install->at) + " from " + text(output.install->from));
    if (output.membership)
        part(out,
             "membership " + text(output.membership->members) + " of " + number(output.membership->index));
    if (output.lost_after) part(out, "lost-after " + number(*output.lost_after));
    for (const auto& [id, index] : output.reads) part(out, "read " + number(id) + " at " + number(index));
    for (ReadId id : output.reads_failed) part(out, "read " + number(id) + " failed");
    if (output.transfer) part(out, std::string("transfer ") + name_of(*output.transfer));
    if (output.diverged) part(out, "diverged " + number(*output.diverged));
    part(out, "commit=" + number(output.commit) + " durable=" + number(output.durable));
    return out;
}

std::string text(const View& view) {
    std::string out =
        text(view.role) + term(view.term) + " vote=" + (view.vote == NodeId{} ? "-" : text(view.vote)) +
        " leader=" + (view.leader == NodeId{} ? "?" : text(view.leader)) + " commit=" + number(view.commit) +
        " durable=" + number(view.durable) + " last=" + number(view.last) + " base=" + text(view.base);
    if (view.membership.index != Index{} || view.membership.members.joint())
        out += " members=" + text(view.membership.members);
    for (const View::Follower& follower : view.followers) {
        out += " | " + text(follower.id) + " " + text(follower.mode) + " " + number(follower.match) + "->" +
               number(follower.next);
        if (follower.in_flight_bytes > 0) out += " in-flight=" + number(follower.in_flight_bytes);
        if (follower.regressed) out += " regressed";
    }
    return out;
}

}  // namespace raftd::raft
