// Where members are reached, as an operator told this stopped member (`raftctl member set --offline`): for a
// start when its port was taken, or the others' were. Hints only: what the configuration says about who
// belongs, and under which id and incarnation, stays untouched, and an address that the configuration changes
// later counts. File `addresses` of the data directory.
#pragma once

#include "snapshot/configuration.h"

namespace raftd::snapshot {

/// Another address for one member, in place of the one that its configuration had when this was written.
struct AddressHint {
    NodeId id{};
    std::string peer, client;                // empty: as the configuration says
    std::string peer_before, client_before;  // what they stand for
    bool operator==(const AddressHint&) const = default;
};
using AddressHints = std::vector<AddressHint>;

/// Empty when there is none. Errors: damaged, io.
Result<AddressHints> read_addresses(io::Files& files, const std::string& data_dir);
/// Replaces them, synced. Errors: io.
Result<void> write_addresses(io::Files& files, const std::string& data_dir, const AddressHints& hints);
/// The addresses of `infos` as the hints say, as far as those still stand for what the configuration has.
void take_addresses(MemberInfos& infos, const AddressHints& hints);

}  // namespace raftd::snapshot
