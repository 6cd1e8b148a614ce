#include "daemon/append.h"

#include <algorithm>

#include "base/check.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

using proto::AppendCode;

// Larger bodies are checked on a worker: XXH3 of a MiB takes half a millisecond, and heartbeats would wait
// for it.
constexpr uint32_t kVerifyInlineMax = 64u << 10;
// From here on a body stays in the chunk it was received in.
constexpr uint32_t kInPlaceMin = 64u << 10;
// A connection with this much under way isn't read from until half of it is answered.
constexpr uint64_t kConnectionBytesMax = 16u << 20;

}  // namespace

struct Appends::VerifyJob : io::Job {
    io::Frame frame;
    EntryHeader draft;
    ByteView body;
    EntryFault fault = EntryFault::none;
    void run(io::Files&) noexcept override { fault = check_body(draft, body); }
};

Appends::Appends(Context& context, Replica& replica, wal::Wal& wal, Peers& peers, Clients& clients)
    : context_(context), replica_(replica), wal_(wal), peers_(peers), clients_(clients) {}

bool Appends::frame(ClientConn& conn, const io::Frame& frame) {
    proto::Append append;
    if (!proto::read_fixed(frame.bytes.view(), append)) return false;
    ByteView body = frame.bytes.view().subspan(proto::fixed_size(frame.bytes.view()));
    if (body.size() != append.draft.body_bytes) return false;
    if (auto code = refusal(conn, append, body.size())) {
        refuse(conn, frame.stream, *code);
        return true;
    }
    if (body.size() > kVerifyInlineMax) {
        auto job = std::make_unique<VerifyJob>();
        job->frame = frame;
        job->draft = append.draft;
        job->body = body;
        conn.verifying = true;
        context_.world.worker.submit(io::Lane::read, std::move(job),
                                     make_token(TokenTag::verify, ++job_last_));
        return true;
    }
    if (check_body(append.draft, body) != EntryFault::none) {
        refuse(conn, frame.stream, AppendCode::bad_batch);
        return true;
    }
    place(conn, frame, append, body);
    return true;
}

void Appends::verified(io::Completed& done, NodeId leader) {
    auto& job = static_cast<VerifyJob&>(*done.job);
    ClientConn* conn = clients_.find(job.frame.conn);
    if (conn == nullptr) return;
    conn->verifying = false;
    proto::Append append;
    CHECK(proto::read_fixed(job.frame.bytes.view(), append));
    // Office or room may have gone while the body was checked.
    if (auto code = refusal(*conn, append, job.body.size()))
        refuse(*conn, job.frame.stream, *code);
    else if (job.fault != EntryFault::none)
        refuse(*conn, job.frame.stream, AppendCode::bad_batch);
    else
        place(*conn, job.frame, append, job.body);
    clients_.resume(*conn, leader);
}

std::optional<AppendCode> Appends::refusal(const ClientConn& conn, const proto::Append& append,
                                           uint64_t body_bytes) const {
    const auto& settings = context_.options.settings;
    const EntryHeader& draft = append.draft;
    if ((append.flags & ~proto::kAppendRun) != 0 || append.expect_lsn != 0 ||
        draft.kind != EntryKind::batch || draft.producer != 0 || check_form(draft) != EntryFault::none)
        return AppendCode::bad_batch;
    // A batch is at most batch_bytes_max, or one record of at most record_bytes_max.
    uint64_t limit = std::max(settings.raft.batch_bytes_max, settings.log.record_bytes_max + 4);
    if (body_bytes > limit || (draft.record_count > 1 && body_bytes > settings.raft.batch_bytes_max))
        return AppendCode::too_large;
    if (replica_.core().role() != raft::Role::leader) return AppendCode::not_leader;
    if (conn.run_ended && (append.flags & proto::kAppendRun) == 0) return AppendCode::retry;
    if (context_.stopping) return AppendCode::retry;
    if (!replica_.core().accepting()) return AppendCode::retry;
    if (admitted_bytes_ + body_bytes > settings.limits.append_queue_bytes_max) return AppendCode::busy;
    if (context_.world.disk.free_bytes() < settings.log.disk_free_min || wal_.no_room() ||
        !majority_has_room())
        return AppendCode::disk_full;
    return std::nullopt;
}

bool Appends::majority_has_room() const {
    size_t voters = 0, with_room = 0;
    for (const auto& [id, member] : context_.members) {
        if (member.learner) continue;
        ++voters;
        const auto& trailer = peers_.trailer(id);
        if (!trailer || (trailer->flags & proto::kTrailerFull) == 0) ++with_room;
    }
    return with_room * 2 > voters;
}

void Appends::place(ClientConn& conn, const io::Frame& frame, const proto::Append& append, ByteView body) {
    conn.run_ended = false;
    EntryHeader draft{};
    draft.kind = EntryKind::batch;
    draft.body_bytes = append.draft.body_bytes;
    draft.record_count = append.draft.record_count;
    draft.body_checksum = append.draft.body_checksum;
    LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    EntryHeader placed;
    if (body.size() >= kInPlaceMin) {
        uint32_t at = proto::fixed_size(frame.bytes.view()) - kEntryHeaderBytes;
        placed = replica_.propose_in_place(context_.now, frame.bytes.from(at), draft, time);
    } else {
        placed = replica_.propose(context_.now, draft, body, time);
    }
    auto bytes = static_cast<uint32_t>(encoded_bytes(placed));
    waiters_.push_back({Index{placed.index}, conn.id, frame.stream, bytes, placed.lsn_first, placed.term,
                        placed.timestamp_ms});
    admitted_bytes_ += bytes;
    conn.in_flight_bytes += bytes;
    ++context_.counters.appends;
    context_.counters.append_bytes += bytes;
    if (conn.in_flight_bytes > kConnectionBytesMax && !conn.paused) {
        conn.paused = true;
        context_.world.network.pause_reading(conn.id, true);
    }
}

void Appends::refuse(ClientConn& conn, uint32_t stream, AppendCode code) {
    ++context_.counters.appends_refused;
    // A batch that was bad is out for good; any other comes again, and nothing behind it may overtake it.
    if (code != AppendCode::bad_batch && code != AppendCode::too_large) conn.run_ended = true;
    answer(conn, {stream, code, 0, 0, 0});
}

void Appends::answer(ClientConn& conn, const proto::AppendDoneItem& item) {
    if (conn.done.empty()) touched_.push_back(conn.id);
    conn.done.push_back(item);
}

void Appends::finish(const Waiter& waiter, AppendCode code) {
    admitted_bytes_ -= waiter.bytes;
    ClientConn* conn = clients_.find(waiter.conn);
    if (conn == nullptr) return;
    conn->in_flight_bytes -= waiter.bytes;
    if (conn->paused && conn->in_flight_bytes < kConnectionBytesMax / 2) {
        conn->paused = false;
        context_.world.network.pause_reading(conn->id, false);
    }
    if (code == AppendCode::committed)
        answer(*conn, {waiter.stream, code, waiter.lsn_first, waiter.term, waiter.timestamp_ms});
    else
        answer(*conn, {waiter.stream, code, 0, waiter.term, 0});
}

void Appends::committed(Index upto) {
    while (!waiters_.empty() && waiters_.front().index <= upto) {
        CHECK_EQ(raw(replica_.core().term_at(waiters_.front().index)), waiters_.front().term);  // it is mine
        finish(waiters_.front(), AppendCode::committed);
        waiters_.pop_front();
    }
}

void Appends::lost_after(Index index) {
    auto behind = [](Index bound, const Waiter& waiter) { return bound < waiter.index; };
    auto first = std::upper_bound(waiters_.begin(), waiters_.end(), index, behind);
    for (auto waiter = first; waiter != waiters_.end(); ++waiter) {
        ++context_.counters.appends_unknown;
        finish(*waiter, AppendCode::unknown);
    }
    waiters_.erase(first, waiters_.end());
}

void Appends::flush(NodeId leader) {
    for (io::ConnId id : touched_) {
        ClientConn* conn = clients_.find(id);
        if (conn == nullptr || conn->done.empty()) continue;
        auto items = static_cast<uint32_t>(conn->done.size() * sizeof(proto::AppendDoneItem));
        auto size = static_cast<uint32_t>(sizeof(proto::AppendDone)) + items;
        Slice frame = Chunk::make(proto::kFrameHeaderBytes + size);
        std::byte* payload = frame.data() + proto::kFrameHeaderBytes;
        proto::AppendDone fixed{size, static_cast<uint32_t>(conn->done.size()), raw(leader), 0};
        std::memcpy(payload, &fixed, sizeof fixed);
        std::memcpy(payload + sizeof fixed, conn->done.data(), items);
        auto header = proto::make_header(proto::FrameType::append_done, 0, {payload, size}, size);
        std::memcpy(frame.data(), &header, sizeof header);
        clients_.send(id, frame);
        conn->done.clear();
    }
    touched_.clear();
}

}  // namespace raftd::daemon
