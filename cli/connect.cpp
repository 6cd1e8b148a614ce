#include "cli/connect.h"

#include <poll.h>
#include <unistd.h>

namespace raftd::cli {

Result<Connected> connect(const Context& context, client::SessionOptions options) {
    TRY(found, find_cluster(context));
    options.endpoints = found.endpoints;
    if (found.spec && found.spec->id != ClusterId{}) options.cluster = found.spec->id;
    options.timeout = context.timeout;
    options.fail_fast = true;
    TRY(client, client::Client::open(std::move(options)));
    Connected connected{std::move(found), std::move(client)};
    // In short waits, so that Ctrl-C is heard; the members that are down cost only themselves.
    Instant until = connected.client.now() + context.timeout;
    for (;;) {
        auto done = connected.client.connect(milliseconds(100));
        if (done) return connected;
        bool last = connected.client.now() >= until || connected.client.hopeless();
        if (last || interrupted()) {
            Error why = done.error();
            if (why.hint.empty() && why.code == Errc::unreachable)
                why.hint =
                    connected.found.folder.empty() ? "raftctl --endpoint HOST:PORT status" : "raftctl start";
            why.what = "no member of the cluster answered: " + why.what;
            if (why.code == Errc::conflict) why.hint = "check --endpoint and the id in cluster.toml";
            return why;
        }
    }
}

Exit fail_with_cluster(const Context& context, const Connected* connected, Error error) {
    if (interrupted() && error.code != Errc::unknown) return Exit::interrupted;
    std::vector<Tried> tried;
    std::string_view word;
    if (connected != nullptr) {
        for (const auto& member : connected->client.cluster().members)
            tried.push_back({member.address, member.result.empty() ? "not asked" : member.result});
    }
    if (error.code == Errc::unavailable && error.hint.empty()) error.hint = "raftctl status";
    return fail(context, error, word, tried);
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
