// Everything is held as it is for a bounded time (`raftctl freeze`, or since members differ): nothing is
// archived, no segment or archive goes, no trim is asked for or proposed, no snapshot is installed over a log
// that has entries. Appends go on; the log grows meanwhile. Known to each member by itself, not by an entry
// of the log: whoever differs could not take such an entry, and its files are the evidence (docs/decisions/
// 0013-freeze-by-gossip.md). Each message between members carries what its sender knows; the higher version
// counts. Kept in the file `freeze`, so it outlives a restart; ends by itself. Loop thread only.
#pragma once

#include <string>

#include "daemon/alarms.h"
#include "daemon/context.h"
#include "proto/peer.h"

namespace raftd::daemon {

class Freeze : public AlarmSource {
public:
    enum class Why : uint32_t { asked = 0, differs = 1 };
    static constexpr uint64_t kLongestMs = 7ull * 24 * 3600 * 1000;
    static constexpr uint64_t kWhenDifferentMs = 3600 * 1000;

    /// Reads the file, if there is one (blocking, at a start).
    explicit Freeze(Context& context);

    bool on() const { return context_.now < until_; }
    uint64_t left_ms() const;
    uint64_t version() const { return version_; }
    Why why() const { return why_; }

    /// Asked for: from now on for so long; 0: it is over. Of an older version than is known, nothing happens.
    void set(uint64_t version, uint64_t for_ms);
    /// Members differ from this entry on, at the latest: an hour, once for each such difference, and never
    /// less than what was asked for.
    void difference(Index at);
    /// What another member knows.
    void heard(const proto::Freeze& theirs);
    proto::Freeze wire() const;

    void turn();
    Instant deadline() const;
    void completed(io::Completed& done);
    /// What is known is in the file, too.
    bool written() const { return written_ >= changes_; }
    void add_alarms(std::vector<std::string>& alarms) const override;

private:
    struct Job;
    void take(uint64_t version, uint64_t for_ms, Why why, Index at);
    void load();
    void write();
    std::string text() const;

    Context& context_;
    uint64_t version_ = 0;
    Instant until_{};
    Why why_ = Why::asked;
    Index at_{};
    bool told_ = false;  // that it is on
    uint64_t changes_ = 0, written_ = 0, writing_ = 0;
    Instant write_at_{};
};

}  // namespace raftd::daemon
