// `raftctl member ...` and `raftctl transfer-leader`.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace raftd::cli {

Exit member_list(const Context& context);

struct MemberAddOptions {
    std::string name, peer, client;
    bool learner = false;
    uint8_t priority = 0;
    bool local = false;       // make its folder beside cluster.toml, and start it
    std::string make_folder;  // only make its folder, there, to be moved to its machine
};
Exit member_add(const Context& context, const MemberAddOptions& options);
/// A new data directory, under a new id, in place of a member whose disk is lost.
Exit member_replace(const Context& context, const MemberAddOptions& options);

struct MemberNames {
    std::vector<std::string> names;
};
Exit member_remove(const Context& context, const MemberNames& options);
Exit member_promote(const Context& context, const MemberNames& options);
Exit member_demote(const Context& context, const MemberNames& options);

struct MemberSetOptions {
    std::string name, peer, client;
    int priority = -1;    // -1: as it is
    std::string offline;  // a stopped member's data directory: only what that one knows is changed
};
Exit member_set(const Context& context, const MemberSetOptions& options);
/// member_set() with `offline`.
Exit member_set_offline(const Context& context, const MemberSetOptions& options);

struct TransferOptions {
    std::string to;  // empty: whoever is fit
};
Exit transfer_leader(const Context& context, const TransferOptions& options);

}  // namespace raftd::cli
