// Reads back what this member has on disk: each archive of the snapshot in force, each segment's
// entries, the state's file, so that damage is found before it is needed (P5): when it is asked to, and by
// itself again and again, in the background, at `[log] scrub_rate`. A piece at a time, at most kBytesASecond,
// in jobs on Lane::read: everything else goes on beside it. What is damaged is named by file
// and entry, becomes an event, and an alarm until a later run finds nothing. Loop thread only. Read next:
// daemon/verify_requests.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/alarms.h"
#include "daemon/compaction.h"

namespace raftd::daemon {

class Repair;

class Verifier : public AlarmSource {
public:
    static constexpr uint64_t kBytesASecond = 64u << 20;
    static constexpr size_t kDamagesMax = 64;  // named; a disk that has more needs no longer list

    Verifier(Context& context, wal::Wal& wal, LogReader& reader, const Compaction& compaction);
    ~Verifier() override;

    struct Damage {
        std::string file;  // in the data directory
        std::string what;
        Index first{}, last{};  // entries that can't be read; `last` 0: not known how far
        Lsn lsn{};              // of the first record that may be among them
    };
    struct Report {
        uint64_t run = 0;  // its number, chosen by who asked; 0: there was none yet
        bool done = false;
        uint64_t entries = 0, entries_total = 0;  // one that is in an archive and a segment counts twice
        uint64_t bytes = 0, archives = 0;
        Index upto{};
        std::vector<Damage> damages;
        Index state_index{};  // of the state in the snapshot; 0: none was read
        uint64_t state_digest = 0;
    };
    /// Begins to read what holds records from `from` on, entries up to `upto`, which are durable here. A
    /// scrub makes way. Requires: not running(), or scrubbing().
    void begin(uint64_t run, Lsn from, Index upto);
    bool running() const { return stage_ != Stage::idle; }
    /// The present run is one of its own, in the background.
    bool scrubbing() const { return running() && scrub_; }
    const Report& report() const { return report_; }

    void turn();
    Instant deadline() const;
    void read_done(const wal::ReadResult& result);
    void completed(io::Completed& done);
    void add_alarms(std::vector<std::string>& alarms) const override;
    /// Tells what it found damaged, and hears what is whole again.
    void exchange(Repair& repair);

private:
    enum class Stage : uint8_t { idle, archives, segments, state };
    void scrub();
    void start(Lsn from, Index upto);
    uint64_t rate() const;
    Duration scrubs_apart() const;
    struct ArchiveJob;
    struct StateJob;

    void read_archive();
    void archive_read(ArchiveJob& job);
    void begin_segments();
    void read_segments();
    bool was_cut();
    void step_over(Index damaged);
    void damage_ends(Index last);
    void read_state();
    void state_read(StateJob& job);
    void submit(std::unique_ptr<io::Job> job);
    void damaged(Damage damage);
    void paced(uint64_t bytes);
    void finish();
    /// A path without the data directory.
    std::string in_dir(const std::string& path) const;

    Context& context_;
    wal::Wal& wal_;
    LogReader& reader_;
    const Compaction& compaction_;
    Stage stage_ = Stage::idle;
    Report report_;
    bool under_way_ = false;
    bool scrub_ = false;    // the present run, or the last one
    bool discard_ = false;  // what is under way belongs to a run that made way
    Instant next_at_{}, scrub_at_{};
    Lsn from_{};
    // archives: still to be read, the next one last; what is read of it
    std::vector<snapshot::ArchiveInfo> archives_;
    std::unique_ptr<ArchiveJob> archive_;
    // segments
    Index next_{};
    std::optional<LogPoint> before_next_;  // behind the last entry read, when that is the one before next_
    uint64_t step_ = 0;                    // behind damage: so many entries were passed over, and again
    uint64_t cuts_seen_ = 0;               // of the log
    uint32_t state_tries_ = 0;
    std::vector<std::string> alarms_;  // of the last whole run
    std::vector<std::string> damaged_files_;
    std::vector<std::string> whole_again_;  // since this one began
};

}  // namespace raftd::daemon
