// What `raftctl fsck` finds in the files of one stopped member, and what it mends. Everything is read by the
// code that a start and the running member read it with. Blocking; takes no lock: the caller holds it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/files.h"
#include "snapshot/store.h"

namespace raftd::cli {

/// What a find costs.
enum class Weight : uint8_t {
    leftover,  // what a crash left, or nobody's file: the next start clears it away, or passes it over
    harmless,  // damage to what is never read again, or what is written again elsewhere
    mendable,  // damage to what can be made again from other files of this directory
    damaged,   // only the other members have it
};
const char* text_of(Weight weight);

struct Find {
    Weight weight = Weight::damaged;
    std::string part;                // identity, boots, addresses, log, snapshot, state, files
    std::string file;                // in the data directory
    std::optional<uint64_t> offset;  // in bytes
    std::string what;
    std::string done;  // what --repair did about it; empty: nothing
};

struct FsckReport {
    std::string dir;
    std::string name, cluster;                               // of the member; empty: not known
    std::vector<std::pair<std::string, std::string>> facts;  // part, what it holds
    std::vector<Find> finds;

    /// Damage that is still there.
    uint64_t damages() const;
    uint64_t repaired() const;
};

struct FsckTools {
    io::Files& files;
    snapshot::StoreMaker* store = nullptr;  // nothing: there is no state/
    bool repair = false;
    /// Asked before each file that may be large; false: to end early.
    std::function<bool(const std::string& path)> go_on = [](const std::string&) { return true; };
};
/// Changes nothing without `repair`, but for state/, which LevelDB opens as at a start.
FsckReport fsck_directory(const FsckTools& tools, const std::string& dir);

}  // namespace raftd::cli
