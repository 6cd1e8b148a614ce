#include "sim/machine.h"

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "sim/network.h"

namespace raftd::sim {

void SimLog::write(LogLevel level, std::string_view line) {
    static constexpr const char* kNames[] = {"error", "warn", "info", "debug"};
    if (out) out(prefix + kNames[static_cast<size_t>(level)] + " " + std::string(line));
}

struct Machine::Clock : io::Clock {
    explicit Clock(Machine& machine) : machine_(machine) {}
    Instant now() override { return machine_.local_now(); }
    int64_t wall_ms() override {
        return kWallStartMs + machine_.local_now().ns / 1'000'000 + machine_.clock_model_.wall_offset_ms;
    }
    void wake_at(Instant at) override {
        if (at == kNever || at >= armed_) return;
        armed_ = at;
        schedule(at);
    }
    void schedule(Instant at) {
        Instant now = machine_.local_now();
        int64_t wait = at <= now ? 0
                                 : static_cast<int64_t>(std::ceil(static_cast<double>((at - now).ns) /
                                                                  machine_.clock_model_.rate)) +
                                       1;
        machine_.kernel_.schedule_in(Duration{wait}, machine_.actor_, woken, static_cast<uint64_t>(at.ns));
    }
    /// False for a timer that an earlier one replaced.
    bool came(uint64_t at) {
        if (armed_ == kNever || armed_.ns != static_cast<int64_t>(at)) return false;
        if (machine_.local_now() < armed_) {  // the clock runs slower than when this was asked
            schedule(armed_);
            return false;
        }
        armed_ = kNever;
        return true;
    }

private:
    Machine& machine_;
    Instant armed_ = kNever;
};

struct Machine::Workers : io::Worker {
    explicit Workers(Machine& machine) : machine_(machine) {}
    void submit(io::Lane lane, std::unique_ptr<io::Job> job, io::Token token) override {
        auto place = static_cast<size_t>(lane);
        lanes_[place].push_back({token, std::move(job)});
        if (lanes_[place].size() == 1) schedule(place);
    }
    void schedule(size_t lane) {
        auto wait = microseconds(
            20 + static_cast<int64_t>(machine_.random_.below(machine_.random_.chance(0.02) ? 20'000 : 200)));
        machine_.kernel_.schedule_in(wait, machine_.actor_, job_done, lane);
    }
    void fire(size_t lane) {
        if (machine_.kernel_.now() < machine_.disk_model_.hung_until) {
            machine_.kernel_.schedule(machine_.disk_model_.next_look(machine_.kernel_.now()), machine_.actor_,
                                      job_done, lane);
            return;
        }
        Submitted first = std::move(lanes_[lane].front());
        lanes_[lane].pop_front();
        if (!lanes_[lane].empty()) schedule(lane);
        machine_.files_.set_in_job(true);
        first.job->run(machine_.files_);
        machine_.files_.set_in_job(false);
        if (machine_.storage_.dead()) throw ProcessEnded(ProcessEnded::power, ExitCode::ok, "power cut");
        if (machine_.files_.ended()) throw ProcessEnded(*machine_.files_.ended());
        io::Completed done{first.token, 0, {}, io::kNoFile, std::move(first.job)};
        machine_.post({machine_.local_now(), std::move(done)}, kCompletions);
    }
    bool idle() const {
        return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane.empty(); });
    }

private:
    struct Submitted {
        io::Token token;
        std::unique_ptr<io::Job> job;
    };
    Machine& machine_;
    std::array<std::deque<Submitted>, 4> lanes_;
};

Machine::Machine(Kernel& kernel, SimStorage& storage, DiskModel& disk, ClockModel& clock, Fabric& fabric,
                 uint32_t host, uint64_t seed)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      host_(host),
      storage_(storage),
      disk_model_(disk),
      clock_model_(clock),
      random_(seed),
      files_(storage),
      disk_(kernel, actor_, storage, disk, *this, random_.next()),
      clock_(std::make_unique<Clock>(*this)),
      workers_(std::make_unique<Workers>(*this)),
      wire_(fabric.attach(*this)),
      world_{*clock_, disk_, *wire_, *workers_, files_, log_, random_.next()} {
    install_hooks();
}

Machine::~Machine() { kernel_.remove(actor_); }

Instant Machine::local_now() const { return clock_model_.local(kernel_.now()); }

bool Machine::run(const std::function<void()>& part) {
    if (ended_) return false;
    try {
        part();
        wire_->flush();
    } catch (const ProcessEnded& why) {
        end(why);
    }
    return !ended_;
}

void Machine::end(const ProcessEnded& why) {
    if (ended_) return;
    ended_.emplace(why);
    inbox_.clear();
    if (on_end) on_end();
}

void Machine::post(io::Event&& event, uint8_t priority) {
    if (!ended_) inbox_.push_back({priority, std::move(event)});
}

void Machine::fire(uint32_t kind, uint64_t data) {
    if (ended_) return;
    try {
        switch (kind) {
            case turn: turn_scheduled_ = false; break;
            case woken:
                if (clock_->came(data)) post({local_now(), io::Woken{}}, kPeers);
                break;
            case job_done: workers_->fire(data); break;
            case SimDisk::lane_done:
            case SimDisk::beside_done: disk_.fire(kind, data); break;
        }
        take_turn(kind != turn);
    } catch (const ProcessEnded& why) {
        end(why);
    }
}

void Machine::settle() {
    if (ended_) return;
    try {
        take_turn(true);
    } catch (const ProcessEnded& why) {
        end(why);
    }
}

/// Gives a turn now, or a little later, when more may have come.
void Machine::take_turn(bool may_wait) {
    if (inbox_.empty() || paused_ || turn_scheduled_) return;
    if (may_wait && random_.chance(turns.gather)) {
        turn_scheduled_ = true;
        auto wait = static_cast<int64_t>(random_.below(static_cast<uint64_t>(turns.gather_max.ns) + 1));
        kernel_.schedule_in(Duration{wait}, actor_, turn, 0);
        return;
    }
    run_turn();
}

/// Takes what this turn may have out of the inbox, in its order.
void Machine::hand_over() {
    now_.clear();
    if (inbox_.size() > 1)
        std::stable_sort(inbox_.begin(), inbox_.end(),
                         [](const Waiting& a, const Waiting& b) { return a.priority < b.priority; });
    uint64_t bytes = 0;
    size_t count = 0;
    while (count < inbox_.size() && count < io::kTurnEventsMax && bytes < io::kTurnBytesMax) {
        if (auto* frame = std::get_if<io::Frame>(&inbox_[count].event.what)) bytes += frame->bytes.size();
        ++count;
    }
    if (count == inbox_.size()) {
        now_.swap(inbox_);
        return;
    }
    auto end = inbox_.begin() + static_cast<ptrdiff_t>(count);
    now_.assign(std::make_move_iterator(inbox_.begin()), std::make_move_iterator(end));
    inbox_.erase(inbox_.begin(), end);
    turn_scheduled_ = true;
    kernel_.schedule_in(microseconds(1), actor_, turn, 0);
}

void Machine::run_turn() {
    hand_over();
    Instant now = local_now();
    if (handler_ != nullptr) {
        for (Waiting& waiting : now_) {
            waiting.event.now = now;
            handler_->handle(waiting.event);
        }
        handler_->end_turn(now);
    }
    now_.clear();
    if (after_turn) after_turn();
    wire_->flush();
}

void Machine::pause(bool paused) {
    if (paused_ == paused) return;
    paused_ = paused;
    if (paused) return;
    wire_->resumed();
    if (!turn_scheduled_) {
        turn_scheduled_ = true;
        kernel_.schedule(kernel_.now(), actor_, turn, 0);
    }
}

bool Machine::quiet() const { return inbox_.empty() && disk_.in_flight() == 0 && workers_->idle(); }

struct SimWorld::Adapter : io::Handler {
    std::function<void(io::Event&)> handler;
    void handle(io::Event& event) override { handler(event); }
    void end_turn(Instant) override {}
};

SimWorld::SimWorld(SimStorage& storage, uint64_t seed)
    : kernel_(seed),
      fabric_(std::make_unique<SimNetwork>(kernel_, kernel_.random.next())),
      machine_(kernel_, storage, disk_model_, clock_model_, *fabric_, 0, kernel_.random.next()) {}

SimWorld::~SimWorld() = default;

void SimWorld::on_event(std::function<void(io::Event&)> handler) {
    adapter_ = std::make_unique<Adapter>();
    adapter_->handler = std::move(handler);
    machine_.set_handler(adapter_.get());
}

bool SimWorld::step() { return !machine_.ended() && kernel_.step(); }

void SimWorld::run_until_idle(Duration virtual_time) {
    Instant until = kernel_.now() + virtual_time;
    while (kernel_.next_at() <= until && step()) {
    }
}

void SimWorld::run_for(Duration virtual_time) {
    Instant until = kernel_.now() + virtual_time;
    while (!machine_.ended() && kernel_.next_at() <= until) kernel_.step();
    if (!machine_.ended()) kernel_.run_until(until);
}

}  // namespace raftd::sim
