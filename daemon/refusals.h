// Refusals that rest on the log (H8, H12): on an entry that may not be committed yet, or on the word of a
// leader that may be one no longer. Each is told only once the entry it rests on is committed and a round
// that began after the request has confirmed the reign (ReadIndex); if office goes first, nothing is known,
// and the answer is `retry`. Loop thread only.
#pragma once

#include <map>
#include <vector>

#include "daemon/context.h"
#include "daemon/replica.h"
#include "proto/client.h"

namespace raftd::daemon {

class Refusals {
public:
    Refusals(Context& context, Replica& replica) : context_(context), replica_(replica) {}

    struct Refusal {
        io::ConnId conn;
        proto::AppendDoneItem item;
        Index rest;  // newest entry that it rests on
    };
    /// Begins the round; false when too many wait: answer `retry`. Requires: leading.
    bool add(const Refusal& refusal);
    void read_confirmed(ReadId read);
    void read_failed(ReadId read);
    void committed(Index upto) { commit_ = upto; }
    void lost_office();
    /// What can be told now; an item that came to nothing says `retry`.
    bool take(Refusal& into);

private:
    struct Waiting {
        Refusal refusal;
        Term term;
        bool confirmed = false;
    };
    static constexpr size_t kWaitingMax = 8192;

    Context& context_;
    Replica& replica_;
    std::map<ReadId, Waiting> waiting_;
    std::vector<Refusal> ended_;
    Index commit_{};
};

}  // namespace raftd::daemon
