// Requests by which members are compared (`raftctl verify`): the chain behind an entry, which names all of
// the log up to there, and a run that reads back everything on disk. Each member answers for itself, whoever
// leads. Loop thread only. Read next: daemon/verifier.h.
#pragma once

#include <map>

#include "daemon/clients.h"
#include "daemon/pump.h"
#include "daemon/verifier.h"

namespace raftd::pb {
class Answer;
class Chain;
class ChainRequest;
class Request;
class VerifyRequest;
}  // namespace raftd::pb

namespace raftd::daemon {

class VerifyRequests {
public:
    static constexpr size_t kReadsMax = 16;  // of the disk, for questions about old entries; more are refused

    VerifyRequests(Context& context, Replica& replica, Clients& clients, wal::Wal& wal, LogReader& reader,
                   const Applier& applier, const Pump& pump, Verifier& verifier);

    /// True when `request` was one of these; it is answered now, or once the entry was read.
    bool request(const ClientConn& conn, uint32_t stream, const pb::Request& request);
    /// An entry that was asked for came from files.
    void read_done(const ReadFor& purpose, const wal::ReadResult& result);

private:
    struct Asker {
        io::ConnId conn;
        uint32_t stream;
    };
    void chain(const Asker& asker, const pb::ChainRequest& request);
    void verify(pb::Answer& answer, const pb::VerifyRequest& request);
    bool answered_from_memory(const pb::ChainRequest& request, pb::Chain& chain) const;
    void fill(pb::Chain& chain) const;
    void fill_entry(pb::Chain& chain, const EntryHeader& header) const;
    std::string file_of(Index index) const;

    Context& context_;
    Replica& replica_;
    Clients& clients_;
    wal::Wal& wal_;
    LogReader& reader_;
    const Applier& applier_;
    const Pump& pump_;
    Verifier& verifier_;
    std::map<uint64_t, Asker> reads_;
    uint64_t read_last_ = 0;
};

}  // namespace raftd::daemon
