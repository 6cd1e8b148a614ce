// Client appends: admission, the check of what clients made (H16), proposing, and the answers. Outcomes
// (H10): once a batch is in this leader's log it is answered only `committed` or `unknown`; every other
// answer means that nothing happened. Loop thread only.
#pragma once

#include <deque>
#include <vector>

#include "daemon/clients.h"
#include "daemon/peers.h"
#include "daemon/replica.h"

namespace raftd::daemon {

class Appends {
public:
    Appends(Context& context, Replica& replica, wal::Wal& wal, Peers& peers, Clients& clients);

    /// An append frame; false when it isn't one (the connection is closed).
    bool frame(ClientConn& conn, const io::Frame& frame);
    /// A large body was checked on a worker; its connection may go on.
    void verified(io::Completed& done, NodeId leader);
    /// Everything up to `upto` is committed.
    void committed(Index upto);
    /// Office was lost: what is behind `index` has an unknown outcome.
    void lost_after(Index index);
    /// One answer frame a touched connection.
    void flush(NodeId leader);
    bool idle() const { return waiters_.empty(); }
    uint64_t admitted_bytes() const { return admitted_bytes_; }

private:
    struct Waiter {
        Index index;
        io::ConnId conn;
        uint32_t stream, bytes;
        uint64_t lsn_first, term, timestamp_ms;
    };
    struct VerifyJob;

    std::optional<proto::AppendCode> refusal(const ClientConn& conn, const proto::Append& append,
                                             uint64_t body_bytes) const;
    bool majority_has_room() const;
    void place(ClientConn& conn, const io::Frame& frame, const proto::Append& append, ByteView body);
    void answer(ClientConn& conn, const proto::AppendDoneItem& item);
    void finish(const Waiter& waiter, proto::AppendCode code);
    void refuse(ClientConn& conn, uint32_t stream, proto::AppendCode code);

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    Peers& peers_;
    Clients& clients_;
    std::deque<Waiter> waiters_;   // in order of index
    uint64_t admitted_bytes_ = 0;  // of all waiters
    std::vector<io::ConnId> touched_;
    uint64_t job_last_ = 0;
};

}  // namespace raftd::daemon
