// A saved cluster: a snapshot folder as one tar (CURRENT, the manifests of snapshot and genesis, the state,
// the archives), which `raftctl snapshot save` makes. It is foreign bytes: names come from a fixed list, each
// is there once and named by the manifest, and nothing of it is used before chain, hashes and joints were
// checked. Blocking; one thread. Read next: snapshot/restore.h.
#pragma once

#include <functional>
#include <memory>

#include "snapshot/archive_reader.h"
#include "snapshot/snapshot_dir.h"
#include "snapshot/tar.h"

namespace raftd::snapshot {

/// How many bytes a save's file of this name may have; 0: a save has no such file.
uint64_t saved_size_max(std::string_view name);

class Saved {
public:
    /// Reads headers and manifests, and compares what is there with what they name. Errors: not_found, io,
    /// bad_input (no save), damaged, too_new.
    static Result<Saved> open(io::Files& files, const std::string& path);
    /// The snapshot folder itself of a member that doesn't run: what CURRENT leads to, whatever lies beside
    /// it. Errors: not_found (it holds a genesis and no snapshot), io, damaged, too_new.
    static Result<Saved> open_folder(io::Files& files, const std::string& path);

    const std::string& path() const { return path_; }
    uint64_t bytes() const { return tar_ ? tar_->bytes() : 0; }  // of the tar
    const Manifest& genesis() const { return current_.genesis; }
    const SnapshotManifest& snapshot() const { return *current_.snapshot; }
    /// The save as a folder: its files are path() + "/NAME".
    io::Files& files() const { return tar_ ? *tar_ : *folder_; }

    Result<ArchiveReader> archive(size_t number) const;
    Result<StateFile> state() const;
    /// Reads all of it: every entry, chain, joint and hash. `go_on` is asked before each archive; false ends
    /// it (Errc::failed). Errors: damaged, too_new, io.
    Result<void> verify(const std::function<bool(size_t archive)>& go_on = [](size_t) { return true; }) const;

private:
    Result<void> compare_names() const;

    std::string path_;
    std::unique_ptr<TarFiles> tar_;  // nothing: a folder, in `folder_`
    io::Files* folder_ = nullptr;
    Current current_;
};

/// Whether a file begins as a tar does, which no archive of the log does.
bool looks_saved(io::Files& files, const std::string& path);

}  // namespace raftd::snapshot
