// A client of a simulated cluster that asks the leader one thing after another, and may read one tail.
#pragma once

#include <array>

#include "client/session.h"
#include "proto/control.pb.h"
#include "tests/support/sim_fixture.h"

namespace raftd::sim {

class Asker : public io::Handler {
public:
    Asker(SimFixture& world, uint32_t host)
        : machine_(world.kernel, storage_, disk_, clock_, world.network, host, 5) {
        client::SessionOptions options;
        for (const std::string& name : world.cluster.names()) options.endpoints.push_back(name + ":7002");
        session_ = std::make_unique<client::Session>(machine_.io().network, machine_.io().clock, options);
        machine_.set_handler(this);
    }
    void handle(io::Event& event) override { session_->handle(event); }
    void end_turn(Instant now) override {
        session_->end_turn(now);
        if (auto answer = session_->question().take()) answer_ = std::move(answer);
        std::array<client::Record, 16> some;
        while (tail_) {
            size_t count = session_->tail(*tail_).next(some);
            for (size_t i = 0; i < count; ++i) bodies.emplace_back(some[i].data.begin(), some[i].data.end());
            if (count == 0) break;
        }
    }
    void ask(const pb::Request& request) {
        session_->question().ask(request.SerializeAsString());
        machine_.io().clock.wake_at(machine_.io().clock.now());
    }
    std::optional<client::LeaderAnswer> take() { return std::exchange(answer_, std::nullopt); }
    void open(const client::TailOptions& tail) {
        tail_ = session_->open_tail(tail);
        machine_.io().clock.wake_at(machine_.io().clock.now());
    }
    bool failed() { return session_->tail(*tail_).failure().has_value(); }

    std::vector<std::vector<std::byte>> bodies;

private:
    SimStorage storage_;
    DiskModel disk_;
    ClockModel clock_;
    Machine machine_;
    std::unique_ptr<client::Session> session_;
    std::optional<client::LeaderAnswer> answer_;
    std::optional<client::TailId> tail_;
};

}  // namespace raftd::sim
