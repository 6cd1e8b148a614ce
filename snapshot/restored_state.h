// The replicated state that a restored cluster begins with: the saved one, key by key, with the new members
// in place of the old. What follows from it is snapshot/state_format.h and daemon/state.h.
#pragma once

#include "snapshot/restore.h"

namespace raftd::snapshot {

/// Keys and values, to be written as a state file.
struct KeptState final : Store {
    std::map<std::string, std::string> keys;

    Result<void> write(const StoreBatch&) override { return error(Errc::io, "a saved state is only read"); }
    Result<void> flush() override { return {}; }
    Result<std::optional<StoreMark>> mark() const override { return std::nullopt; }
    Result<void> for_each(
        const std::function<void(std::string_view key, std::string_view value)>& visit) const override;
};

/// `archives`: those that the new cluster begins with. Errors: damaged, too_new, io.
Result<KeptState> restored_state(const Saved& saved, const RestorePlan& plan,
                                 const std::vector<ArchiveInfo>& archives);
/// Of the records that are there: what lies below was trimmed.
Result<Lsn> first_lsn(const Saved& saved);

}  // namespace raftd::snapshot
