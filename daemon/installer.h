// Brings a member up by a snapshot, when the leader's log begins behind what it needs: asks the leader for
// the newest manifest, fetches the state and only the archives that are missing here, checks each, and makes
// the whole count by renaming snapshot/CURRENT (H11). Whatever interrupts it (a lost connection, a kill of
// either side, another leader), what was fetched stays and is gone on with. Order:
//   manifest -> list what is here -> each file: fetch, check, sync, name -> state loaded -> CURRENT renamed
//   -> the core and the log follow (daemon/pump.h) -> the state's store is made anew -> the leader is
//   answered
// Loop thread only; files are touched on Lane::transfer. Read next: daemon/file_fetch.h.
#pragma once

#include <memory>
#include <optional>

#include "daemon/applier.h"
#include "daemon/compaction.h"
#include "daemon/file_fetch.h"
#include "daemon/pump.h"

namespace raftd::daemon {

class Installer {
public:
    Installer(Context& context, Replica& replica, Peers& peers, Pump& pump, Applier& applier,
              Compaction& compaction);
    ~Installer();

    void attach(ArchiveWatch& archives) { archives_ = &archives; }

    /// The leader says so again and again until its log reaches this one.
    void wanted(const raft::Output::Install& install);
    void bulk(const Peers::Bulk& change) { fetch_.bulk(change); }
    void frame(io::ConnId conn, const io::Frame& frame) { fetch_.frame(conn, frame); }
    void completed(io::Completed& done);
    Instant deadline() const;
    /// Goes on with what has become possible.
    void turn();

    /// What it is bringing here, for status; nothing when nothing is wanted.
    struct Progress {
        Index at{};
        NodeId from{};
        uint64_t files_left = 0;
        uint64_t bytes = 0, bytes_total = 0;  // of the files that were missing; 0: not known yet
        std::string why;                      // the last try ended; empty: none did
    };
    std::optional<Progress> progress() const;

private:
    // waiting: for a link to the source, or for the time of the next try.
    enum class Stage : uint8_t { idle, waiting, manifest, listing, fetching, checking, holding, committing };
    struct Job;

    void dial();
    void ended(FileFetch::Ended&& ended);
    void take_manifest(const std::string& text);
    void list();
    void listed(Job& job);
    void next_file();
    uint64_t bytes_of(const std::string& file) const;
    void check(std::string path);
    void commit();
    void committed(Job& job);
    void try_again(std::string_view why);
    void give_up(std::string_view why);
    void submit(std::unique_ptr<Job> job, Stage stage);
    bool frozen() const;
    bool overtaken() const { return !replica_.core().may_install(manifest_.at.id()); }
    std::string dir() const { return context_.dir.path + "/snapshot"; }

    Context& context_;
    Replica& replica_;
    Peers& peers_;
    Pump& pump_;
    Applier& applier_;
    Compaction& compaction_;
    ArchiveWatch* archives_ = nullptr;
    FileFetch fetch_;
    Stage stage_ = Stage::idle;
    raft::Output::Install wanted_{};
    Instant wanted_at_{}, again_at_{};
    uint32_t failures_ = 0;
    snapshot::SnapshotManifest manifest_;  // being brought here
    std::vector<std::string> missing_;     // files still to be fetched, the next one last
    std::map<std::string, uint64_t> parts_;
    std::string state_path_;  // of the fetched state; empty: it was there under its name
    Instant began_at_{};
    uint64_t bytes_total_ = 0, bytes_done_ = 0;  // of the missing files, and of those that are here now
    std::string failure_;                        // of the last try
};

}  // namespace raftd::daemon
