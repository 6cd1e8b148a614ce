// Keeps a cursor in step with what a tail has given out: moved at most once a second, and at the end, behind
// records that were written to the output. Who reads again after a crash sees the last ones again, never
// less.
#pragma once

#include <optional>
#include <string>

#include "client/client.h"

namespace raftd::cli {

class CursorKeeper {
public:
    /// `commit`: the cursor moves, and is made if it isn't there.
    CursorKeeper(client::Client& client, std::string name, bool commit)
        : client_(client), name_(std::move(name)), commit_(commit) {}

    /// Where to begin; 0: at the first record there is. Errors: not_found, and those of the cluster.
    Result<Lsn> start();
    /// Records up to there have left this program.
    void delivered(Lsn last) { next_ = last + 1; }
    /// Moves the cursor if that is due; `now`: if there is anything to move it for. Errors: those of the
    /// cluster.
    Result<void> keep(bool now);

private:
    client::Client& client_;
    std::string name_;
    bool commit_;
    Lsn next_{}, kept_{};
    Instant kept_at_{};
};

}  // namespace raftd::cli
