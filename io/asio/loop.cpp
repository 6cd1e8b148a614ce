#include "io/asio/loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "base/check.h"
#include "io/asio/disk.h"
#include "io/asio/network.h"

namespace raftd::io::asio {
namespace {

using Steady = std::chrono::steady_clock;

int64_t ns_of(Steady::time_point at) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}
Steady::time_point time_of(Instant at) { return Steady::time_point(std::chrono::nanoseconds(at.ns)); }

/// One timer for the node. It is set again only for an earlier instant; when it fires late for a later one,
/// the node is not woken, and the rest is waited for.
class RealClock final : public Clock {
public:
    explicit RealClock(boost::asio::io_context& context) : timer_(context) {}
    Instant now() override { return {ns_of(Steady::now())}; }
    /// Read once a turn at most: each append asks for it.
    int64_t wall_ms() override {
        if (wall_ms_ == 0)
            wall_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
        return wall_ms_;
    }
    void forget_wall_time() { wall_ms_ = 0; }
    void wake_at(Instant at) override { wanted_ = std::min(wanted_, at); }

    Instant wanted() const { return wanted_; }
    /// True, once, when the wanted instant has come.
    bool due(Instant at) {
        if (wanted_ > at) return false;
        wanted_ = kNever;
        return true;
    }
    void arm() {
        if (wanted_ >= armed_) return;
        armed_ = wanted_;
        timer_.expires_at(time_of(armed_));
        timer_.async_wait([this](boost::system::error_code cancelled) {
            if (!cancelled) armed_ = kNever;
        });
    }

private:
    boost::asio::steady_timer timer_;
    Instant wanted_ = kNever, armed_ = kNever;
    int64_t wall_ms_ = 0;
};

// Asio doesn't say which descriptor it waits on. Naming a private member in an explicit instantiation is
// allowed, so this reads it; a release of Boost that renames it fails to compile here, and nowhere else.
template <auto Member>
struct Reveal {
    friend int epoll_descriptor(const boost::asio::detail::epoll_reactor& reactor) { return reactor.*Member; }
};
int epoll_descriptor(const boost::asio::detail::epoll_reactor& reactor);
template struct Reveal<&boost::asio::detail::epoll_reactor::epoll_fd_>;

/// Waits for a descriptor that belongs to someone else, without changing its mode: it is watched through an
/// epoll descriptor of our own.
struct Watch {
    explicit Watch(boost::asio::io_context& context) : epoll(context) {}
    boost::asio::posix::stream_descriptor epoll;
    std::function<void()> ready;
    bool fired = false;
};

uint64_t random_seed() {
    uint64_t seed = 0;
    while (seed == 0)
        if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = 0;
    return seed;
}

}  // namespace

struct Loop::Parts {
    Parts(const LoopOptions& options, LogSink& log)
        : clock(context),
          disk(options.data_dir),
          network(context, options, log, counters),
          world{clock,
                disk,
                network,
                disk,
                disk.files(),
                log,
                options.seed != 0 ? options.seed : random_seed()},
          completions(context, disk.descriptor()),
          signals(context) {
        ::signal(SIGPIPE, SIG_IGN);
        if (options.signals) {
            for (int number : {SIGTERM, SIGINT, SIGHUP}) signals.add(number);
            watch_signals();
        }
        wait_for_completions();
    }
    ~Parts() { completions.release(); }

    void watch_signals();
    void wait_for_completions();
    void deliver_completions(Handler& handler, Budget& budget);
    void run_watches();
    void give(Handler& handler, Budget& budget, Event event);

    // Destroyed from the end: what waits in the context goes before the context.
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work =
        boost::asio::make_work_guard(context);
    LoopCounters counters;
    RealClock clock;
    RealDisk disk;
    RealNetwork network;
    World world;
    boost::asio::posix::stream_descriptor completions;
    boost::asio::signal_set signals;
    std::vector<std::unique_ptr<Watch>> watches;
    std::deque<Completed> completed;
    std::deque<Event> asked;  // Stop, Reload
    bool completions_wait = false;
};

void Loop::Parts::watch_signals() {
    signals.async_wait([this](boost::system::error_code cancelled, int number) {
        if (cancelled) return;
        if (number == SIGHUP)
            asked.push_back({clock.now(), Reload{}});
        else
            asked.push_back({clock.now(), Stop{}});
        watch_signals();
    });
}

void Loop::Parts::wait_for_completions() {
    completions_wait = true;
    completions.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [this](boost::system::error_code error) {
                               if (error) return;
                               completions_wait = false;
                               disk.take(completed);
                           });
}

void Loop::Parts::give(Handler& handler, Budget& budget, Event event) {
    budget.use(0);
    ++counters.events;
    handler.handle(event);
}

void Loop::Parts::deliver_completions(Handler& handler, Budget& budget) {
    while (!completed.empty() && !budget.spent()) {
        Completed next = std::move(completed.front());
        completed.pop_front();
        give(handler, budget, {clock.now(), std::move(next)});
    }
}

void Loop::Parts::run_watches() {
    for (size_t i = 0; i < watches.size(); ++i) {
        if (!watches[i]->fired) continue;
        std::function<void()> ready = std::move(watches[i]->ready);
        watches.erase(watches.begin() + static_cast<std::ptrdiff_t>(i--));
        ready();
    }
}

Loop::Loop(const LoopOptions& options, LogSink& log) : parts_(std::make_unique<Parts>(options, log)) {}
Loop::~Loop() = default;

World& Loop::world() { return parts_->world; }

bool Loop::turn(Handler& handler, Instant until) {
    Parts& parts = *parts_;
    boost::asio::io_context& context = parts.context;
    Instant now = parts.clock.now();
    bool idle = !parts.network.ready() && parts.completed.empty() && parts.asked.empty() &&
                parts.clock.wanted() > now;
    if (idle && until > now) {
        parts.clock.arm();
        if (until == kNever)
            context.run_one();
        else
            context.run_one_until(time_of(until));
    }
    context.poll();

    parts.clock.forget_wall_time();
    Budget budget;
    uint64_t before = parts.counters.events;
    parts.run_watches();
    parts.deliver_completions(handler, budget);
    now = parts.clock.now();
    if (parts.clock.due(now)) parts.give(handler, budget, {now, Woken{}});
    while (!parts.asked.empty()) {
        Event event = std::move(parts.asked.front());
        parts.asked.pop_front();
        parts.give(handler, budget, std::move(event));
    }
    parts.network.deliver(handler, budget);
    bool anything = parts.counters.events != before;
    if (anything) {
        ++parts.counters.turns;
        handler.end_turn(parts.clock.now());
        parts.disk.refresh_free_bytes(now);
    }
    parts.clock.forget_wall_time();
    parts.network.flush();
    if (!parts.completions_wait) parts.wait_for_completions();
    parts.clock.arm();
    return anything;
}

void Loop::when_readable(int descriptor, std::function<void()> ready) {
    auto made = std::make_unique<Watch>(parts_->context);
    Watch* watch = made.get();
    watch->ready = std::move(ready);
    parts_->watches.push_back(std::move(made));
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    CHECK_GE(epoll, 0);
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &wanted) != 0) {  // EPERM: a file, always readable
        ::close(epoll);
        boost::asio::post(parts_->context, [watch] { watch->fired = true; });
        return;
    }
    watch->epoll.assign(epoll);
    watch->epoll.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [watch](boost::system::error_code error) {
                                if (!error) watch->fired = true;
                            });
}

int Loop::wait_descriptor() const {
    return epoll_descriptor(boost::asio::use_service<boost::asio::detail::epoll_reactor>(parts_->context));
}

std::vector<std::string> Loop::listening() const { return parts_->network.listening(); }

LoopCounters Loop::counters() const {
    LoopCounters all = parts_->counters;
    const ThreadStats& stats = parts_->disk.stats();
    all.write_calls = stats.write_calls;
    all.write_bytes = stats.write_bytes;
    all.syncs = stats.syncs;
    all.sync_ns = stats.sync_ns;
    all.queue_wakeups = parts_->disk.wakeups();
    return all;
}

}  // namespace raftd::io::asio
