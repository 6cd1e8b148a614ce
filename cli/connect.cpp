#include "cli/connect.h"

#include <poll.h>
#include <unistd.h>

namespace raftd::cli {

namespace {

/// A step that may change the outcome.
std::string hint_for(const Found& found, Errc code) {
    if (code == Errc::conflict)
        return "compare the id in cluster.toml with that of the cluster at these addresses";
    if (code != Errc::unreachable) return {};
    if (!found.folder.empty()) return "raftctl start";
    return "raftctl status --endpoint " + found.endpoints.front();
}

}  // namespace

boost::system::result<Connected, Exit> connect(const Context& context, client::SessionOptions options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    options.endpoints = found->endpoints;
    if (found->spec && found->spec->id != ClusterId{}) options.cluster = found->spec->id;
    options.timeout = context.timeout;
    options.fail_fast = true;
    auto client = client::Client::open(std::move(options));
    if (!client) return fail(context, client.error());
    // In short waits, so that Ctrl-C is heard; the members that are down cost only themselves.
    Instant until = client->now() + context.timeout;
    for (;;) {
        auto done = client->connect(milliseconds(100));
        if (done) return Connected{std::move(*found), std::move(*client)};
        if (!interrupted() && !client->hopeless() && client->now() < until) continue;
        Error why = done.error();
        why.what = "no member of the cluster answered: " + why.what;
        why.hint = hint_for(*found, why.code);
        return fail_with_cluster(context, *client, why);
    }
}

Exit fail_with_cluster(const Context& context, const client::Client& client, Error error) {
    if (interrupted() && error.code != Errc::unknown) return Exit::interrupted;
    std::vector<Tried> tried;
    for (const auto& member : client.cluster().members)
        tried.push_back({member.address, member.result.empty() ? "not asked" : member.result});
    if (error.code == Errc::unavailable && error.hint.empty()) error.hint = "raftctl status";
    return fail(context, error, {}, tried);
}

Ready wait_ready(client::Client& client, int input, bool& input_ready, bool& output_gone) {
    pollfd waiting[4] = {{client.wait_fd(), POLLIN, 0},
                         {interrupt_fd(), POLLIN, 0},
                         {STDOUT_FILENO, 0, 0},  // only to hear that its reader has gone
                         {input, POLLIN, 0}};
    int count = ::poll(waiting, 4, 100);  // poll() passes over descriptor -1
    input_ready = count > 0 && waiting[3].revents != 0;
    output_gone = count > 0 && (waiting[2].revents & POLLERR) != 0;
    return interrupted() ? Ready::interrupted : Ready::something;
}

}  // namespace raftd::cli
