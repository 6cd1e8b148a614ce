#include "client/tail_stream.h"

#include <algorithm>

#include "base/check.h"
#include "proto/frame.h"

namespace raftd::client {
namespace {

using proto::TailCode;

constexpr uint32_t kLeaderlessMax = 2;  // signs of life without a leader, before another member is tried
constexpr uint32_t kFaultsMax = 3;      // in a row, from whichever members

proto::TailFrom wire(From from) {
    switch (from) {
        case From::lsn: return proto::TailFrom::lsn;
        case From::first: return proto::TailFrom::first;
        case From::end: return proto::TailFrom::end;
        case From::last_n: return proto::TailFrom::last_n;
        case From::time_ms: return proto::TailFrom::time_ms;
        case From::chunks: return proto::TailFrom::index;
    }
    UNREACHABLE();
}

std::string name_of(const Links::Link* link) {
    if (link == nullptr) return "a member";
    return link->name.empty() ? link->address : link->name;
}

template <class Fixed>
void send(io::Network& network, io::ConnId conn, proto::FrameType type, uint32_t stream, Fixed fixed) {
    fixed.size = sizeof fixed;
    Slice frame = proto::make_frame(type, stream, proto::fixed_bytes(fixed));
    network.send(conn, {&frame, 1});
}

}  // namespace

TailStream::TailStream(io::Network& network, Links& links, const SessionOptions& options, TailOptions tail,
                       uint32_t& streams)
    : network_(network), links_(links), options_(options), tail_(std::move(tail)), streams_(streams) {
    if (tail_.from == From::lsn) next_lsn_ = Lsn{std::max<uint64_t>(tail_.value, 1)};
}

void TailStream::add_wants(Wants& wants) const {
    if (finished_ || open_) return;
    wants.any = true;
    wants.beside = avoid_;
    wants.leader |= wants_leader_;
    if (!tail_.node.empty()) wants.node = tail_.node;
}

Links::Link* TailStream::choose() {
    if (tail_.node.empty()) {
        if (Links::Link* leader = links_.ready_leader();
            wants_leader_ && leader != nullptr && leader->conn != avoid_)
            return leader;
        Links::Link* link = links_.next_ready();
        if (link != nullptr && link->conn == avoid_) link = links_.next_ready();
        bool other = link != nullptr && link->conn != avoid_;
        return other || alone_at_ == Instant{INT64_MIN} ? link : nullptr;
    }
    if (Links::Link* link = links_.ready_named(tail_.node)) return link;
    if (links_.met() && !links_.has_name(tail_.node))
        end(error(Errc::not_found, "no member is called " + tail_.node));
    return nullptr;
}

void TailStream::open(Links::Link& link) {
    streams_ = (streams_ + 1) | 0x80000000u;
    stream_ = streams_;
    conn_ = link.conn;
    open_ = was_open_ = true;
    avoid_ = io::kNoConn;
    consumed_ = 0;
    proto::TailOpen ask{};
    ask.flags = tail_.follow ? proto::kTailFollow : tail_.linearizable ? proto::kTailLinearizable : 0;
    ask.from = point_ ? proto::TailFrom::index : wire(tail_.from);
    ask.value = point_ ? raw(point_->index) + 1 : tail_.from == From::lsn ? raw(next_lsn_) : tail_.value;
    ask.to_lsn = tail_.to ? raw(*tail_.to) : 0;
    bool bounded = !tail_.follow && !tail_.linearizable;
    ask.max_lag_ms = bounded ? tail_.max_lag_ms : 0;
    ask.credit = tail_.window_bytes - std::min(queued_bytes_, tail_.window_bytes);
    send(network_, conn_, proto::FrameType::tail_open, stream_, ask);
}

void TailStream::close() {
    if (open_ && links_.ready(conn_) != nullptr)
        send(network_, conn_, proto::FrameType::tail_close, stream_, proto::TailClose{});
    open_ = false;
    conn_ = io::kNoConn;
}

void TailStream::end(std::optional<Error> failure) {
    close();
    finished_ = true;
    failure_ = std::move(failure);
}

void TailStream::end_trimmed(Lsn first) {
    nearest_ = first;
    end(error(Errc::not_found, "the first record there is has LSN " + std::to_string(raw(first))));
}

/// Goes on at another member, after a while.
void TailStream::retry(Instant now, Errc code, std::string why) {
    avoid_ = conn_;
    close();
    last_trouble_ = error(code, std::move(why));
    backoff_ = std::clamp(backoff_ * 2, options_.backoff_min, options_.backoff_max);
    retry_at_ = now + backoff_;
    alone_at_ = retry_at_ + options_.dial_stagger * 4;
}

void TailStream::distrust(const char* fault, Instant now) {
    std::string what = name_of(links_.ready(conn_)) + " sent entries that can't be right: " + fault;
    if (++faults_ >= kFaultsMax) return end(error(Errc::damaged, what));
    retry(now, Errc::damaged, what);
}

void TailStream::receive(io::ConnId conn, io::Frame& frame, Instant now) {
    if (conn != conn_ || finished_) return;
    if (static_cast<proto::FrameType>(frame.type) == proto::FrameType::tail_data)
        take_data(std::move(frame.bytes), now);
    else
        take_end(frame.bytes.view(), now);
}

const char* TailStream::check_place(const proto::TailData& data) {
    if (point_) {
        if (data.before_index != raw(point_->index) || data.before_lsn_next != raw(point_->lsn_next))
            return "they don't follow on what came before";
        const LogPoint behind = over(links_.seams(), *point_);
        const bool same = data.before_chain == point_->chain || data.before_chain == behind.chain;
        if (data.before_term != raw(point_->term) || !same) return "the log before them is another one";
        point_->chain = data.before_chain;
        return nullptr;
    }
    if (tail_.from == From::lsn && data.before_lsn_next > raw(next_lsn_))
        return "they begin behind the LSN asked for";
    return nullptr;
}

const char* TailStream::check_entries(ByteView entries) {
    EntryCursor cursor(entries);
    LogPoint point = *point_;
    while (const EntryHeader* header = cursor.next()) {
        EntryFault fault = check_form(*header);
        if (fault == EntryFault::none) fault = check_follows(point, *header);
        if (fault == EntryFault::none) fault = check_body(*header, cursor.body());
        if (fault != EntryFault::none) return text_of(fault);
        point = point_after(*header);
    }
    if (cursor.remaining() != 0) return text_of(EntryFault::truncated);
    point_ = point;
    return nullptr;
}

/// The first frame tells what `first`, `end` and `last_n` mean in numbers.
void TailStream::settle_start(const proto::TailData& data, ByteView payload) {
    proto::TailDataSince since{};
    if (proto::read_fixed(payload, since)) first_lsn_ = Lsn{since.first_lsn};
    if (next_lsn_ != Lsn{}) return;
    uint64_t start = 0;
    switch (tail_.from) {
        case From::lsn:
        case From::chunks:
        case From::time_ms: return;
        case From::first: start = data.before_lsn_next; break;
        case From::end: start = data.commit_lsn + 1; break;
        case From::last_n:
            start = data.commit_lsn >= tail_.value ? data.commit_lsn - tail_.value + 1 : 1;
            start = std::max(start, data.before_lsn_next);
            break;
    }
    next_lsn_ = std::max(Lsn{start}, first_lsn_);
}

void TailStream::take_data(Slice payload, Instant now) {
    proto::TailData data;
    if (!proto::read_fixed(payload.view(), data)) return distrust("malformed frame", now);
    if (const char* fault = check_place(data)) return distrust(fault, now);
    uint32_t head = proto::fixed_size(payload.view());
    ByteView entries = payload.view().subspan(head);
    bool first = !point_;
    if (first) {
        point_ = LogPoint{Index{data.before_index}, Term{data.before_term}, data.before_chain,
                          Lsn{data.before_lsn_next}, 0};
        settle_start(data, payload.view());
        if (tail_.from == From::lsn && first_lsn_ > next_lsn_) return end_trimmed(first_lsn_);
    }
    if (const char* fault = check_entries(entries)) {
        if (first) point_.reset();
        return distrust(fault, now);
    }
    commit_lsn_ = data.commit_lsn;
    caught_up_ = (data.flags & proto::kTailCaughtUp) != 0;
    if (entries.empty()) return;
    faults_ = 0;
    backoff_ = {};
    wants_leader_ = false;
    progress_ = now;  // entries alone are progress: refusals that come again and again must end too
    queued_bytes_ += entries.size();
    queue_.push_back({std::move(payload), entries, entries.size()});
}

void TailStream::take_end(ByteView payload, Instant now) {
    proto::TailEnd tail_end;
    if (!proto::read_fixed(payload, tail_end)) return distrust("malformed frame", now);
    std::string name = name_of(links_.ready(conn_));
    std::string lsn = std::to_string(tail_end.lsn);
    open_ = false;
    switch (tail_end.code) {
        case TailCode::end:
            // All there is to learn when nothing was sent before: how far the log is committed.
            commit_lsn_ = std::max(commit_lsn_, tail_end.lsn);
            if (tail_.follow && !tail_.to) return retry(now, Errc::unavailable, name + " ended the tail");
            return end({});
        case TailCode::trimmed: return end_trimmed(Lsn{tail_end.lsn});
        case TailCode::beyond:
            nearest_ = Lsn{tail_end.lsn};
            if (point_) return end({});  // resumed behind the last record: all was sent before
            return end(error(Errc::not_found, "the last record there is has LSN " + lsn));
        case TailCode::unavailable:
            wants_leader_ = true;
            return retry(now, Errc::unavailable, name + ": no leader confirms the read");
        case TailCode::lagging:
            return retry(now, Errc::unavailable,
                         name + " can't show that it is at most " + std::to_string(tail_.max_lag_ms) +
                             " ms behind: no leader confirms it in time, or it lags");
        case TailCode::busy: return retry(now, Errc::unavailable, name + " is busy: too many tails");
        case TailCode::bad_request: return end(error(Errc::bad_input, name + " refused the request"));
        case TailCode::damaged: break;
    }
    distrust("it found its own log damaged there", now);
}

void TailStream::grant(Links::Link& link) {
    if (consumed_ < tail_.window_bytes / 4) return;
    proto::TailCredit credit{};
    credit.bytes = std::exchange(consumed_, 0);
    send(network_, link.conn, proto::FrameType::tail_credit, stream_, credit);
}

/// Ends what waited too long, or waits in vain.
bool TailStream::give_up(Instant now) {
    if (auto why = links_.hopeless(); why && !open_) {
        end(*why);
        return true;
    }
    bool patient = tail_.follow && was_open_;
    if (patient || now < progress_ + options_.timeout) return false;
    if (!links_.any_ready())
        end(error(Errc::unreachable, links_.summary()));
    else
        end(last_trouble_ ? *last_trouble_ : error(Errc::unavailable, "no answer in time"));
    return true;
}

void TailStream::run(Instant now) {
    if (finished_) return;
    if (progress_ == Instant{INT64_MIN} || !queue_.empty() || std::exchange(touched_, false)) progress_ = now;
    if (open_ && links_.ready(conn_) == nullptr) {
        open_ = false;
        conn_ = io::kNoConn;
    }
    if (give_up(now)) return;
    if (now >= retry_at_) retry_at_ = Instant{INT64_MIN};
    if (now >= alone_at_) alone_at_ = Instant{INT64_MIN};
    if (!open_ && retry_at_ <= now) {
        if (Links::Link* link = choose()) open(*link);
    }
    if (!open_) return;
    Links::Link& link = *links_.ready(conn_);
    // Alive, but cut off from the others: it would never have anything new.
    if (tail_.follow && tail_.node.empty() && link.leaderless >= kLeaderlessMax) {
        link.leaderless = 0;
        wants_leader_ = true;
        return retry(now, Errc::unavailable, name_of(&link) + " has lost its leader");
    }
    grant(link);
    links_.watch(link);
}

Instant TailStream::deadline() const {
    if (finished_) return kNever;
    Instant at = tail_.follow && was_open_ ? kNever : progress_ + options_.timeout;
    if (open_) return at;
    for (Instant other : {retry_at_, alone_at_})
        if (other != Instant{INT64_MIN}) at = std::min(at, other);
    return at;
}

bool TailStream::wanted(const EntryHeader& header) const {
    if (tail_.from == From::chunks) return header.kind == EntryKind::checkpoint_chunk;
    if (header.kind != EntryKind::batch) return false;
    if (next_lsn_ == Lsn{}) return header.timestamp_ms >= tail_.value;  // time_ms, not begun
    return header.lsn_first + header.record_count > raw(next_lsn_);
}

/// Steps to the next entry that holds a wanted record; false when none has arrived.
bool TailStream::next_entry() {
    while (!queue_.empty()) {
        Run& run = queue_.front();
        EntryCursor cursor(run.entries);
        while (const EntryHeader* header = cursor.next()) {
            if (!wanted(*header)) continue;
            header_ = *header;
            body_ = cursor.body();
            reader_.emplace(header_, body_);
            record_lsn_ = Lsn{header_.lsn_first};
            run.entries = run.entries.subspan(cursor.offset());
            return true;
        }
        held_.push_back(std::move(run.frame));
        queued_bytes_ -= run.bytes;
        consumed_ += run.bytes;
        queue_.pop_front();
    }
    return false;
}

size_t TailStream::next(std::span<Record> out) {
    held_.clear();
    size_t count = 0;
    while (count < out.size()) {
        if (!reader_ && !next_entry()) break;
        if (tail_.from == From::chunks) {
            reader_.reset();
            out[count++] = {Lsn{}, body_, Term{header_.term}, header_.timestamp_ms};
            continue;
        }
        std::optional<ByteView> record = reader_->next();
        if (!record) {
            reader_.reset();
            continue;
        }
        Lsn lsn = record_lsn_;
        ++record_lsn_;
        if (lsn < next_lsn_ || lsn < first_lsn_) continue;
        if (tail_.to && lsn > *tail_.to) {
            end({});
            for (Run& run : queue_) held_.push_back(std::move(run.frame));  // records before it are in `out`
            queue_.clear();
            queued_bytes_ = 0;
            reader_.reset();
            break;
        }
        next_lsn_ = lsn + 1;
        out[count++] = {lsn, *record, Term{header_.term}, header_.timestamp_ms};
    }
    if (count > 0) touched_ = true;
    return count;
}

}  // namespace raftd::client
