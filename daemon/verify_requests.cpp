#include "daemon/verify_requests.h"

#include <algorithm>

#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {
namespace {

/// A state up to this size is also compared as it is in memory; more would hold up the loop.
constexpr uint64_t kStateBytesMax = 4u << 20;

}  // namespace

VerifyRequests::VerifyRequests(Context& context, Replica& replica, Clients& clients, wal::Wal& wal,
                               LogReader& reader, const Applier& applier, const Pump& pump,
                               Verifier& verifier)
    : context_(context),
      replica_(replica),
      clients_(clients),
      wal_(wal),
      reader_(reader),
      applier_(applier),
      pump_(pump),
      verifier_(verifier) {}

bool VerifyRequests::request(const ClientConn& conn, uint32_t stream, const pb::Request& request) {
    if (request.has_chain()) {
        chain({conn.id, stream}, request.chain());
        return true;
    }
    if (!request.has_verify()) return false;
    pb::Answer answer_to;
    verify(answer_to, request.verify());
    answer(clients_, conn.id, stream, answer_to);
    return true;
}

void VerifyRequests::chain(const Asker& asker, const pb::ChainRequest& request) {
    pb::Answer answer_to;
    pb::Chain& chain = *answer_to.mutable_chain();
    fill(chain);
    if (answered_from_memory(request, chain)) return answer(clients_, asker.conn, asker.stream, answer_to);
    if (reads_.size() >= kReadsMax)
        return refuse(
            clients_, asker.conn, asker.stream,
            error(Errc::unavailable, "too many questions about old entries at once", "ask again in a moment"),
            pump_.leader());
    reads_.emplace(++read_last_, asker);
    const Index upto = std::min(pump_.committed().index, replica_.core().view().durable);
    if (request.lsn() != 0)
        reader_.from_files({wal::ReadRequest::By::lsn, request.lsn(), 1, upto},
                           {.who = ReadFor::Who::point_asked, .a = read_last_});
    else
        reader_.from_files({wal::ReadRequest::By::index, request.index(), 1, Index{request.index()}},
                           {.who = ReadFor::Who::point_asked, .a = read_last_, .b = request.index()});
}

/// What needs no file: how far it is, what isn't there, and entries in the log buffer.
bool VerifyRequests::answered_from_memory(const pb::ChainRequest& request, pb::Chain& chain) const {
    const LogPoint base = reader_.base();
    const LogPoint& committed = pump_.committed();
    if (request.lsn() != 0) {
        chain.set_index(0);
        if (request.lsn() < raw(base.lsn_next)) chain.set_has(pb::Chain::TRIMMED);
        if (request.lsn() >= raw(committed.lsn_next)) chain.set_has(pb::Chain::AHEAD);
        return chain.has() != pb::Chain::NOTHING;
    }
    const Index index{request.index()};
    chain.set_index(raw(index));
    if (index == Index{}) return true;
    if (index < base.index || index > committed.index) {
        chain.set_has(index < base.index ? pb::Chain::TRIMMED : pb::Chain::AHEAD);
        return true;
    }
    if (index == base.index) {
        chain.set_has(pb::Chain::YES);
        chain.set_chain(base.chain);
        chain.set_term(raw(base.term));
        chain.set_lsn_first(raw(base.lsn_next));
        return true;
    }
    std::vector<Slice> slices;
    if (!reader_.in_memory(index, index, 1, slices)) return false;
    EntryCursor cursor(slices.front().view());
    const EntryHeader* header = cursor.next();
    if (header == nullptr) return false;
    fill_entry(chain, *header);
    return true;
}

void VerifyRequests::read_done(const ReadFor& purpose, const wal::ReadResult& result) {
    auto found = reads_.find(purpose.a);
    if (found == reads_.end()) return;
    const Asker asker = found->second;
    reads_.erase(found);
    pb::Answer answer_to;
    pb::Chain& chain = *answer_to.mutable_chain();
    fill(chain);
    chain.set_index(purpose.b);
    chain.set_what(result.what);
    EntryCursor cursor(result.entries.view());
    const EntryHeader* header = result.code == wal::ReadCode::ok ? cursor.next() : nullptr;
    if (header != nullptr)
        fill_entry(chain, *header);
    else if (result.code == wal::ReadCode::damaged)
        chain.set_has(pb::Chain::DAMAGED), chain.set_file(file_of(Index{purpose.b}));
    else
        chain.set_has(result.code == wal::ReadCode::gone ? pb::Chain::TRIMMED : pb::Chain::UNREADABLE);
    answer(clients_, asker.conn, asker.stream, answer_to);
}

void VerifyRequests::fill(pb::Chain& chain) const {
    const LogPoint base = reader_.base();
    const LogPoint& committed = pump_.committed();
    chain.set_node_id(raw(context_.dir.identity.id));
    chain.set_name(context_.dir.identity.name);
    chain.set_base_index(raw(base.index));
    chain.set_base_chain(base.chain);
    chain.set_base_lsn_next(raw(base.lsn_next));
    chain.set_commit_index(raw(committed.index));
    chain.set_commit_chain(committed.chain);
    chain.set_commit_lsn(raw(committed.lsn_next) - 1);
}

void VerifyRequests::fill_entry(pb::Chain& chain, const EntryHeader& header) const {
    chain.set_has(pb::Chain::YES);
    chain.set_index(header.index);
    chain.set_chain(header.chain);
    chain.set_term(header.term);
    chain.set_lsn_first(header.lsn_first);
    chain.set_records(header.record_count);
    chain.set_body_checksum(header.body_checksum);
    chain.set_file(file_of(Index{header.index}));
}

/// The archive, once it is in one: that is what stays.
std::string VerifyRequests::file_of(Index index) const {
    for (const snapshot::ArchiveInfo& archive : reader_.archives())
        if (index >= archive.first() && index <= archive.last()) return "snapshot/" + archive.name();
    const std::string path = wal_.file_of(index), folder = context_.dir.path + "/";
    return path.starts_with(folder) ? path.substr(folder.size()) : path;
}

void VerifyRequests::verify(pb::Answer& answer, const pb::VerifyRequest& request) {
    if (request.run() == 0 ||
        (verifier_.running() && !verifier_.scrubbing() && verifier_.report().run != request.run())) {
        pb::Error& refused = *answer.mutable_error();
        refused.set_code(static_cast<uint32_t>(request.run() == 0 ? Errc::bad_input : Errc::conflict));
        refused.set_what(request.run() == 0 ? "a verification needs a number"
                                            : "another verification reads this member's files");
        refused.set_hint("raftctl verify --deep again, once that one is done");
        return;
    }
    if (verifier_.report().run != request.run())
        verifier_.begin(request.run(), Lsn{request.from_lsn()}, replica_.core().view().durable);
    const Verifier::Report& report = verifier_.report();
    pb::Verified& verified = *answer.mutable_verified();
    verified.set_node_id(raw(context_.dir.identity.id));
    verified.set_name(context_.dir.identity.name);
    verified.set_run(report.run);
    verified.set_done(report.done);
    verified.set_entries(report.entries);
    verified.set_entries_total(report.entries_total);
    verified.set_bytes(report.bytes);
    verified.set_upto(raw(report.upto));
    verified.set_archives(report.archives);
    for (const Verifier::Damage& damage : report.damages) {
        pb::Damage& to = *verified.add_damages();
        to.set_file(damage.file);
        to.set_what(damage.what);
        to.set_first(raw(damage.first));
        to.set_last(raw(damage.last));
        to.set_lsn(raw(damage.lsn));
    }
    verified.set_state_index(raw(report.state_index));
    verified.set_state_digest(report.state_digest);
    const State& state = applier_.state();
    if (!report.done || state.bytes() > kStateBytesMax) return;
    verified.set_applied_index(raw(state.applied()));
    verified.set_applied_digest(state.digest());
}

}  // namespace raftd::daemon
