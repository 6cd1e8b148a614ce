// `raftctl debug ...`: looks inside a member or its files.
#pragma once

#include <string>

#include "cli/command.h"
#include "cli/discover.h"

namespace raftd::cli {

struct DebugDumpOptions {
    std::string node;
};
struct DebugStateOptions {
    std::string data_dir;
};
struct DebugWalOptions {
    std::string file;
};
/// What a segment of a write-ahead log holds, also a damaged one. Exit 8 when there is damage.
Exit debug_wal(const Context& context, const DebugWalOptions& options);

/// What the replicated state's store of a stopped member holds. Exit 7 while the member runs.
Exit debug_state(const Context& context, const DebugStateOptions& options);

/// The client address of the member of that name, by the file or by what members say. Errors: not_found.
Result<std::string> address_of(const Context& context, const Found& found, const std::string& node);

/// The live state of one member's core, as it says.
Exit debug_dump(const Context& context, const DebugDumpOptions& options);

}  // namespace raftd::cli
