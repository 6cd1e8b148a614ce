// Whether members made the same archives, and have the same replicated state where each ends (H13): every
// answer to another member names one archive by its end, its hash and that state's digest, the newest and all
// others in turn; whoever gets it compares with its own. A difference is an event, an alarm, and freezes
// compaction. Loop thread only. Read next: daemon/chain_watch.h, daemon/freeze.h.
#pragma once

#include <map>

#include "daemon/alarms.h"
#include "daemon/compaction.h"
#include "daemon/freeze.h"
#include "proto/peer.h"

namespace raftd::daemon {

class ArchiveWatch : public AlarmSource {
public:
    ArchiveWatch(Context& context, const LogReader& reader, const Compaction& compaction, Freeze& freeze)
        : context_(context), reader_(reader), compaction_(compaction), freeze_(freeze) {}

    void fill(proto::Trailer& trailer);
    void heard(NodeId from, const proto::Trailer& trailer);
    /// Whether a snapshot that is offered has the archives that this member has; false is told as a
    /// difference.
    bool agrees(NodeId from, const std::vector<snapshot::ArchiveInfo>& theirs);
    void add_alarms(std::vector<std::string>& alarms) const override;
    uint64_t compared() const { return compared_; }

private:
    static constexpr size_t kKept = 16;  // differences told of
    const snapshot::ArchiveInfo* ending_at(Index end) const;
    void differs(const char* event, const char* alarm, NodeId from, Index end, uint64_t mine,
                 uint64_t theirs);

    Context& context_;
    const LogReader& reader_;
    const Compaction& compaction_;
    Freeze& freeze_;
    size_t next_ = 0;  // archive to be told next
    bool newest_ = false;
    uint64_t compared_ = 0;
    std::map<std::string, uint64_t> seen_;  // alarms, with how often
};

}  // namespace raftd::daemon
