// The core and the log buffer, always in step: what the core takes into its log lies in the buffer at the
// same moment. Every event of the core goes through step(), which also keeps the ring of the black box. Loop
// thread only. Read next: daemon/pump.h.
#pragma once

#include <optional>
#include <vector>

#include "daemon/black_box.h"
#include "daemon/log_buffer.h"
#include "daemon/log_clock.h"
#include "daemon/peer_codec.h"
#include "raft/core.h"
#include "wal/wal.h"

namespace raftd::daemon {

class Replica {
public:
    Replica(raft::Core core, const LogPoint& log_end, Members members, uint32_t chunk_bytes, bool black_box);

    const raft::Core& core() const { return core_; }
    const LogBuffer& buffer() const { return buffer_; }
    const Members& members() const { return members_; }
    Members& members() { return members_; }

    /// Proposals placed so far go to the core first, then `what`.
    raft::Core::Taken step(Instant now, decltype(raft::Event::what) what);

    /// Places an entry behind the log's end, to be proposed with others at once. Requires: core().accepting()
    /// (for a client's batch), or an entry the core itself wants.
    EntryHeader propose(Instant now, const EntryHeader& draft, ByteView body, LogTime time);
    EntryHeader propose_in_place(Instant now, const Slice& header_and_body, const EntryHeader& draft,
                                 LogTime time);
    EntryHeader propose_membership(Instant now, const Membership& membership, LogTime time);
    void flush_proposals();

    enum class Accepted : uint8_t {
        stepped,      // the core has it
        needs_point,  // the log behind wanted_point() isn't in memory: read it, provide_point(), try again
        bad_chain,    // doesn't continue our log: dropped
        bad_body,     // an entry's bytes are not what its header says: dropped
    };
    /// An append of a peer: checks the chain and the bodies of what is new (H15, H16), steps, fills the
    /// buffer.
    Accepted accept_append(Instant now, NodeId from, const PeerMessage& message);
    Index wanted_point() const { return wanted_point_; }
    void provide_point(const LogPoint& point) { known_point_ = point; }

    /// A snapshot of everything up to `at` is durable here (CURRENT is renamed). True: it replaces the log,
    /// which from now on begins behind it; else the log holds `at` and stays, or is further already.
    bool install(Instant now, const LogPoint& at, Configuration config, NodeId ids_used_upto);

    /// The log behind `index`, when it is in memory.
    std::optional<LogPoint> point_at(Index index) const;
    void collect(raft::Output& output);
    const BlackBox& black_box() const { return black_box_; }
    void release(Index upto, uint64_t bytes_max) { buffer_.release(upto, bytes_max); }

private:
    void take_in(const raft::Core::Taken& taken, const PeerMessage& message, uint64_t offset);
    Accepted check_new(Index keep, const PeerMessage& message, uint64_t& offset);

    raft::Core::Taken step_core(const raft::Event& event);

    raft::Core core_;
    BlackBox black_box_;
    LogBuffer buffer_;
    Members members_;
    std::vector<raft::EntryMeta> proposals_;  // placed in the buffer, not yet given to the core
    Instant proposed_at_{};
    Index wanted_point_{};
    std::optional<LogPoint> known_point_;  // read from files for a cut below the buffer
};

}  // namespace raftd::daemon
