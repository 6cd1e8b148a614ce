// What the store of a member's replicated state holds, key by key: for `raftctl debug state` and `raftctl
// fsck`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "snapshot/state_format.h"
#include "snapshot/store.h"

namespace raftd::cli {

struct ProducerLine {
    uint64_t id;
    snapshot::ProducerRecord record;
    std::string name;
};

struct StoredState {
    snapshot::StoreMark mark;
    snapshot::StateHeader header{};
    std::vector<ProducerLine> producers;
    std::vector<uint64_t> used_ids, configs;
    std::vector<std::pair<uint64_t, snapshot::ArchiveMarkRecord>> marks;
    std::vector<std::string> cursors;
    std::vector<uint64_t> checkpoints;
};

/// Errors: not_found (an empty store), damaged (names the key that can't be read), io.
Result<StoredState> read_stored(const snapshot::Store& store);

}  // namespace raftd::cli
