// A simulated client process around the real client/session: appends at a rate, follows the log, makes
// linearizable reads, and tells the ledger all that it hears. Killing it loses its window: those appends have
// an unknown outcome.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "client/session.h"
#include "sim/ledger.h"
#include "sim/machine.h"

namespace raftd::sim {

struct ClientLoad {
    double appends_per_second = 4;
    uint32_t window = 8;      // batches not yet answered
    uint32_t batch_max = 4;   // records
    uint32_t bytes_max = 64;  // of a record
    double reads_per_second = 0.5;
    bool follow = true;                // tails the log
    Duration tail_life = seconds(10);  // then it goes on elsewhere
    Duration timeout = seconds(10);
    double numbered = 0.7;   // chance that a start of the client registers as a producer
    std::string producer{};  // name of it; empty: one of this session alone
    bool damage = false;     // members and frames may be damaged: a tail may end with that
};

class SimClient : public io::Handler, public Actor {
public:
    /// `number` from 1; host is 100 + number. `names`: of the members, whose client addresses are NAME:7002.
    SimClient(Kernel& kernel, SimNetwork& network, Ledger& ledger, Reached& reached, uint32_t number,
              std::vector<std::string> names, const ClientLoad& load);
    ~SimClient() override;

    /// Who belongs from now on: whom it asks by name, and where its next start looks for them.
    void set_members(std::vector<std::string> names, std::vector<std::string> addresses);
    void start();
    void kill();
    void pause(bool paused);
    bool running() const { return session_ != nullptr; }
    /// Kind 0: its producer was taken away or forgotten, so it starts anew, as a program would that is run
    /// again.
    void fire(uint32_t kind, uint64_t data) override;
    /// No more is sent from now on; what is open is waited for.
    void set_appending(bool on) { appending_ = on; }
    size_t outstanding() const { return window_.size(); }
    /// Its appends have numbers: a silent member is left for another one.
    bool sends_again() const { return running() && session_->appends().producer().id() != 0; }
    uint64_t acked() const { return acked_; }
    /// I21: throws when an append has waited for longer than its time-out allows. Not asked while paused.
    void check_deadline(Instant now) const;
    uint32_t number() const { return number_; }
    uint64_t records_seen() const { return records_seen_; }

    /// One append now, unless one is under way. For the liveness phase.
    void probe();
    uint64_t probes_acked() const { return probes_acked_; }
    /// Reads the whole log from one member; `whole_read` is the last LSN, -1 until it has ended well.
    void read_all(const std::string& name);
    int64_t whole_read() const { return whole_read_; }

    void handle(io::Event& event) override;
    void end_turn(Instant now) override;

private:
    struct Open {
        RecordId first;
        uint32_t count;
        Lsn floor;
        bool probe;
    };
    bool submit(Instant now, bool probe);
    void take_outcomes();
    void take_committed(const Open& open, const client::Appended& done);
    void see_producer();
    void run_tail(Instant now);
    void run_read(Instant now);
    void run_whole();
    Duration pause_for(double per_second);
    const std::string& any_name();

    Kernel& kernel_;
    uint32_t actor_;
    SimNetwork& network_;
    Ledger& ledger_;
    Reached& reached_;
    uint32_t number_;
    std::vector<std::string> names_, addresses_;
    ClientLoad load_;
    Random random_;
    SimStorage storage_;
    DiskModel disk_;
    ClockModel clock_;
    std::unique_ptr<Machine> machine_;
    std::unique_ptr<client::Session> session_;
    std::deque<Open> window_;
    std::vector<std::byte> scratch_;
    uint64_t seq_ = 0, acked_ = 0, probes_acked_ = 0, records_seen_ = 0;
    bool appending_ = true, probe_ = false;
    bool anew_ = false;  // it is to start again
    bool named_ = false, producers_known_ = false;
    uint64_t producer_id_ = 0;  // of this session
    bool renewed_ = false;      // another id from here on: the first one was forgotten
    Lsn last_committed_{};      // by this session
    Instant next_append_{}, next_read_{}, tail_until_{};
    Instant decided_at_{};  // since when nothing was, of what waits
    std::optional<client::TailId> tail_, read_, whole_;
    Lsn tail_next_{1}, read_wants_{};
    bool read_seen_ = false;
    std::string whole_name_;
    int64_t whole_read_ = -1, whole_count_ = 0;
};

}  // namespace raftd::sim
