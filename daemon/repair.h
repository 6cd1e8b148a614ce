// Repairs damage of this member's own disk while it runs (P5, H3): a hole of its log gets its entries back
// from memory, from its own archives or from any other member, no leader needed; a damaged archive or state
// file is fetched anew (daemon/file_repair.h). What comes is believed by its chain, or its hash, alone. While
// a hole is there the core is told of it: it doesn't lead, and vouches for nothing from there on. When every
// other member has said that it can't help, the process ends with 21 and names what is lost. Loop thread
// only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/alarms.h"
#include "daemon/entry_fetch.h"
#include "daemon/file_repair.h"
#include "daemon/stretch_search.h"

namespace raftd::daemon {

/// What holes forbid the core.
void tell_holes(raft::Health& health, const std::vector<wal::Hole>& holes);

class Repair : public AlarmSource {
public:
    Repair(Context& context, Replica& replica, wal::Wal& wal, LogReader& reader, Peers& peers,
           const Compaction& compaction);

    /// Once a turn, before the core's.
    void turn(Index committed);
    void read_done(const wal::ReadResult& result);
    void bulk(const Peers::Bulk& change) { fetch_.bulk(change), files_.bulk(change); }
    void frame(io::ConnId conn, const io::Frame& frame) {
        fetch_.frame(conn, frame), files_.frame(conn, frame);
    }
    void completed(io::Completed& done) { files_.completed(done); }
    /// A file of the snapshot folder isn't what it was.
    void file_damaged(const std::string& name) { files_.damaged(name); }
    Instant deadline() const;
    void add_alarms(std::vector<std::string>& alarms) const override;

    /// A file of the data directory that is whole again, by its path in it.
    std::optional<std::string> take_whole_file();

private:
    enum class Stage : uint8_t { idle, own, fetching, mending };
    void survey();
    void begin(const wal::Hole& hole);
    void from_memory();
    void fetch_next();
    void fetched(EntryFetch::Ended&& ended);
    void round_over();
    void give_up();
    const wal::Hole* next_hole();
    void wait_longer();
    void mend(Stretch stretch);  // a copy: it may be stretch_ itself that is given
    void mended(const wal::Wal::Mended& done);
    bool same_hole() const;
    std::vector<NodeId> others() const;
    bool knows_others() const;
    std::string name_of(NodeId id) const;
    std::string file_of(const wal::Hole& hole) const;  // in the data directory

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    LogReader& reader_;
    Peers& peers_;
    EntryFetch fetch_;
    FileRepair files_;
    Index committed_{};

    Stage stage_ = Stage::idle;
    std::optional<wal::Hole> hole_;         // being repaired
    std::optional<Stretch> stretch_;        // what is there of it
    std::optional<StretchSearch> search_;   // in this round of asking everybody
    bool sure_ = true;                      // nobody failed in it who may still have them
    LogPoint furthest_{};                   // as far as anybody had them
    std::map<NodeId, std::string> cannot_;  // by their last answer: why
    uint32_t rounds_ = 0, hopeless_ = 0;
    Instant again_at_{}, survey_at_{}, began_at_{};
    std::vector<std::string> whole_files_;
    uint32_t failures_ = 0;  // in a row: mends that failed, or weren't begun for want of room
    bool no_room_ = false;
    NodeId source_{};  // 0: this member itself
};

}  // namespace raftd::daemon
