#include "daemon/replica.h"

#include "base/check.h"

namespace raftd::daemon {

Replica::Replica(raft::Core core, const LogPoint& log_end, Members members, uint32_t chunk_bytes,
                 bool black_box)
    : core_(std::move(core)),
      black_box_(black_box),
      buffer_(log_end, chunk_bytes),
      members_(std::move(members)) {}

raft::Core::Taken Replica::step_core(const raft::Event& event) {
    black_box_.stepping(core_, event);
    return core_.step(event);
}

void Replica::collect(raft::Output& output) {
    black_box_.collecting(core_);
    core_.collect(output);
}

raft::Core::Taken Replica::step(Instant now, decltype(raft::Event::what) what) {
    flush_proposals();
    return step_core({now, std::move(what)});
}

EntryHeader Replica::propose(Instant now, const EntryHeader& draft, ByteView body, LogTime time) {
    EntryHeader placed = buffer_.append(draft, body, core_.term(), raw(time));
    proposals_.push_back({id_of(placed), static_cast<uint32_t>(encoded_bytes(placed)), nullptr});
    proposed_at_ = now;
    return placed;
}

EntryHeader Replica::propose_in_place(Instant now, const Slice& header_and_body, const EntryHeader& draft,
                                      LogTime time) {
    EntryHeader placed = buffer_.append_in_place(header_and_body, draft, core_.term(), raw(time));
    proposals_.push_back({id_of(placed), static_cast<uint32_t>(encoded_bytes(placed)), nullptr});
    proposed_at_ = now;
    return placed;
}

EntryHeader Replica::propose_membership(Instant now, const Membership& membership, LogTime time) {
    flush_proposals();  // the meta points to `membership`, so it can't wait
    MemberInfos infos = members_.infos_for(membership);
    std::vector<std::byte> body = encode_configuration(membership, infos);
    EntryHeader draft = draft_batch(0, body);
    draft.kind = EntryKind::membership;
    EntryHeader placed = propose(now, draft, body, time);
    proposals_.back().membership = &membership;
    flush_proposals();
    members_.push({Index{placed.index}, membership, std::move(infos)});
    return placed;
}

void Replica::flush_proposals() {
    if (proposals_.empty()) return;
    // Nothing can have changed the core's mind since the entries were placed: every other step comes after
    // this.
    Index last = proposals_.back().id.index;
    auto taken = step_core({proposed_at_, raft::ev::Propose{proposals_}});
    CHECK_EQ(taken.last, last);
    proposals_.clear();
}

Replica::Accepted Replica::accept_append(Instant now, NodeId from, const PeerMessage& message) {
    flush_proposals();
    const auto& append = std::get<raft::msg::Append>(message.message);
    std::optional<Index> keep = core_.keep_upto(append, message.entries);
    uint64_t offset = 0;
    if (keep && *keep < append.last) {
        Accepted checked = check_new(*keep, message, offset);
        if (checked != Accepted::stepped) return checked;
    }
    auto taken = step_core({now, raft::ev::Message{from, message.message, message.entries}});
    if (taken.last > taken.keep_upto) {
        CHECK(keep.has_value());
        CHECK_EQ(taken.keep_upto, *keep);
        CHECK_EQ(taken.last, append.last);
        take_in(taken, message, offset);
    }
    return Accepted::stepped;
}

Replica::Accepted Replica::check_new(Index keep, const PeerMessage& message, uint64_t& offset) {
    std::optional<LogPoint> point = point_at(keep);
    if (!point) {
        wanted_point_ = keep;
        return Accepted::needs_point;
    }
    EntryCursor cursor(message.entry_bytes.view());
    offset = 0;
    while (const EntryHeader* header = cursor.next()) {
        if (Index{header->index} <= keep) {
            offset = cursor.offset();
            continue;
        }
        if (check_follows(*point, *header) != EntryFault::none) return Accepted::bad_chain;
        if (check_body(*header, cursor.body()) != EntryFault::none) return Accepted::bad_body;
        point = point_after(*header);
    }
    return Accepted::stepped;
}

void Replica::take_in(const raft::Core::Taken& taken, const PeerMessage& message, uint64_t offset) {
    if (taken.keep_upto + 1 < buffer_.first())
        buffer_.reset(*known_point_);  // the cut lies below what is in memory
    else
        buffer_.cut_after(taken.keep_upto);
    known_point_.reset();
    buffer_.adopt(message.entry_bytes.from(static_cast<uint32_t>(offset)));
    members_.cut_after(taken.keep_upto);
    for (const Configuration& config : message.configurations)
        if (config.index > taken.keep_upto) members_.push(config);
    CHECK_EQ(buffer_.last(), taken.last);
}

bool Replica::install(Instant now, const LogPoint& at, Configuration config, NodeId ids_used_upto) {
    flush_proposals();
    const bool overtaken = at.index <= core_.commit();  // as the core judges it: CURRENT is in force
    const Index last = core_.last();
    const bool held = at.index <= last && core_.term_at(at.index) == at.term;
    step_core({now, raft::ev::Installed{at.id(), config.membership, ids_used_upto}});
    if (overtaken || held || core_.last() != at.index) return false;
    buffer_.reset(at);
    known_point_.reset();
    members_.replace(std::move(config));
    return true;
}

std::optional<LogPoint> Replica::point_at(Index index) const {
    if (auto point = buffer_.point_at(index)) return point;
    if (known_point_ && known_point_->index == index) return known_point_;
    return std::nullopt;
}

}  // namespace raftd::daemon
