// Asks each member by itself, all at the same time: what `status` and `wait` need is what every single member
// says, or why it says nothing, and not what the cluster as a whole answers. Blocking; loopback or any
// network.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/types.h"
#include "proto/control.pb.h"

namespace raftd::cli {

struct MemberAnswer {
    std::string endpoint;
    std::optional<pb::Answer> answer;
    std::string failure;  // "connection refused", "no answer within 2 s", ...
    std::string cluster_name;
    uint64_t node_id = 0;        // of the handshake
    double rtt_ms = 0;           // of the request alone
    bool other_cluster = false;  // it answers, and belongs to another one
    bool has_status() const { return answer && answer->has_status(); }
};

/// Answers come in the order of the endpoints. With `cluster`, a member of another cluster is a failure.
std::vector<MemberAnswer> ask_each(const std::vector<std::string>& endpoints, const pb::Request& request,
                                   Duration timeout, std::optional<ClusterId> cluster = {});

}  // namespace raftd::cli
