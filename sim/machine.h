// One process in the simulated world: its clock, disk, workers and network end, and the turns it is given.
// Made anew for each start; the machine's SimStorage, DiskModel and ClockModel outlive it. When the process
// ends itself (fatal, failed check, power cut), `ended` says why and nothing more is delivered.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>

#include "io/world.h"
#include "sim/disk.h"
#include "sim/files.h"

namespace raftd::sim {

/// A machine's clocks against virtual time. The monotonic one runs at a rate that may change; the wall clock
/// may jump.
struct ClockModel {
    double rate = 1.0;
    int64_t wall_offset_ms = 0;
    Instant since{}, local_since{};  // when the rate was set, by both clocks
    struct Past {
        int64_t wall_offset_ms;
        Instant until;
    };
    std::vector<Past> past{};  // offsets before the present one, for checks

    Instant local(Instant now) const {
        if (rate == 1.0) return local_since + (now - since);
        return local_since + Duration{static_cast<int64_t>(static_cast<double>((now - since).ns) * rate)};
    }
    void set_rate(Instant now, double to) {
        local_since = local(now);
        since = now;
        rate = to;
    }
    void set_wall(Instant now, int64_t offset_ms) {
        past.push_back({wall_offset_ms, now});
        wall_offset_ms = offset_ms;
    }
};
inline constexpr int64_t kWallStartMs = 1'700'000'000'000;

/// How a process is given its events.
struct TurnModel {
    double gather = 0.2;                      // chance that a turn waits for more events
    Duration gather_max = microseconds(500);  // how long at most
};

class SimLog : public LogSink {
public:
    bool wants(LogLevel level) const override { return static_cast<int>(level) <= level_max; }
    void write(LogLevel level, std::string_view line) override;
    int level_max = -1;  // nothing: no text is built
    std::string prefix;
    std::function<void(std::string_view line)> out;
};

/// A process's network end, as the machine needs it.
class Wire : public io::Network {
public:
    virtual void flush() = 0;    // what was sent in this turn leaves
    virtual void resumed() = 0;  // the process takes events again after a pause
};

class Machine;
/// What processes are connected by.
class Fabric {
public:
    virtual ~Fabric() = default;
    virtual std::unique_ptr<Wire> attach(Machine& machine) = 0;
};

class Machine : public Actor, public Inbox {
public:
    /// `host`: its place in the network. `seed` drives all draws of this life.
    Machine(Kernel& kernel, SimStorage& storage, DiskModel& disk, ClockModel& clock, Fabric& fabric,
            uint32_t host, uint64_t seed);
    ~Machine() override;
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    io::World& io() { return world_; }
    SimFiles& files() { return files_; }
    SimDisk& disk() { return disk_; }
    SimLog& log() { return log_; }
    Wire& wire() { return *wire_; }
    Kernel& kernel() { return kernel_; }
    uint32_t actor() const { return actor_; }
    uint32_t host() const { return host_; }
    Instant local_now() const;
    TurnModel turns;

    void set_handler(io::Handler* handler) { handler_ = handler; }
    /// Runs `part` as the process would at start-up: what ends the process is caught. False when it has
    /// ended.
    bool run(const std::function<void()>& part);
    void post(io::Event&& event, uint8_t priority) override;
    void fire(uint32_t kind, uint64_t data) override;
    /// Something was posted from outside: gives a turn now or soon.
    void settle();

    /// Stops being given turns, as by SIGSTOP; events wait.
    void pause(bool paused);
    bool paused() const { return paused_; }
    void end(const ProcessEnded& why);
    const std::optional<ProcessEnded>& ended() const { return ended_; }
    /// No event waits and no request is unanswered (timers aside).
    bool quiet() const;

    std::function<void()> after_turn;  // for checkers: after end_turn, before what was sent leaves
    std::function<void()> on_end;      // the process ended itself

private:
    enum Kind : uint32_t { turn = 0, woken = 1, job_done = 2 };
    struct Clock;
    struct Workers;
    struct Waiting {
        uint8_t priority;
        io::Event event;
    };

    void take_turn(bool may_wait);
    void run_turn();
    void hand_over();

    Kernel& kernel_;
    uint32_t actor_, host_;
    SimStorage& storage_;
    DiskModel& disk_model_;
    ClockModel& clock_model_;
    Random random_;
    SimFiles files_;
    SimDisk disk_;
    SimLog log_;
    std::unique_ptr<Clock> clock_;
    std::unique_ptr<Workers> workers_;
    std::unique_ptr<Wire> wire_;
    io::World world_;
    io::Handler* handler_ = nullptr;
    std::vector<Waiting> inbox_, now_;
    bool turn_scheduled_ = false, paused_ = false;
    std::optional<ProcessEnded> ended_;
};

/// A world of one process, for tests of what runs on a node: nobody else is in its network.
class SimWorld {
public:
    explicit SimWorld(SimStorage& storage, uint64_t seed = 1);
    ~SimWorld();

    io::World& io() { return machine_.io(); }
    Machine& machine() { return machine_; }
    Kernel& kernel() { return kernel_; }
    DiskModel& disk_model() { return disk_model_; }
    ClockModel& clock_model() { return clock_model_; }
    /// Who gets the events; a function for short tests.
    void set_handler(io::Handler* handler) { machine_.set_handler(handler); }
    void on_event(std::function<void(io::Event&)> handler);
    /// One occurrence; false when nothing is left to happen or the process has ended.
    bool step();
    /// Until nothing is left to happen, the process ended, or `virtual_time` has passed.
    void run_until_idle(Duration virtual_time = seconds(3600));
    void run_for(Duration virtual_time);
    const std::optional<ProcessEnded>& ended() const { return machine_.ended(); }

private:
    struct Adapter;
    Kernel kernel_;
    DiskModel disk_model_;
    ClockModel clock_model_;
    std::unique_ptr<Fabric> fabric_;
    Machine machine_;
    std::unique_ptr<Adapter> adapter_;
};

}  // namespace raftd::sim
