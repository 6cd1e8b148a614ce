// Client appends: admission, the check of what clients made (H16), proposing, and the answers. Outcomes
// (H10): once a batch is in this leader's log it is answered only `committed`, `repeated` or `unknown`; every
// other answer means that this attempt did nothing. A producer's batch is judged by the projected table (H8):
// a repetition waits for the first one's commit and gets its answer. Then a condition is checked, against the
// log's end with all that isn't committed (H12). Loop thread only. Read next: daemon/producers.h,
// daemon/refusals.h.
#pragma once

#include <deque>
#include <vector>

#include "daemon/clients.h"
#include "daemon/peers.h"
#include "daemon/producers.h"
#include "daemon/refusals.h"
#include "daemon/replica.h"

namespace raftd::daemon {

class Appends {
public:
    Appends(Context& context, Replica& replica, wal::Wal& wal, Peers& peers, Clients& clients,
            Producers& producers);

    /// An append frame; false when it isn't one (the connection is closed).
    bool frame(ClientConn& conn, const io::Frame& frame);
    /// A large body was checked on a worker; its connection may go on.
    void verified(io::Completed& done, NodeId leader);
    /// Everything up to `upto` is committed.
    void committed(Index upto);
    /// Office was lost: what is behind `index` has an unknown outcome.
    void lost_after(Index index);
    void read_confirmed(ReadId read) { refusals_.read_confirmed(read); }
    void read_failed(ReadId read) { refusals_.read_failed(read); }
    /// Refusals that waited, once what they rest on is known to hold. Behind all of the above, before
    /// flush().
    void take_refusals();
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
        bool repeated;
    };
    struct VerifyJob;

    std::optional<proto::AppendCode> form_refused(const proto::Append& append, uint64_t body_bytes) const;
    std::optional<proto::AppendCode> office_refused(const ClientConn& conn, const proto::Append& append);
    proto::AppendCode or_under_way(proto::AppendCode code, const EntryHeader& draft);
    std::optional<proto::AppendCode> room_refused(uint64_t body_bytes) const;
    void admit(ClientConn& conn, const io::Frame& frame, const proto::Append& append, ByteView body);
    bool answer_older(ClientConn& conn, const io::Frame& frame, const EntryHeader& draft);
    void wait_for_first(ClientConn& conn, const io::Frame& frame, Index index);
    void refuse_later(ClientConn& conn, uint32_t stream, proto::AppendCode code, uint64_t value, Index rest);
    void wait(ClientConn& conn, const Waiter& waiter);
    /// Of both halves while joint, by the members' last answers.
    bool majority_has_room() const;
    void place(ClientConn& conn, const io::Frame& frame, const proto::Append& append, ByteView body);
    void answer(ClientConn& conn, const proto::AppendDoneItem& item);
    void finish(const Waiter& waiter, proto::AppendCode code);
    void refuse(ClientConn& conn, uint32_t stream, proto::AppendCode code, bool numbered);

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    Peers& peers_;
    Clients& clients_;
    Producers& producers_;
    Refusals refusals_;
    std::deque<Waiter> waiters_;   // in order of index
    uint64_t admitted_bytes_ = 0;  // of all waiters
    std::vector<io::ConnId> touched_;
    uint64_t job_last_ = 0;
};

}  // namespace raftd::daemon
