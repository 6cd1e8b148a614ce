// What a Client is made of; for client/*.cpp only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "client/client.h"
#include "client/runner.h"
#include "client/session.h"

namespace raftd::client {

struct Client::Parts {
    Parts(std::unique_ptr<Runner> the_runner, SessionOptions options)
        : runner(std::move(the_runner)), session(runner->network(), runner->clock(), std::move(options)) {}

    Instant now() { return runner->clock().now(); }
    /// What is queued goes out, what is there comes in. After a long pause what came meanwhile is looked at
    /// before any time-out is.
    void pump();
    /// Turns until `done`, but not beyond `wait`.
    template <class Done>
    void pump_until(Duration wait, Done done) {
        pump();
        Instant until = now() + wait;
        while (!done() && now() < until) runner->turn(session, until);
    }
    /// Asks whoever leads, for at most the session's time-out.
    Result<LeaderAnswer> ask(std::string request, const std::function<bool()>& give_up);

    std::unique_ptr<Runner> runner;  // before the session: its network outlives it
    Session session;
    Instant pumped{};
    std::deque<Appended> finished;  // taken from the session by append(), for poll()
};

}  // namespace raftd::client
