#include "daemon/producers.h"

#include <algorithm>

#include "base/planted.h"
#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {

Producers::Producers(Context& context, Replica& replica, wal::Wal& wal, const State& state, Clients& clients)
    : context_(context), replica_(replica), wal_(wal), state_(state), clients_(clients), table_(state) {}

bool Producers::stand() {
    const raft::Core& core = replica_.core();
    if (core.role() != raft::Role::leader) return false;
    if (reign_ != core.term()) {
        if (!planted(PlantedBug::keep_producer_table)) table_.reset();
        reign_ = core.term();
    }
    if (state_.applied() > table_.upto()) table_.applied(state_.applied());
    const LogBuffer& buffer = replica_.buffer();
    std::vector<Slice> entry;
    // What the buffer no longer has is committed, and will be applied in a moment.
    while (table_.upto() < buffer.last() && buffer.holds(table_.upto() + 1)) {
        Index next = table_.upto() + 1;
        EntryHeader header = buffer.header(next);
        if (header.kind != EntryKind::producer) {
            table_.push(header, {});
            continue;
        }
        entry.clear();
        buffer.slices(next, next, entry);
        table_.push(header, entry.front().view().subspan(kEntryHeaderBytes));
    }
    return table_.upto() == buffer.last();
}

bool Producers::request(const ClientConn& conn, uint32_t stream, const pb::Request& request, NodeId leader) {
    Asker asker{conn.id, stream};
    bool mine = request.has_open_producer() || request.has_close_producer() || request.has_query_producer();
    if (!mine) return false;
    if (!ready(asker, leader)) return true;
    if (request.has_open_producer()) {
        open(asker, request.open_producer());
    } else if (request.has_close_producer()) {
        close(asker, request.close_producer());
    } else {
        const pb::QueryProducer& asked = request.query_producer();
        query({asker, asked.name(), asked.id(), asked.sequence(), 0});
    }
    return true;
}

/// Whether a request can be looked at; answers it if not.
bool Producers::ready(const Asker& asker, NodeId leader) {
    const raft::Core& core = replica_.core();
    if (core.role() != raft::Role::leader) {
        refuse(asker, Errc::unavailable, context_.dir.identity.name + " doesn't lead", leader);
    } else if (!enabled()) {
        refuse(asker, Errc::conflict,
               "the cluster's feature level is " + std::to_string(state_.feature_level()) +
                   ", and producers need " + std::to_string(level_of(EntryKind::producer)));
    } else if (context_.stopping || !core.accepting() || !stand()) {
        refuse(asker, Errc::unavailable, context_.dir.identity.name + " takes no requests for the moment");
    } else {
        return true;
    }
    return false;
}

void Producers::open(const Asker& asker, const pb::OpenProducer& wanted) {
    if (wanted.name().size() > kProducerNameBytesMax)
        return refuse(asker, Errc::bad_input,
                      "a producer's name has at most " + std::to_string(kProducerNameBytesMax) + " bytes");
    if (wanted.id() != 0 && wanted.epoch() != 0) {
        // Sequence 0 is never fresh: this asks for the epoch alone.
        auto what = table_.look_up(wanted.id(), wanted.epoch(), 0, 0).what;
        if (what == Verdict::What::fenced || what == Verdict::What::expired)
            return query({asker, {}, wanted.id(), 0, wanted.epoch()});
    }
    ProducerEntry entry;
    entry.id = wanted.id();
    if (entry.id == 0) entry.name = wanted.name();
    // One stamp for both: what makes room by it carries it.
    LogTime time = context_.stamp(replica_.buffer().end().timestamp_ms);
    if (table_.adds_one(entry) && !make_room(entry, time))
        return refuse(asker, Errc::unavailable,
                      "all " + std::to_string(state_.limits().producers_max) + " producers are in use");
    propose(asker, entry, time);
}

/// Names whom to forget, when the table is full; false when nobody may be. Idle by the log's time, which is
/// equal everywhere and can't leap with one clock (H9).
bool Producers::make_room(ProducerEntry& entry, LogTime time) const {
    uint64_t limit = state_.limits().producers_max;
    if (table_.producers() < limit) return true;
    size_t needed = table_.producers() - limit + 1;
    uint64_t now_ms = raw(time);  // of the entry itself: time goes on while nobody appends
    if (planted(PlantedBug::expire_by_own_clock))
        now_ms = static_cast<uint64_t>(std::max<int64_t>(context_.world.clock.wall_ms(), 0));
    for (uint64_t id : state_.idle(now_ms, needed + kProducersExpiredAtOnce))
        if (!table_.in_tail(id) && entry.expire.size() < needed) entry.expire.push_back(id);
    return entry.expire.size() == needed && needed <= kProducersExpiredAtOnce;
}

void Producers::close(const Asker& asker, const pb::CloseProducer& wanted) {
    if (wanted.id() == 0 || wanted.epoch() == 0)
        return refuse(asker, Errc::bad_input, "a producer to be closed is named by id and epoch");
    ProducerEntry entry;
    entry.op = ProducerEntry::Op::close;
    entry.id = wanted.id();
    entry.epoch = wanted.epoch();
    propose(asker, entry, context_.stamp(replica_.buffer().end().timestamp_ms));
}

void Producers::propose(const Asker& asker, const ProducerEntry& entry, LogTime time) {
    bool room =
        context_.world.disk.free_bytes() >= context_.options.settings.log.disk_free_min && !wal_.no_room();
    if (!room) return refuse(asker, Errc::unavailable, "too little disk space is left");
    if (placed_.size() >= kOpeningsMax)
        return refuse(asker, Errc::unavailable, "too many producers open at once");
    std::vector<std::byte> body = encode_producer(entry);
    EntryHeader draft = draft_batch(0, body);
    draft.kind = EntryKind::producer;
    EntryHeader placed = replica_.propose(context_.now, draft, body, time);
    table_.push(placed, body);
    placed_.emplace_back(Index{placed.index}, asker);
}

void Producers::query(Query query) {
    ReadId read = context_.new_read();
    asked_.emplace(read, std::move(query));
    replica_.step(context_.now, raft::ev::Read{read});
}

void Producers::read_confirmed(ReadId read, Index index) {
    auto found = asked_.find(read);
    if (found == asked_.end()) return;
    Query query = std::move(found->second);
    asked_.erase(found);
    if (index <= state_.applied()) return answer(query);
    confirmed_.emplace(index, std::move(query));
}

void Producers::read_failed(ReadId read) {
    auto found = asked_.find(read);
    if (found == asked_.end()) return;
    refuse(found->second.asker, Errc::unavailable, "the leader changes");
    asked_.erase(found);
}

void Producers::applied(const EntryHeader& header, const Effects& effects) {
    Index index{header.index};
    if (reign_ == replica_.core().term()) table_.applied(index);
    if (!placed_.empty() && placed_.front().first == index) {
        Asker asker = placed_.front().second;
        placed_.pop_front();
        pb::Answer said;
        pb::ProducerAnswer& to = *said.mutable_producer();
        const Producer* producer = state_.find(effects.producer_id);
        switch (effects.producer) {
            case Effects::Producer::opened:
                if (producer != nullptr) fill(to, *producer);
                answer(asker, said);
                break;
            case Effects::Producer::full: refuse(asker, Errc::unavailable, "all producers are in use"); break;
            case Effects::Producer::unknown:
                refuse(asker, Errc::not_found, "there is no such producer");
                break;
            case Effects::Producer::closed:
            case Effects::Producer::none: answer(asker, said); break;
        }
    }
    while (!confirmed_.empty() && confirmed_.begin()->first <= index) {
        answer(confirmed_.begin()->second);
        confirmed_.erase(confirmed_.begin());
    }
}

void Producers::lost_after(Index index) {
    for (; !placed_.empty() && placed_.back().first > index; placed_.pop_back())
        refuse(placed_.back().second, Errc::unknown, "the leader lost office");
    if (replica_.core().role() != raft::Role::leader) reign_ = Term{};
}

void Producers::answer(const Query& query) {
    const Producer* producer =
        query.id != 0 ? state_.find(query.id) : state_.find(std::string_view(query.name));
    if (query.epoch != 0 && producer == nullptr)
        return refuse(query.asker, Errc::not_found, "there is no such producer");
    if (query.epoch != 0 && producer->epoch == query.epoch)
        return refuse(query.asker, Errc::unavailable, "the producer is being opened by somebody else");
    pb::Answer said;
    pb::ProducerAnswer& to = *said.mutable_producer();
    if (producer != nullptr) fill(to, *producer);
    to.set_fenced(query.epoch != 0);
    const Answer* known =
        producer == nullptr || query.sequence == 0 ? nullptr : producer->answer(query.sequence);
    if (known != nullptr) {
        pb::SequenceAnswer& sequence = *to.mutable_sequence();
        sequence.set_index(known->index);
        sequence.set_lsn_first(known->lsn_first);
        sequence.set_record_count(known->record_count);
        sequence.set_term(known->term);
        sequence.set_timestamp_ms(known->timestamp_ms);
        sequence.set_body_checksum(known->body_checksum);
    }
    answer(query.asker, said);
}

void Producers::fill(pb::ProducerAnswer& into, const Producer& producer) const {
    into.set_id(producer.id);
    into.set_epoch(producer.epoch);
    into.set_last_sequence(producer.last);
    into.set_records(producer.records);
    into.set_name(producer.name);
    into.set_opened_index(producer.opened_index);
}

void Producers::answer(const Asker& asker, const pb::Answer& answer) {
    daemon::answer(clients_, asker.conn, asker.stream, answer);
}

void Producers::refuse(const Asker& asker, Errc code, const std::string& what, NodeId leader) {
    daemon::refuse(clients_, asker.conn, asker.stream, error(code, what), leader);
}

}  // namespace raftd::daemon
