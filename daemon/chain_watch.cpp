#include "daemon/chain_watch.h"

#include <bit>

#include "base/check.h"
#include "base/uuid.h"

namespace raftd::daemon {
namespace {

// One look at the own memory reads at most so much: some milliseconds.
constexpr uint64_t kCheckBytesMax = 4u << 20;
constexpr uint64_t kCheckEntriesMax = 4096;

}  // namespace

void ChainWatch::append_refused(NodeId from, const PeerMessage& message, Replica::Accepted why) {
    // Its frame is whole, so the sender's log and mine differ, or one of us damages what it holds.
    const auto& append = std::get<raft::msg::Append>(message.message);
    uint64_t seen = ++context_.counters.chain_mismatches;
    std::optional<Index> keep = replica_.core().keep_upto(append, message.entries);
    std::optional<LogPoint> point = keep ? replica_.point_at(*keep) : std::nullopt;
    if (point) dispute_ = Dispute{append.term, *point};
    bool chain = why == Replica::Accepted::bad_chain;
    if (!std::has_single_bit(seen)) return;
    context_.log(LogLevel::error, chain ? "append_chain_mismatch" : "append_body_bad")("peer", raw(from))(
        "index", raw(append.prev.index) + 1)("my_index", point ? raw(point->index) : 0)(
        "my_chain", point ? to_hex(point->chain) : "")("seen", seen);
    if (!point) return;
    Index first = replica_.buffer().first();
    if (raw(*keep) > kCheckEntriesMax) first = std::max(first, *keep - kCheckEntriesMax);
    check_memory(first, *keep, "a leader's entries don't follow it");
}

void ChainWatch::fill(proto::Trailer& trailer, const LogPoint& committed) const {
    bool disputed = dispute_ && dispute_->term == replica_.core().term();
    const LogPoint& at = disputed ? dispute_->at : committed;
    trailer.chain_index = raw(at.index);
    trailer.chain = at.chain;
    if (disputed) trailer.flags |= proto::kTrailerDisputes;
}

void ChainWatch::heard(NodeId from, Term term, const proto::Trailer& trailer, const LogPoint& committed) {
    const raft::Core& core = replica_.core();
    bool disputes = (trailer.flags & proto::kTrailerDisputes) != 0;
    Index at{trailer.chain_index};
    if (disputes) {
        // It is about what I sent in this very term: both logs have the same (term, index) there, and both
        // keep it for as long as I lead.
        if (core.role() != raft::Role::leader || core.term() != term) return;
    } else if (at > committed.index) {
        return;  // not yet known to be committed here: the logs may differ behind that
    }
    std::optional<LogPoint> mine = replica_.point_at(at);
    if (!mine) return;
    if (mine->chain != trailer.chain) return contradicted(from, *mine, trailer.chain);
    if (disputes) check_memory(at + 1, core.last(), "a follower can't take it");
}

void ChainWatch::contradicted(NodeId from, const LogPoint& mine, uint64_t chain) {
    if (++context_.counters.chain_mismatches == 1)
        context_.log(LogLevel::error, "history_differs")("peer", raw(from))("index", raw(mine.index))(
            "chain", to_hex(mine.chain))("peer_chain", to_hex(chain));
    if (freeze_ != nullptr) freeze_->difference(mine.index);
    if (replica_.core().role() == raft::Role::leader)
        replica_.step(context_.now, raft::ev::Contradicted{from, mine.index});
}

/// As far as the entries are in memory; those in files are verified whenever they are read.
void ChainWatch::check_memory(Index first, Index last, const char* why) const {
    const LogBuffer& buffer = replica_.buffer();
    first = std::max(first, buffer.first());
    last = std::min(last, buffer.last());
    if (first > last) return;
    last = buffer.last_within(first, last, kCheckBytesMax);
    if (auto bad = buffer.first_bad(first, last))
        fatal(ExitCode::diverged, "entry " + std::to_string(raw(bad->first)) +
                                      " in this member's memory isn't what it was (" + text_of(bad->second) +
                                      "), found since " + why +
                                      " (hint: test this machine's memory before it is started again)");
}

}  // namespace raftd::daemon
