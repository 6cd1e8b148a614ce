// Fetches damaged files of this member's snapshot anew (P5): an archive, or the state at its end, from any
// other member that has the same one, by the hash of its content. The new file is checked, synced and renamed
// over the damaged one. As long as nobody has it the alarm stays, and a later snapshot may make it needless.
// Loop thread only; files are checked on Lane::transfer. Read next: daemon/repair.h.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/compaction.h"
#include "daemon/file_fetch.h"

namespace raftd::daemon {

class FileRepair {
public:
    FileRepair(Context& context, Peers& peers, LogReader& reader, const Compaction& compaction);
    ~FileRepair();

    /// A file of the snapshot folder isn't what it was.
    void damaged(const std::string& name);
    void turn();
    void bulk(const Peers::Bulk& change) { fetch_.bulk(change); }
    void frame(io::ConnId conn, const io::Frame& frame) { fetch_.frame(conn, frame); }
    /// Parts that were written, and files that were checked.
    void completed(io::Completed& done);
    Instant deadline() const;
    /// Those that aren't repaired yet.
    const std::set<std::string>& names() const { return damaged_; }
    /// One that is whole again.
    std::optional<std::string> take_repaired();

private:
    struct Job;
    enum class Stage : uint8_t { idle, dialing, fetching, checking };
    void gather();
    bool needed(const std::string& name) const;
    void begin();
    void next_source();
    void ended(FileFetch::Ended&& ended);
    void check(std::string path);
    void failed(std::string_view why);

    Context& context_;
    Peers& peers_;
    LogReader& reader_;
    const Compaction& compaction_;
    FileFetch fetch_;
    Stage stage_ = Stage::idle;
    std::set<std::string> damaged_;
    std::string name_;        // being repaired
    std::set<NodeId> asked_;  // in this round
    uint32_t rounds_ = 0;
    Instant again_at_{};
    std::vector<std::string> done_;
};

}  // namespace raftd::daemon
