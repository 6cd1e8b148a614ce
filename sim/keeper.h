// Somebody who keeps the log small, and backups of it: trims, standing policy, cursors with and without a
// hold, checkpoints, saves, one thing after another over all that happens to the members. What was answered
// is compared with Truth: no record goes that an acknowledged hold keeps, and what was saved is the history
// that was committed.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "sim/cluster.h"
#include "sim/control_call.h"
#include "sim/tar_in_memory.h"

namespace raftd::sim {

class Keeper : public Actor {
public:
    Keeper(Kernel& kernel, SimNetwork& network, Cluster& cluster, Trace& trace, Reached& reached,
           uint32_t host);
    ~Keeper() override;

    /// Does something about once in `every`, until end().
    void begin(Duration every);
    void end() { over_ = true; }

    void fire(uint32_t kind, uint64_t data) override;

private:
    enum class Phase : uint8_t { idle, look, trim, policy, hold, upload, chunk, commit, save, part };

    void start();
    void took(const pb::Answer& answer);
    void choose(const pb::Retained& now);
    void ask(Phase phase, pb::Request request);
    void change_cursor(const pb::Retained& now);
    void begin_checkpoint(const pb::Retained& now);
    void took_upload(const pb::Answer& answer);
    void begin_save();
    void took_save(const pb::Answer& answer);
    void next_part();
    void check_saved();
    void check_holds() const;
    void done();

    Kernel& kernel_;
    uint32_t actor_;
    Cluster& cluster_;
    Trace& trace_;
    Reached& reached_;
    Random random_;
    ControlCall call_;
    Duration every_{};
    bool over_ = true, ticking_ = false;
    Phase phase_ = Phase::idle;
    Instant next_at_{}, give_up_at_{};

    std::map<std::string, uint64_t> held_;  // LSNs of holds that are there for certain
    uint64_t names_ = 0;                    // of cursors so far: one that has gone never comes back
    std::string name_;                      // of the one asked for
    uint64_t lsn_ = 0;                      // of it; or the first one before a trim
    std::string upload_;                    // the content of a checkpoint
    std::unique_ptr<TarInMemory> tar_;
    std::unique_ptr<client::SaveFetch> fetch_;
    uint32_t saved_of_ = 0;  // the member
};

}  // namespace raftd::sim
