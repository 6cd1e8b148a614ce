// Fetches a stretch of the log from another member, whoever leads, when this member's own bytes of it are
// damaged (H3): what comes is good when it fits the chain on both sides. Asks like for a file, by the name
// `entries-FIRST-LAST` (daemon/file_server.h). Loop thread only. Read next: daemon/repair.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/peers.h"
#include "proto/peer.h"

namespace raftd::daemon {

/// Entries between two points of the log, as they come in.
struct Stretch {
    LogPoint at, to;  // behind the last entry taken; behind the last one wanted
    std::vector<Slice> pieces;
    std::vector<TermRun> runs;
    std::vector<Configuration> configs;

    Stretch(const LogPoint& from, const LogPoint& end) : at(from), to(end) {}
    bool whole() const { return at == to; }
    /// False: they don't go on from here, end elsewhere or hold other bytes than their headers say; then
    /// nothing is changed.
    bool take(const Slice& entries);

private:
    bool follow(const Slice& entries);
};
/// `entries-FIRST-LAST`
std::string stretch_name(Index first, Index last);
struct StretchAsked {
    Index first, last;
};
std::optional<StretchAsked> parse_stretch_name(std::string_view name);

class EntryFetch {
public:
    EntryFetch(Context& context, Peers& peers) : context_(context), peers_(peers) {}

    /// Requires: the peer is linked, and !busy().
    void begin(NodeId from, Stretch stretch);
    bool busy() const { return stretch_.has_value(); }
    NodeId source() const { return source_; }
    struct Ended {
        bool whole = false;
        bool definite = false;  // it answered, and hasn't got them: no use to ask again soon
        std::string why;
        Stretch stretch;  // what is there of it now
    };
    std::optional<Ended> take_ended() { return std::exchange(ended_, std::nullopt); }
    void hang_up();

    void bulk(const Peers::Bulk& change);
    void frame(io::ConnId conn, const io::Frame& frame);
    Instant deadline() const;
    void tick(Instant now);

private:
    void ask();
    void end(bool definite, std::string why);
    Duration patience() const;

    Context& context_;
    Peers& peers_;
    NodeId source_{};
    io::ConnId conn_ = io::kNoConn;
    std::optional<Stretch> stretch_;
    uint64_t request_ = 0;
    Instant moved_at_{};
    std::optional<Ended> ended_;
};

}  // namespace raftd::daemon
