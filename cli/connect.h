// A client of the cluster that a command means, and how its failures are told.
#pragma once

#include <string_view>

#include "cli/command.h"
#include "cli/discover.h"
#include "client/client.h"

namespace raftd::cli {

struct Connected {
    Found found;
    client::Client client;
};
/// Finds the cluster and shakes hands with a member. `options`: what differs from the usual; endpoints,
/// cluster and timeout are filled in. When it fails, that has been told, and this is the exit code.
boost::system::result<Connected, Exit> connect(const Context& context, client::SessionOptions options = {});

/// fail() with a hint for the errors a cluster gives, and with what each endpoint said.
Exit fail_with_cluster(const Context& context, const client::Client& client, Error error);

enum class Ready : uint8_t { something, interrupted };
/// Waits, at most 100 ms, until the client, `input` (-1: none) or an interrupt has something. `input_ready`
/// says whether it was the input; `output_gone`, that nobody reads standard output any more.
Ready wait_ready(client::Client& client, int input, bool& input_ready, bool& output_gone);

}  // namespace raftd::cli
