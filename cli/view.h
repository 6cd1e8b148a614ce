// The cluster as its members describe it, put together from what each of them says: what `status`, `wait` and
// `start` show and decide by. Pure but for observe(), which asks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/ask.h"
#include "cli/discover.h"

namespace raftd::cli {

enum class State : uint8_t {
    healthy,      // a leader, and every member answers us and is connected to it
    degraded,     // a leader, and a member is missing or cut off from it
    unavailable,  // members answer, but none leads a quorum
    unknown,      // nobody answers
};
const char* text_of(State state);

struct MemberView {
    uint64_t id = 0;
    std::string name, client;
    bool voter = true;
    std::optional<pb::Status> status;  // absent: it didn't answer
    std::string failure;               // why it doesn't answer, or what keeps it from the leader
    bool linked = false;               // it leads, or the leader has a connection to it and hears it
    bool silent = false;               // there is a connection, and the leader hears nothing on it
    bool other_cluster = false;        // at its address a member of another cluster answers
    double rtt_ms = 0;
    std::optional<uint64_t> lag_records;  // behind the leader's last record
    std::optional<uint64_t> match_index;  // as the leader knows it
};

struct ClusterView {
    State state = State::unknown;
    std::string name;
    std::optional<ClusterId> id;
    std::vector<MemberView> members;     // by id
    const MemberView* leader = nullptr;  // into members
    std::vector<Tried> tried;            // endpoints that didn't answer
    size_t up() const;
    ClusterView() = default;
    ClusterView(const ClusterView&) = delete;
    ClusterView& operator=(const ClusterView&) = delete;
    ClusterView(ClusterView&&) = default;
    ClusterView& operator=(ClusterView&&) = default;
};

/// Puts answers together. `spec` gives members nobody told of.
ClusterView view_of(const std::vector<MemberAnswer>& answers, const std::optional<conf::ClusterSpec>& spec);
/// Asks the endpoints, then members they tell of.
ClusterView observe(const Found& found, Duration timeout);
/// "demo is healthy: n2 leads term 1, 3 of 3 members up, 0 records".
std::string closing_sentence(const ClusterView& view);
/// Of a snapshot that a member fetches; 0 until its size is known.
uint64_t percent_of(const pb::InstallStatus& install);
/// "1 record", "5 records".
std::string counted(uint64_t count, const char* noun);

}  // namespace raftd::cli
