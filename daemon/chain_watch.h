// Whether the members' logs are the same, by (index, chain), which names the whole prefix (H15). Three places
// look: a follower at the first new entry of each append; whoever gets an answer, at the point its trailer
// names; and a leader at its own memory, when a follower can't take what it sends. A mismatch is an alarm. A
// leader that a majority contradicts, and a member whose own memory doesn't verify, ends with 22: nothing
// that it says can be trusted. One member that differs stops nobody else. Loop thread only.
#pragma once

#include <optional>

#include "daemon/freeze.h"
#include "daemon/replica.h"
#include "proto/peer.h"

namespace raftd::daemon {

class ChainWatch {
public:
    ChainWatch(Context& context, Replica& replica) : context_(context), replica_(replica) {}

    /// A difference of what is committed freezes compaction on all members. An append that doesn't fit does
    /// not: it may have been damaged on its way.
    void attach(Freeze& freeze) { freeze_ = &freeze; }

    /// An append whose first new entry doesn't fit my log, or isn't what its own checksums say: nothing of it
    /// was taken. From now on my answers say where my log ends that the leader's doesn't continue.
    void append_refused(NodeId from, const PeerMessage& message, Replica::Accepted why);
    /// New entries of the leader were taken: there is nothing to dispute.
    void append_taken() { dispute_.reset(); }

    /// What my answers say of my log: at `committed`, or where it is disputed.
    void fill(proto::Trailer& trailer, const LogPoint& committed) const;
    /// An answer of `from`, sent in `term`. `committed`: up to where my log is known to be committed.
    void heard(NodeId from, Term term, const proto::Trailer& trailer, const LogPoint& committed);

private:
    /// Where a leader's entries, which should follow an entry of mine, don't.
    struct Dispute {
        Term term;  // of the leader: in another one it says nothing
        LogPoint at;
    };
    void contradicted(NodeId from, const LogPoint& mine, uint64_t chain);
    void check_memory(Index first, Index last, const char* why) const;

    Context& context_;
    Replica& replica_;
    std::optional<Dispute> dispute_;
    Freeze* freeze_ = nullptr;
};

}  // namespace raftd::daemon
