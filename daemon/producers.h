// The producers of a leader: the projected table in step with its log, and the requests that open, close and
// ask about them. An opening is an entry; it is answered from the state once that is applied, so the answer
// is the truth about everything behind it. Loop thread only. Read next: daemon/producer_table.h,
// daemon/append.cpp.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "base/features.h"
#include "daemon/applier.h"
#include "daemon/clients.h"
#include "daemon/producer_table.h"
#include "daemon/replica.h"

namespace raftd::pb {
class Answer;
class CloseProducer;
class OpenProducer;
class ProducerAnswer;
class QueryProducer;
class Request;
}  // namespace raftd::pb

namespace raftd::daemon {

class Producers : public StateListener {
public:
    Producers(Context& context, Replica& replica, wal::Wal& wal, const State& state, Clients& clients);

    /// The log may hold producers' entries.
    bool enabled() const { return state_.feature_level() >= level_of(EntryKind::producer); }
    /// This member leads, and the table knows every entry of its log: only then may it judge a batch.
    bool stand();
    /// Requires: stand().
    Verdict look_up(const EntryHeader& draft) const {
        return table_.look_up(draft.producer, draft.producer_epoch, draft.sequence, draft.body_checksum);
    }
    /// A batch was placed behind the log's end. Requires: stand() before that.
    void placed(const EntryHeader& header) { table_.push(header, {}); }

    /// True when `request` was one of these; it is answered now or later.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request, NodeId leader);

    void applied(const EntryHeader& header, const Effects& effects) override;
    /// Office was lost: what waits for entries behind `index` is told to ask again.
    void lost_after(Index index);
    void read_confirmed(ReadId read, Index index);
    void read_failed(ReadId read);

private:
    struct Asker {
        io::ConnId conn;
        uint32_t stream;
    };
    struct Query {
        Asker asker;
        std::string name;
        uint64_t id, sequence;
        uint32_t epoch;  // not 0: an opening that was refused, since this isn't the epoch
    };

    bool ready(const Asker& asker, NodeId leader);
    void open(const Asker& asker, const pb::OpenProducer& wanted);
    void close(const Asker& asker, const pb::CloseProducer& wanted);
    void query(Query query);
    /// `time`: the stamp that the entry will get.
    bool make_room(ProducerEntry& entry, LogTime time) const;
    void propose(const Asker& asker, const ProducerEntry& entry, LogTime time);
    void answer(const Query& query);
    void answer(const Asker& asker, const pb::Answer& answer);
    void refuse(const Asker& asker, Errc code, const std::string& what, NodeId leader = {});
    void fill(pb::ProducerAnswer& into, const Producer& producer) const;

    static constexpr size_t kOpeningsMax = 4096;

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    const State& state_;
    Clients& clients_;
    ProducerTable table_;
    Term reign_{};                                // that the table was begun for
    std::deque<std::pair<Index, Asker>> placed_;  // openings and closings in the log, not applied yet
    std::map<ReadId, Query> asked_;               // the reign isn't confirmed yet
    std::multimap<Index, Query> confirmed_;       // answered when this much is applied
};

}  // namespace raftd::daemon
