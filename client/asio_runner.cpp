#include "client/asio_runner.h"

#include "client/client.h"
#include "io/asio/loop.h"

namespace raftd::client {
namespace {

struct Silent : LogSink {
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

class AsioRunner : public Runner {
public:
    AsioRunner() : loop_({}, log_) {}
    io::Network& network() override { return loop_.world().network; }
    io::Clock& clock() override { return loop_.world().clock; }
    bool turn(io::Handler& handler, Instant until) override { return loop_.turn(handler, until); }
    int wait_fd() override { return loop_.wait_descriptor(); }

private:
    Silent log_;
    io::asio::Loop loop_;
};

}  // namespace

std::unique_ptr<Runner> make_asio_runner() { return std::make_unique<AsioRunner>(); }

Result<Client> Client::open(SessionOptions options) {
    if (options.endpoints.empty()) return error(Errc::bad_input, "no endpoint given");
    auto runner = make_asio_runner();
    options.seed ^= static_cast<uint64_t>(runner->clock().now().ns);
    return Client(std::move(runner), std::move(options));
}

}  // namespace raftd::client
