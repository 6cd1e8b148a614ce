// kvd: a replicated key-value server on a raftd cluster. Start as many as you like; each answers for all.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <random>

#include "kv/cluster_file.h"
#include "kv/server.h"

namespace {

volatile sig_atomic_t g_stopping = 0;

void stop(int) { g_stopping = 1; }

void handle_signals() {
    struct sigaction action {};
    action.sa_handler = stop;  // without SA_RESTART: poll() ends
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
}

int fail(const raftd::Error& why, int exit) {
    std::fprintf(stderr, "kvd: %s\n", why.what.c_str());
    return exit;
}

int serve(const std::string& listen, kv::ReplicaOptions options) {
    auto server = kv::Server::listen(listen);
    if (!server) return fail(server.error(), 2);
    auto client = raftd::client::Client::open(options.session);
    if (!client) return fail(client.error(), 2);
    std::random_device random;
    kv::Replica replica(std::move(*client), std::move(options), uint64_t{random()} << 32 | random());
    for (auto loaded = replica.load(); !loaded; loaded = replica.load()) {
        const raftd::Errc code = loaded.error().code;
        fail(loaded.error(), 0);
        if (code != raftd::Errc::unavailable && code != raftd::Errc::unreachable) return 1;
        if (g_stopping) return 0;
    }
    std::printf("kvd: listening on %s, from LSN %llu on\n", server->address().c_str(),
                static_cast<unsigned long long>(raw(replica.applied()) + 1));
    std::fflush(stdout);
    auto served = server->run(replica, g_stopping);
    return served ? 0 : fail(served.error(), 1);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "A replicated key-value server on a raftd cluster.\n"
        "  kvd --cluster demo --listen 127.0.0.1:7300\n"
        "  kvd --cluster demo --listen 127.0.0.1:7301 --checkpoint-every 1000");
    std::string cluster, listen;
    double timeout = 5;
    kv::ReplicaOptions options;
    app.add_option("--cluster", cluster, "folder of the cluster, or its cluster.toml")->required();
    app.add_option("--listen", listen, "HOST:PORT for clients; they aren't authenticated")->required();
    app.add_option("--checkpoint-every", options.checkpoint_every,
                   "records between one checkpoint and the next; 0: none, and the log stays whole")
        ->capture_default_str();
    app.add_option("--timeout", timeout, "seconds until a command that gets nowhere is answered")
        ->check(CLI::Range(0.1, 600.0))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);

    auto session = kv::read_cluster(cluster);
    if (!session) return fail(session.error(), 2);
    options.session = std::move(*session);
    options.session.timeout = raftd::milliseconds(static_cast<int64_t>(timeout * 1000));
    handle_signals();
    return serve(listen, std::move(options));
}
