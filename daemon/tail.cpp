#include "daemon/tail.h"

#include <algorithm>

#include "base/check.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

using proto::TailCode;
using proto::TailFrom;

constexpr Index kNoEnd{UINT64_MAX};
constexpr uint64_t kFrameBytesMax = 256u << 10;  // of entries in one frame, or one entry
// Reads from files grow: whoever wants a record or two is not to wait for a MiB of them.
constexpr uint64_t kFirstReadBytes = 64u << 10;
constexpr uint64_t kReadGrowth = 4;
constexpr uint64_t kReadBytesMax = 1u << 20;
constexpr uint64_t kTurnBytesMax = 4u << 20;            // of all tails in one turn
constexpr int64_t kLagMsMax = int64_t{UINT32_MAX} * 2;  // more than any reader bears

bool well_formed(const proto::TailOpen& open) {
    bool needs_value = open.from == TailFrom::lsn || open.from == TailFrom::index;
    uint32_t known = proto::kTailFollow | proto::kTailLinearizable;
    if (open.max_lag_ms != 0 && open.flags != 0) return false;
    return open.from <= TailFrom::time_ms && (open.flags & ~known) == 0 && !(needs_value && open.value == 0);
}

}  // namespace

Tails::Tails(Context& context, Replica& replica, LogReader& reader, Clients& clients, const State& state)
    : context_(context), replica_(replica), reader_(reader), clients_(clients), state_(state) {}

bool Tails::open(ClientConn& conn, const io::Frame& frame) {
    proto::TailOpen open;
    if (!proto::read_fixed(frame.bytes.view(), open)) return false;
    Key key{conn.id, frame.stream};
    if (tails_.contains(key)) return false;
    bool follow = (open.flags & proto::kTailFollow) != 0;
    bool linearizable = (open.flags & proto::kTailLinearizable) != 0;
    Tail tail{.key = key,
              .generation = ++generation_last_,
              .follow = follow,
              .from = open.from,
              .value = open.value,
              .to_lsn = open.to_lsn,
              .credit = open.credit,
              .phase = linearizable ? Phase::confirming : Phase::behind,
              .max_lag = milliseconds(open.max_lag_ms),
              .stop_at = kNoEnd,
              .read_bytes = kFirstReadBytes};
    ++conn.tails;
    Tail& placed = tails_.emplace(key, tail).first->second;
    if (!well_formed(open)) {
        end(placed, TailCode::bad_request, 0);
    } else if (tails_.size() > context_.options.settings.limits.tails_max || context_.stopping) {
        end(placed, TailCode::busy, 0);
    } else if (linearizable) {
        confirm(placed);
    } else if (open.max_lag_ms != 0 && bound_) {
        placed.asked = bound_->asked;  // serve_one() sees whether that is new enough
        placed.read_index = bound_->index;
    } else if (open.max_lag_ms != 0) {
        confirm(placed);
    }
    return true;
}

/// Begins a linearizable read for it.
void Tails::confirm(Tail& tail) {
    tail.phase = Phase::confirming;
    tail.asked = {context_.now, context_.world.clock.wall_ms()};
    tail.asked_itself = true;
    // Unique over starts of the process, as the core asks for.
    tail.read = ReadId{context_.dir.boots.mine.number << 40 | tail.generation};
    reads_.emplace(tail.read, std::pair{tail.key, tail.generation});
    replica_.step(context_.now, raft::ev::Read{tail.read});
}

/// At most: a clock may run slow by 1 in 64.
Duration Tails::age(const Moment& since) const {
    const Duration steady = context_.now - since.at;
    const int64_t wall_ms = context_.world.clock.wall_ms() - since.wall_ms;
    const Duration wall = milliseconds(std::clamp<int64_t>(wall_ms, 0, kLagMsMax));
    const Duration more = std::max(steady, wall);
    return more + Duration{more.ns / 64};
}

bool Tails::too_old(const Tail& tail) const {
    return tail.max_lag > Duration{} && age(tail.asked) > tail.max_lag;
}

Instant Tails::deadline() const {
    Instant at = kNever;
    for (const auto& [key, tail] : tails_)
        if (tail.phase == Phase::behind && tail.max_lag > Duration{})
            at = std::min(at, tail.asked.at + tail.max_lag + milliseconds(1));
    return at;
}

bool Tails::credit(ClientConn& conn, const io::Frame& frame) {
    proto::TailCredit more;
    if (!proto::read_fixed(frame.bytes.view(), more)) return false;
    auto found = tails_.find({conn.id, frame.stream});
    if (found == tails_.end()) return true;  // it has ended meanwhile
    uint64_t& credit = found->second.credit;
    credit = more.bytes > UINT64_MAX - credit ? UINT64_MAX : credit + more.bytes;
    return true;
}

bool Tails::close(ClientConn& conn, const io::Frame& frame) {
    if (tails_.erase({conn.id, frame.stream}) != 0) --conn.tails;
    return true;
}

void Tails::conn_closed(io::ConnId conn) {
    tails_.erase(tails_.lower_bound({conn, 0}), tails_.upper_bound({conn, UINT32_MAX}));
}

Tails::Tail* Tails::find(const Key& key, uint64_t generation) {
    auto found = tails_.find(key);
    return found != tails_.end() && found->second.generation == generation ? &found->second : nullptr;
}

void Tails::read_confirmed(ReadId read, Index index) {
    auto found = reads_.find(read);
    if (found == reads_.end()) return;
    if (Tail* tail = find(found->second.first, found->second.second)) {
        tail->phase = Phase::behind;
        tail->read_index = index;
        if (!bound_ || bound_->asked.at < tail->asked.at) bound_ = Bound{tail->asked, index};
    }
    reads_.erase(found);
}

void Tails::read_failed(ReadId read) {
    auto found = reads_.find(read);
    if (found == reads_.end()) return;
    if (Tail* tail = find(found->second.first, found->second.second))
        end(*tail, tail->max_lag > Duration{} ? TailCode::lagging : TailCode::unavailable, 0);
    reads_.erase(found);
}

void Tails::end(Tail& tail, TailCode code, uint64_t lsn) {
    proto::TailEnd fixed{sizeof fixed, code, lsn};
    clients_.send(tail.key.first,
                  proto::make_frame(proto::FrameType::tail_end, tail.key.second, proto::fixed_bytes(fixed)));
    tail.done = true;
}

bool Tails::has_room(const Tail& tail) const {
    return context_.world.network.queued_bytes(tail.key.first) < io::Network::kHighWaterBytes;
}

bool Tails::serve(const LogPoint& committed) {
    committed_ = committed;
    uint64_t budget = kTurnBytesMax;
    bool more = false;
    waiting_ = false;
    for (auto at = tails_.begin(); at != tails_.end();) {
        Tail& tail = at->second;
        if (!tail.done) more |= serve_one(tail, budget);
        if (!tail.done) {
            if (tail.phase == Phase::behind || (tail.follow && tail.next > committed_.index)) waiting_ = true;
            ++at;
            continue;
        }
        if (ClientConn* conn = clients_.find(tail.key.first)) --conn->tails;
        at = tails_.erase(at);
    }
    return more;
}

bool Tails::serve_one(Tail& tail, uint64_t& budget) {
    if (tail.phase == Phase::behind && too_old(tail)) {
        // What was confirmed for others may be too old; what was confirmed for itself and isn't here in time
        // means that this member lags more than the reader bears.
        if (tail.asked_itself)
            end(tail, TailCode::lagging, 0);
        else
            confirm(tail);
        return !tail.done;
    }
    if (tail.phase == Phase::behind && tail.read_index <= committed_.index) place(tail);
    while (tail.phase == Phase::streaming && !tail.done) {
        if (!tail.announced) {
            // Says where the stream stands, also when there is nothing to send yet. A place that isn't in
            // memory is said by the first frame that is read from files.
            if (auto before = replica_.point_at(tail.next - 1); before && tail.next > committed_.index)
                send(tail, *before, *before, {});
            if (tail.done) return false;
        }
        if (tail.next > tail.stop_at) {
            end(tail, TailCode::end, raw(committed_.lsn_next) - 1);
            return false;
        }
        if (tail.next > committed_.index || tail.credit == 0 || !has_room(tail)) return false;
        if (budget == 0) return true;
        if (!send_from_memory(tail, budget)) {
            read_files(tail, budget);
            return false;
        }
    }
    return false;
}

/// Turns what was asked for into the index of the first entry. Everything up to the read index is committed
/// here.
void Tails::place(Tail& tail) {
    if (!tail.follow) tail.stop_at = committed_.index;
    uint64_t lsn_end = raw(committed_.lsn_next), lsn_first = raw(first_lsn());
    uint64_t lsn = tail.value;
    tail.placed_lsn_end = lsn_end;
    switch (tail.from) {
        case TailFrom::first:
            if (first_lsn() == reader_.base().lsn_next) return begin(tail, reader_.base().index + 1);
            if (lsn_first >= lsn_end) return begin(tail, committed_.index + 1);
            lsn = lsn_first;
            break;
        case TailFrom::end: return begin(tail, committed_.index + 1);
        case TailFrom::index:
            if (Index{tail.value} < state_.first_index()) return end(tail, TailCode::trimmed, lsn_first);
            if (tail.value <= raw(committed_.index) + 1 || tail.follow) return begin(tail, Index{tail.value});
            return end(tail, TailCode::beyond, lsn_end - 1);
        case TailFrom::time_ms:
            // What isn't in files yet is in memory, so memory is asked first. Entries behind the commit may
            // still be replaced by others, with other times.
            if (auto index = replica_.buffer().index_at(tail.value)) {
                const Index at = std::min(*index, committed_.index + 1);
                auto before = replica_.point_at(at - 1);
                if (before && before->lsn_next < first_lsn()) return from_first(tail);
                return begin(tail, at);
            }
            return locate(tail, wal::ReadRequest::By::time_ms, tail.value);
        case TailFrom::last_n:
            if (tail.value == 0) return begin(tail, committed_.index + 1);
            lsn =
                lsn_end <= lsn_first || tail.value >= lsn_end - lsn_first ? lsn_first : lsn_end - tail.value;
            if (lsn_end <= lsn_first) return begin(tail, committed_.index + 1);
            break;
        case TailFrom::lsn: break;
    }
    if (lsn >= lsn_end) {
        if (tail.follow) return begin(tail, committed_.index + 1);
        return end(tail, TailCode::beyond, lsn_end - 1);
    }
    if (lsn < lsn_first) return end(tail, TailCode::trimmed, lsn_first);
    if (auto index = replica_.buffer().index_of(Lsn{lsn})) return begin(tail, *index);
    locate(tail, wal::ReadRequest::By::lsn, lsn);
}

/// A time before that of the first record there is.
void Tails::from_first(Tail& tail) {
    tail.from = TailFrom::first;
    place(tail);
}

void Tails::begin(Tail& tail, Index next) {
    tail.next = next;
    tail.phase = Phase::streaming;
}

void Tails::locate(Tail& tail, wal::ReadRequest::By by, uint64_t value) {
    tail.phase = Phase::locating;
    read(tail, {by, value, kFrameBytesMax, committed_.index});
}

void Tails::read_files(Tail& tail, uint64_t budget) {
    tail.phase = Phase::reading;
    const uint64_t bytes = std::min(std::max(budget, kFrameBytesMax), tail.credit);
    const Index upto = std::min(committed_.index, tail.stop_at);
    read(tail, {wal::ReadRequest::By::index, raw(tail.next), bytes, upto});
}

void Tails::read(Tail& tail, wal::ReadRequest request) {
    request.bytes_max = std::min(request.bytes_max, tail.read_bytes);
    request.upto_lsn = tail.to_lsn;
    tail.read_bytes = std::min(tail.read_bytes * kReadGrowth, kReadBytesMax);
    reader_.from_files(request, {.who = ReadFor::Who::tail,
                                 .a = static_cast<uint64_t>(tail.key.first),
                                 .b = tail.key.second,
                                 .c = tail.generation});
}

void Tails::read_done(const ReadFor& purpose, wal::ReadResult& result) {
    Tail* tail = find({io::ConnId{purpose.a}, static_cast<uint32_t>(purpose.b)}, purpose.c);
    if (tail == nullptr || tail->done) return;
    bool locating = tail->phase == Phase::locating;
    switch (result.code) {
        case wal::ReadCode::ok: {
            if (locating && result.before.lsn_next < first_lsn() && tail->from == TailFrom::time_ms)
                return from_first(*tail);
            begin(*tail, result.first);
            std::vector<Slice> entries{result.entries};
            send(*tail, result.before, result.after, entries);
            return;
        }
        case wal::ReadCode::beyond:  // nothing in files at or after it: it is in memory, or still to come
            begin(*tail, locating ? committed_.index + 1 : tail->next);
            return;
        case wal::ReadCode::gone:
            // Committed entries are never cut; a read that raced with a roll is simply tried again.
            if (tail->next > reader_.base().index || locating) {
                tail->phase = locating ? Phase::behind : Phase::streaming;
                return;
            }
            return end(*tail, TailCode::trimmed, raw(first_lsn()));
        case wal::ReadCode::damaged:
        case wal::ReadCode::failed:
            context_.log(LogLevel::error, "log_read_failed")("why", result.what);
            return end(*tail, TailCode::damaged, 0);
    }
}

Index Tails::last_wanted(const Tail& tail, Index last) const {
    if (tail.to_lsn == 0) return last;
    auto index = replica_.buffer().index_of(Lsn{tail.to_lsn});
    return index && *index < last ? std::max(*index, tail.next) : last;
}

bool Tails::send_from_memory(Tail& tail, uint64_t& budget) {
    std::vector<Slice> entries;
    Index upto = last_wanted(tail, std::min(committed_.index, tail.stop_at));
    uint64_t bytes_max = std::min({kFrameBytesMax, budget, tail.credit});
    auto before = replica_.buffer().point_at(tail.next - 1);
    auto last = reader_.in_memory(tail.next, upto, bytes_max, entries);
    if (!last || !before) return false;
    uint64_t bytes = 0;
    for (const Slice& slice : entries) bytes += slice.size();
    send(tail, *before, replica_.buffer().point_at(*last).value(), entries);
    budget -= std::min(budget, bytes);
    return true;
}

void Tails::send(Tail& tail, const LogPoint& before, const LogPoint& after,
                 const std::vector<Slice>& entries) {
    // A trim came while the record was looked for.
    if (!tail.announced && tail.from == TailFrom::lsn && tail.value < raw(first_lsn()) && tail.value != 0)
        return end(tail, TailCode::trimmed, raw(first_lsn()));
    uint64_t bytes = 0;
    for (const Slice& slice : entries) bytes += slice.size();
    uint32_t flags = after.index >= committed_.index ? proto::kTailCaughtUp : 0;
    // The first frame says what the end was when the tail was placed: "the last ten" are counted from there,
    // and reading them from files may have taken a while.
    uint64_t lsn_end = tail.announced ? raw(committed_.lsn_next) : tail.placed_lsn_end;
    const proto::TailDataSince fixed{{sizeof fixed, flags, raw(before.index), raw(before.term), before.chain,
                                      raw(before.lsn_next), lsn_end - 1, raw(committed_.index)},
                                     raw(first_lsn())};
    clients_.send(tail.key.first, proto::make_frame_head(proto::FrameType::tail_data, tail.key.second,
                                                         proto::fixed_bytes(fixed), bytes));
    if (!entries.empty()) context_.world.network.send(tail.key.first, entries);
    tail.announced = true;
    tail.credit -= std::min(tail.credit, bytes);
    tail.next = after.index + 1;
    ++context_.counters.tail_frames;
    context_.counters.tail_bytes += bytes;
    if (tail.to_lsn != 0 && raw(after.lsn_next) > tail.to_lsn)
        end(tail, TailCode::end, raw(committed_.lsn_next) - 1);
}

void Tails::writable(io::ConnId) {}  // the next turn's serve() finds the room

}  // namespace raftd::daemon
