// Takes a snapshot whenever the replicated state says that an archive ended (H5, H11, H13): the applier has
// saved the state there as a file; this part archives the log up to there, writes the manifest, renames
// CURRENT, and only then lets segments go, but for `wal_keep_bytes` of them. Reads through LogReader (H28), a
// piece at a time, and writes in jobs on Lane::compact, so appends never wait for it; and slowly while
// clients write a lot (daemon/compaction_pace.h). A disk that fails or is full is an alarm and tried again.
// Killed anywhere, the older snapshot is in force and the next start removes what was begun. Loop thread
// only. Read next: snapshot/snapshot_dir.h.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/applier.h"
#include "daemon/compaction_pace.h"
#include "daemon/log_reader.h"
#include "daemon/transfer_pin.h"
#include "snapshot/snapshot_dir.h"

namespace raftd::daemon {

class Freeze;

class Compaction {
public:
    Compaction(Context& context, Replica& replica, wal::Wal& wal, LogReader& reader, Applier& applier);
    ~Compaction();

    /// Once a turn: begins what is due.
    void turn();
    void read_done(wal::ReadResult& result);
    void completed(io::Completed& done);
    Instant deadline() const;

    /// The snapshot in force; nothing: the genesis.
    const std::optional<snapshot::SnapshotManifest>& newest() const { return newest_; }
    /// The last tries failed: why. Empty: all is well.
    const std::string& trouble() const { return trouble_; }
    /// While held nothing new is begun; then CURRENT is somebody else's to rename.
    void hold(bool held) { hold_ = held; }
    bool held() const { return hold_ && !under_way_; }
    /// A snapshot that another member took is in force. Requires: held.
    void installed(const snapshot::SnapshotManifest& manifest);
    /// The files of the newest snapshot stay until unpin(), whatever supersedes it. False while another one
    /// is being put in force, there is none, or it is released(): ask again. `holder` is any number of the
    /// caller's.
    bool pin(uint64_t holder);
    void unpin(uint64_t holder);
    /// Archives were let go since: what its state says of checkpoints may not be there whole. A trim is
    /// behind it in the log, so another one can be taken.
    bool released() const { return released_; }
    /// While a freeze is on, nothing is begun and nothing goes; what waited is done behind it.
    /// While a pin is held, more segments stay.
    void attach(const Freeze& freeze, const TransferPin& pin) {
        freeze_ = &freeze;
        pin_ = &pin;
    }
    bool frozen() const;
    /// Of the replicated state where an archive ended lately; 0: not known.
    uint64_t state_digest(Index end) const;
    /// Something is being written or waits to be.
    bool busy() const { return target_.has_value(); }

private:
    struct Maker;
    struct Job;
    using Target = StateSaved;

    void take_saved();
    void go_on();
    void read_more(Index first);
    void archive(std::vector<Slice> entries);
    void archived(Job& job);
    void commit();
    void committed(Job& job);
    void drop_segments();
    void failed(const std::string& why);
    snapshot::SnapshotManifest manifest() const;
    bool can_release() const;
    void release();
    void drop_trimmed(Job& job, Index first_index);
    void keep_pinned(Job& job);
    void sweep(bool states_only);
    void keep_in_force();
    bool was_released(const snapshot::SnapshotManifest& manifest) const;
    LogPoint begin() const;
    LogPoint archived_upto() const;
    CompactionPace::Log log_now() const;
    Instant next_at() const { return std::max(retry_at_, pace_.next_at()); }
    std::string dir() const { return context_.dir.path + "/snapshot"; }
    void submit(std::unique_ptr<Job> job);

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    LogReader& reader_;
    Applier& applier_;

    std::optional<snapshot::SnapshotManifest> newest_;
    std::string newest_name_;                           // of its manifest
    std::optional<Target> target_, next_;               // being taken; the newest that came meanwhile
    std::vector<snapshot::ArchiveInfo> made_;           // behind those of the newest snapshot
    std::unique_ptr<Maker> maker_;                      // nothing: with a job, or not begun
    std::vector<std::string> superseded_;               // files that no manifest in force names
    std::map<uint64_t, std::set<std::string>> pinned_;  // names, by holder
    std::map<Index, uint64_t> digests_;                 // of states, by the archive's end; the newest ones
    const Freeze* freeze_ = nullptr;
    const TransferPin* pin_ = nullptr;
    bool under_way_ = false;   // a read or a job
    bool committing_ = false;  // it is the job that renames CURRENT
    bool released_ = false;
    bool sweep_due_ = false;      // a pin has gone
    uint64_t revision_free_ = 0;  // of the next manifest: no earlier try had it
    bool drop_due_ = true;
    Instant drop_again_at_ = kNever;  // the pin, which kept some, ends
    bool hold_ = false;
    Instant began_at_{}, retry_at_{};
    CompactionPace pace_;
    uint32_t failures_ = 0;
    std::string trouble_;
};

}  // namespace raftd::daemon
