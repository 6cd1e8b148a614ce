// Runs a session over the real network on the caller's thread. The one place of the client that knows
// io/asio.
#pragma once

#include <memory>

#include "client/runner.h"

namespace raftd::client {

std::unique_ptr<Runner> make_asio_runner();

}  // namespace raftd::client
