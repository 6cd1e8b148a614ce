#include "daemon/append.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "proto/frame.h"
#include "raft/quorum.h"

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

Appends::Appends(Context& context, Replica& replica, wal::Wal& wal, Peers& peers, Clients& clients,
                 Producers& producers)
    : context_(context),
      replica_(replica),
      wal_(wal),
      peers_(peers),
      clients_(clients),
      producers_(producers),
      refusals_(context, replica) {}

bool Appends::frame(ClientConn& conn, const io::Frame& frame) {
    proto::Append append;
    if (!proto::read_fixed(frame.bytes.view(), append)) return false;
    ByteView body = frame.bytes.view().subspan(proto::fixed_size(frame.bytes.view()));
    if (body.size() != append.draft.body_bytes) return false;
    bool numbered = append.draft.producer != 0;
    auto code = form_refused(append, body.size());
    if (!code) code = office_refused(conn, append);
    if (!code && !numbered) code = room_refused(body.size());
    if (code) {
        refuse(conn, frame.stream, or_under_way(*code, append.draft), numbered);
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
    if (check_body(append.draft, body) != EntryFault::none)
        refuse(conn, frame.stream, AppendCode::bad_batch, numbered);
    else
        admit(conn, frame, append, body);
    return true;
}

void Appends::verified(io::Completed& done, NodeId leader) {
    auto& job = static_cast<VerifyJob&>(*done.job);
    ClientConn* conn = clients_.find(job.frame.conn);
    if (conn == nullptr) return;
    conn->verifying = false;
    proto::Append append;
    CHECK(proto::read_fixed(job.frame.bytes.view(), append));
    bool numbered = append.draft.producer != 0;
    // Office may have gone while the body was checked.
    if (auto code = office_refused(*conn, append))
        refuse(*conn, job.frame.stream, or_under_way(*code, append.draft), numbered);
    else if (job.fault != EntryFault::none)
        refuse(*conn, job.frame.stream, AppendCode::bad_batch, numbered);
    else
        admit(*conn, job.frame, append, job.body);
    clients_.resume(*conn, leader);
}

std::optional<AppendCode> Appends::form_refused(const proto::Append& append, uint64_t body_bytes) const {
    const auto& settings = context_.options.settings;
    const EntryHeader& draft = append.draft;
    bool numbered = draft.producer != 0;
    if ((append.flags & ~proto::kAppendRun) != 0 || draft.kind != EntryKind::batch ||
        check_form(draft) != EntryFault::none || (numbered && !producers_.enabled()) ||
        (!numbered && (draft.producer_epoch != 0 || draft.sequence != 0)))
        return AppendCode::bad_batch;
    // A batch is at most batch_bytes_max, or one record of at most record_bytes_max.
    uint64_t limit = std::max(settings.raft.batch_bytes_max, settings.log.record_bytes_max + 4);
    if (body_bytes > limit || (draft.record_count > 1 && body_bytes > settings.raft.batch_bytes_max))
        return AppendCode::too_large;
    return std::nullopt;
}

std::optional<AppendCode> Appends::office_refused(const ClientConn& conn, const proto::Append& append) {
    if (replica_.core().role() != raft::Role::leader) return AppendCode::not_leader;
    if (conn.run_ended && (append.flags & proto::kAppendRun) == 0) return AppendCode::retry;
    if (context_.stopping || !replica_.core().accepting()) return AppendCode::retry;
    if (append.draft.producer != 0 && !producers_.stand()) return AppendCode::retry;
    return std::nullopt;
}

/// What a refusal says where it isn't for the batch's form: nothing happened (H10). Of a repetition of one
/// that is in this leader's log, and not committed yet, nobody can say that.
AppendCode Appends::or_under_way(AppendCode code, const EntryHeader& draft) {
    const bool for_form = code == AppendCode::bad_batch || code == AppendCode::too_large;
    if (for_form || draft.producer == 0 || replica_.core().role() != raft::Role::leader ||
        !producers_.stand())
        return code;
    return producers_.look_up(draft).what == Verdict::What::pending ? AppendCode::unknown : code;
}

std::optional<AppendCode> Appends::room_refused(uint64_t body_bytes) const {
    const auto& settings = context_.options.settings;
    if (admitted_bytes_ + body_bytes > settings.limits.append_queue_bytes_max) return AppendCode::busy;
    if (context_.world.disk.free_bytes() < settings.log.disk_free_min || wal_.no_room() ||
        !majority_has_room())
        return AppendCode::disk_full;
    return std::nullopt;
}

/// Of a good body, with office: a repetition first, then room, then the condition (H12).
void Appends::admit(ClientConn& conn, const io::Frame& frame, const proto::Append& append, ByteView body) {
    bool numbered = append.draft.producer != 0;
    if (numbered && answer_older(conn, frame, append.draft)) return;
    if (auto code = room_refused(body.size())) return refuse(conn, frame.stream, *code, numbered);
    uint64_t next = raw(replica_.buffer().end().lsn_next);
    if (append.expect_lsn != 0 && append.expect_lsn != next)
        return refuse_later(conn, frame.stream, AppendCode::condition_failed, next, replica_.buffer().last());
    place(conn, frame, append, body);
}

/// True when the batch isn't its producer's next one: answered, or to be answered.
bool Appends::answer_older(ClientConn& conn, const io::Frame& frame, const EntryHeader& draft) {
    Verdict verdict = producers_.look_up(draft);
    auto refused = [&](AppendCode code) {
        refuse_later(conn, frame.stream, code, verdict.value, verdict.index);
    };
    switch (verdict.what) {
        case Verdict::What::fresh: return false;
        case Verdict::What::pending: wait_for_first(conn, frame, verdict.index); break;
        case Verdict::What::fenced: refused(AppendCode::fenced); break;
        case Verdict::What::expired: refused(AppendCode::expired); break;
        case Verdict::What::out_of_order: refused(AppendCode::out_of_order); break;
        case Verdict::What::reused: refused(AppendCode::sequence_reused); break;
        case Verdict::What::repeated: {
            conn.run_ended = false;
            ++context_.counters.appends_repeated;
            proto::AppendDoneItem item{frame.stream, AppendCode::repeated_forgotten, 0, 0, 0};
            if (const Answer* first = verdict.answer)
                item = {frame.stream, AppendCode::repeated, first->lsn_first, first->term,
                        first->timestamp_ms};
            answer(conn, item);
        }
    }
    return true;
}

/// The same batch is on its way already: this one gets its answer, whatever that will be.
void Appends::wait_for_first(ClientConn& conn, const io::Frame& frame, Index index) {
    if (!replica_.buffer().holds(index) || room_refused(frame.bytes.size()) == AppendCode::busy)
        return refuse(conn, frame.stream, AppendCode::unknown, true);
    conn.run_ended = false;
    ++context_.counters.appends_repeated;
    EntryHeader first = replica_.buffer().header(index);
    if (planted(PlantedBug::answer_uncommitted))
        return answer(conn,
                      {frame.stream, AppendCode::repeated, first.lsn_first, first.term, first.timestamp_ms});
    wait(conn, {index, conn.id, frame.stream, frame.bytes.size(), first.lsn_first, first.term,
                first.timestamp_ms, true});
}

void Appends::refuse_later(ClientConn& conn, uint32_t stream, AppendCode code, uint64_t value, Index rest) {
    ++context_.counters.appends_refused;
    conn.run_ended = true;  // at once: what is on its way behind it must not land
    if (!refusals_.add({conn.id, {stream, code, value, 0, 0}, rest}))
        answer(conn, {stream, AppendCode::retry, 0, 0, 0});
}

void Appends::take_refusals() {
    Refusals::Refusal refusal;
    while (refusals_.take(refusal))
        if (ClientConn* conn = clients_.find(refusal.conn)) answer(*conn, refusal.item);
}

bool Appends::majority_has_room() const {
    auto has_room = [&](NodeId id) {
        const auto& trailer = peers_.trailer(id);
        return trailer && (trailer->flags & proto::kTrailerFull) != 0 ? -1 : 1;
    };
    return raft::tally(replica_.members().in_force().membership, has_room) == raft::Tally::won;
}

void Appends::place(ClientConn& conn, const io::Frame& frame, const proto::Append& append, ByteView body) {
    conn.run_ended = false;
    EntryHeader draft{};
    draft.kind = EntryKind::batch;
    draft.body_bytes = append.draft.body_bytes;
    draft.record_count = append.draft.record_count;
    draft.body_checksum = append.draft.body_checksum;
    draft.producer = append.draft.producer;
    draft.producer_epoch = append.draft.producer_epoch;
    draft.sequence = append.draft.sequence;
    LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    EntryHeader placed;
    if (body.size() >= kInPlaceMin) {
        uint32_t at = proto::fixed_size(frame.bytes.view()) - kEntryHeaderBytes;
        placed = replica_.propose_in_place(context_.now, frame.bytes.from(at), draft, time);
    } else {
        placed = replica_.propose(context_.now, draft, body, time);
    }
    if (draft.producer != 0) producers_.placed(placed);
    ++context_.counters.appends;
    context_.counters.append_bytes += encoded_bytes(placed);
    wait(conn, {Index{placed.index}, conn.id, frame.stream, static_cast<uint32_t>(encoded_bytes(placed)),
                placed.lsn_first, placed.term, placed.timestamp_ms, false});
}

void Appends::wait(ClientConn& conn, const Waiter& waiter) {
    auto later = [](Index index, const Waiter& other) { return index < other.index; };
    auto at = waiters_.end();  // but for a repetition it is the newest
    if (!waiters_.empty() && waiter.index < waiters_.back().index)
        at = std::upper_bound(waiters_.begin(), waiters_.end(), waiter.index, later);
    waiters_.insert(at, waiter);
    admitted_bytes_ += waiter.bytes;
    conn.in_flight_bytes += waiter.bytes;
    if (conn.in_flight_bytes > kConnectionBytesMax && !conn.paused) {
        conn.paused = true;
        context_.world.network.pause_reading(conn.id, true);
    }
}

void Appends::refuse(ClientConn& conn, uint32_t stream, AppendCode code, bool numbered) {
    ++context_.counters.appends_refused;
    // A batch that was bad is out for good; any other comes again, and nothing behind it may overtake it.
    // Behind one with a number nothing can be taken before the numbers are given anew.
    bool for_good = code == AppendCode::bad_batch || code == AppendCode::too_large;
    if (!for_good || numbered) conn.run_ended = true;
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
        answer(*conn, {waiter.stream, waiter.repeated ? AppendCode::repeated : code, waiter.lsn_first,
                       waiter.term, waiter.timestamp_ms});
    else
        answer(*conn, {waiter.stream, code, 0, waiter.term, 0});
}

void Appends::committed(Index upto) {
    refusals_.committed(upto);
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
    refusals_.lost_office();
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
