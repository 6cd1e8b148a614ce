// The one reader of the logical log: from the buffer at once, from files in a while. Tails, slow followers,
// compaction and the pump itself read through it, so where a truncation cut is known in one place (H28). What
// segments no longer hold comes from archives, in the same shape; followers are served from segments only.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "daemon/context.h"
#include "daemon/replica.h"
#include "snapshot/archive.h"
#include "wal/wal.h"

namespace raftd::daemon {

/// What a read from files was for; comes back with its result.
struct ReadFor {
    // read_back: segments alone, to see whether they can be read.
    enum class Who : uint8_t {
        follower,
        late_send,
        tail,
        follower_point,
        commit_point,
        state,
        compaction,
        point_asked,
        read_back,
        repair,  // of this log
        serve    // entries to a member that repairs its log
    };
    Who who;
    // follower: fetch id, node; tail: connection, stream, generation; point_asked: number of the question;
    // serve: connection, request
    uint64_t a = 0, b = 0, c = 0;
    raft::msg::Append append{};  // late_send: what it is for
};

class LogReader {
public:
    LogReader(Context& context, Replica& replica, wal::Wal& wal);
    ~LogReader();

    /// [first, last] of at most bytes_max (at least one entry) from memory; nothing when `first` isn't there.
    std::optional<Index> in_memory(Index first, Index upto, uint64_t bytes_max,
                                   std::vector<Slice>& out) const;
    /// The entry before the first one there is, in segments or archives; its lsn_next is the first LSN.
    LogPoint base() const;
    Index durable() const { return replica_.core().view().durable; }          // of the log
    bool holds(Index index) const { return replica_.buffer().holds(index); }  // in memory
    /// Begins a read from files; the result comes with take().
    void from_files(const wal::ReadRequest& request, const ReadFor& purpose);
    /// Of a read of archives.
    void completed(io::Completed& done);
    struct Done {
        ReadFor purpose;
        wal::ReadResult result;
    };
    std::optional<Done> take();
    /// Entries of segments that couldn't be read, since they are damaged; whoever looks into it takes them
    /// off.
    std::set<Index>& damaged_entries() { return damaged_entries_; }
    const std::set<Index>& damaged_entries() const { return damaged_entries_; }
    /// The same of archives and other files of the snapshot, by name.
    std::set<std::string>& damaged_files() { return damaged_files_; }

    /// The archives of the snapshot in force, in order, each going on where the one before ends.
    void set_archives(std::vector<snapshot::ArchiveInfo> archives) { archives_ = std::move(archives); }
    const std::vector<snapshot::ArchiveInfo>& archives() const { return archives_; }
    uint64_t archive_bytes() const;  // of their files

private:
    struct ArchiveJob;
    struct Pending {
        wal::ReadRequest request;
        ReadFor purpose;
    };
    const snapshot::ArchiveInfo* archive_for(const wal::ReadRequest& request) const;
    const snapshot::ArchiveInfo* archive_with(const wal::ReadRequest& request) const;
    void read_archive(const snapshot::ArchiveInfo& archive, const Pending& pending, uint32_t room);

    Context& context_;
    Replica& replica_;
    wal::Wal& wal_;
    std::vector<snapshot::ArchiveInfo> archives_;
    uint64_t cookie_last_ = 0;
    std::unordered_map<uint64_t, Pending> under_way_;
    std::deque<Done> done_;
    std::set<Index> damaged_entries_;
    std::set<std::string> damaged_files_;
};

}  // namespace raftd::daemon
