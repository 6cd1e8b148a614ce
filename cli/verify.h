// `raftctl verify`: whether all members have the same log, archives and state, and can still read them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "proto/control.pb.h"

namespace raftd::cli {

struct VerifyOptions {
    uint64_t from = 0;  // LSN; 0: everything
    bool deep = false;
};
Exit verify(const Context& context, const VerifyOptions& options);

/// What one member says.
struct VerifyMember {
    std::string name, client;
    std::string failure;                     // why it says nothing
    std::optional<pb::Chain> chain;          // how far it is
    std::optional<pb::Snapshots> snapshots;  // which archives it has
    std::optional<pb::Verified> read;        // what it could read back
};
struct Difference {
    const char* kind;    // "chain", "archive", "state": two members differ; "damage": one can't read its own
    std::string member;  // it differs from most of the others, or from `other`
    std::string other;   // empty: damage
    uint64_t index = 0, lsn = 0;  // of the first entry and record concerned; 0: not known
    std::string file;             // of the member, in its data directory
    std::string what;
};
struct NotCompared {
    std::string member;
    std::string what;  // "log", "files", "state"
    std::string why;
    bool matters = true;  // so that the result isn't whole
};
struct Comparison {
    uint64_t index = 0, lsn = 0;  // what all that answer have in common reaches up to here
    std::vector<Difference> differences;
    std::vector<NotCompared> not_compared;
};
/// Asks a member for the chain behind an entry.
using AskChain = std::function<Result<pb::Chain>(const VerifyMember&, const pb::ChainRequest&)>;

/// Compares the logs of those that have `chain`, and bisects to the first entry in which two differ.
void compare_chains(const std::vector<VerifyMember>& members, uint64_t from_lsn, const AskChain& ask,
                    Comparison& into);
/// Archives that begin at one entry and aren't the same on all (H13).
void compare_archives(const std::vector<VerifyMember>& members, uint64_t from_lsn, Comparison& into);
/// What members found in their own files, and their states at the same entries.
void compare_read(const std::vector<VerifyMember>& members, Comparison& into);

}  // namespace raftd::cli
