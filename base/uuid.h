// Text form of 128-bit ids: 32 lower-case hex digits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace raftd {

std::string to_hex(Uuid id);
std::string to_hex(uint64_t value);  // 16 digits
std::optional<Uuid> parse_uuid(std::string_view text);

}  // namespace raftd
