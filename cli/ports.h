// Which addresses of this machine are free to listen on, asked by binding.
#pragma once

#include <string>

#include "base/result.h"

namespace raftd::cli {

/// True when a daemon could listen there now; also when the address isn't this machine's (it can't be known
/// then).
bool can_listen(const std::string& address);
/// The first free port of `host` at or above `first`, below 32768 (above lie the ports of outgoing
/// connections).
Result<uint16_t> free_port(const std::string& host, uint32_t first);

}  // namespace raftd::cli
