// The state machine: what the commands of the log make of keys and values. It knows no log, clock or network,
// so the same commands in the same order give the same state in every kvd.
#pragma once

#include <map>

#include "kv/command.h"

namespace kv {

class Store {
public:
    /// What the command comes to, which is also its answer: {"ok":true,"value":…} with the value that the key
    /// has now, or {"ok":false} for a cas that didn't match.
    Json apply(const Command& command);
    Json get(const std::string& key) const;
    size_t size() const { return values_.size(); }

    /// The whole state as a checkpoint, and back. Errors: damaged.
    std::string save() const;
    static raftd::Result<Store> load(std::string_view text);

private:
    std::map<std::string, Json> values_;
};

}  // namespace kv
