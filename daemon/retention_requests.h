// Requests about what stays of the log: trim, policy, cursors, checkpoints. A change is an entry, answered
// from the state once that is applied; a question is a linearizable read. Only the leader answers. Loop
// thread only. Read next: daemon/retained.h.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "daemon/clients.h"
#include "daemon/retention.h"

namespace raftd::pb {
class CheckpointBegin;
class CheckpointChunk;
class CursorChange;
class Request;
class Retained;
class RetentionChange;
}  // namespace raftd::pb

namespace raftd::daemon {

class RetentionRequests : public StateListener {
public:
    RetentionRequests(Context& context, Replica& replica, wal::Wal& wal, const State& state,
                      Clients& clients);

    /// While that is on, trims are refused.
    void attach(const Freeze& freeze) { freeze_ = &freeze; }

    /// True when `request` was one of these; it is answered now or later.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request, NodeId leader);
    void applied(const EntryHeader& header, const Effects& effects) override;
    /// Office was lost: what waits for entries behind `index` is told to ask again.
    void lost_after(Index index);
    void read_confirmed(ReadId read, Index index);
    void read_failed(ReadId read);

private:
    enum class Part : uint8_t { trim, policy, cursors, checkpoints };
    struct Asker {
        io::ConnId conn;
        uint32_t stream;
        Part part;
        std::string name;    // of one cursor; empty: all
        uint64_t id = 0;     // of one checkpoint; 0: all
        uint64_t bytes = 0;  // of the entry
        Lsn asked{};         // trim
    };

    bool ready(const Asker& asker, NodeId leader);
    void change(Asker asker, const pb::Request& request);
    void trim(Asker asker, Lsn before);
    void set(Asker asker, const pb::RetentionChange& wanted);
    void set(Asker asker, const pb::CursorChange& wanted);
    void begin(Asker asker, const pb::CheckpointBegin& wanted);
    void add(Asker asker, const pb::CheckpointChunk& wanted);
    void propose(Asker asker, EntryKind kind, const std::vector<std::byte>& body);
    void ask(Asker asker);
    void answer(const Asker& asker, const RetainEffects* effects);
    void fill_cursors(pb::Retained& into, const std::string& name) const;
    void fill_checkpoints(pb::Retained& into, uint64_t id) const;
    Error error_of(const Asker& asker, RetainEffects::Refused refused) const;
    void refuse(const Asker& asker, const Error& why, NodeId leader = {});

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    const State& state_;
    const Freeze* freeze_ = nullptr;
    Clients& clients_;
    std::deque<std::pair<Index, Asker>> placed_;  // changes in the log, not applied yet
    uint64_t placed_bytes_ = 0;
    std::map<ReadId, Asker> asked_;          // the reign isn't confirmed yet
    std::multimap<Index, Asker> confirmed_;  // answered when this much is applied
};

}  // namespace raftd::daemon
