// Where the replicated state is kept between starts: a cache of (newest snapshot + the log above it), which
// may be deleted at any time. Called on Lane::state only, one call at a time. One suite of tests holds every
// implementation to this contract (tests/support/store_contract.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/entry.h"
#include "base/result.h"

namespace raftd::snapshot {

/// Whose state it is, and up to where: written with every batch. A store that names another directory, or a
/// chain the log doesn't have, is thrown away and built anew.
struct StoreMark {
    ClusterId cluster_id;
    Incarnation incarnation;
    LogPoint applied;
    bool operator==(const StoreMark&) const = default;
};

struct StoreBatch {
    std::map<std::string, std::optional<std::string>> keys;  // nothing: the key goes
    StoreMark mark;
    uint64_t bytes() const;
};

class Store {
public:
    virtual ~Store() = default;
    /// All of it or nothing, and never in another order than asked; not synced. Errors: io (full, broken):
    /// the store then holds what it held, and takes no more until it is opened anew.
    virtual Result<void> write(const StoreBatch& batch) = 0;
    /// Makes durable what was written. Errors as write.
    virtual Result<void> flush() = 0;
    /// Of the last batch; nothing: empty.
    virtual Result<std::optional<StoreMark>> mark() const = 0;
    /// All keys in order, one consistent view, without the mark. Errors: damaged, io.
    virtual Result<void> for_each(
        const std::function<void(std::string_view key, std::string_view value)>& visit) const = 0;
};

/// Makes stores of one member. Blocking: at a start, or in a job on Lane::state.
class StoreMaker {
public:
    virtual ~StoreMaker() = default;
    /// Opens what there is, or an empty one. Errors: damaged, io.
    virtual Result<std::unique_ptr<Store>> open() = 0;
    /// Removes what there is; an open store must be gone. Errors: io.
    virtual Result<void> remove() = 0;
};

}  // namespace raftd::snapshot
