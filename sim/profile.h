// Which kinds of faults a run may draw.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace raftd::sim {

enum class Profile : uint8_t { swarm, quiet, crash, disk, network, speed, damage, churn, install, restored };
std::optional<Profile> parse_profile(std::string_view text);
std::string_view text_of(Profile profile);

}  // namespace raftd::sim
