// The parts of fsck_directory() (cli/fsck_check.h): each looks at one folder and adds what it finds.
#pragma once

#include "cli/fsck_check.h"
#include "snapshot/data_dir.h"
#include "wal/wal.h"

namespace raftd::cli {

struct FsckRun {
    const FsckTools& tools;
    FsckReport& report;
    std::optional<snapshot::Identity> identity;
    std::optional<snapshot::Current> current;
    bool whole = false;  // identity, boots and manifest are good and agree: only then anything is mended
    std::optional<wal::Options> log;  // the log can be walked with these

    bool mends() const { return tools.repair && whole; }
    std::string path(const std::string& name) const { return report.dir + "/" + name; }
    Find& add(Weight weight, const char* part, std::string file, std::string what,
              std::optional<uint64_t> offset = std::nullopt);
    /// An error of a reader: "PATH at byte N: what".
    Find& add(Weight weight, const char* part, const Error& error);
    /// Removes leftovers for good; `finds`: of this part, from this one on.
    void remove(size_t first_find, const std::string& folder);
};

void fsck_identity(FsckRun& run);
void fsck_snapshot(FsckRun& run);
void fsck_log(FsckRun& run);
void fsck_state(FsckRun& run);

}  // namespace raftd::cli
