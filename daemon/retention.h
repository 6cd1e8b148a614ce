// The trims that the standing policy asks for (H23): looked at once a second by the leader, proposed as
// entries, and bounded again when applied. Age counts by the log's time alone, and not while the clocks
// disagree (H9). Tells of what trims and checkpoints did, on every member. Loop thread only. Read next:
// daemon/retained.h, daemon/retention_requests.h.
#pragma once

#include <string>
#include <vector>

#include "base/features.h"
#include "daemon/applier.h"
#include "daemon/freeze.h"
#include "daemon/replica.h"

namespace raftd::daemon {

class Retention : public StateListener {
public:
    Retention(Context& context, Replica& replica, const State& state);

    /// The log may hold entries of these kinds.
    bool enabled() const { return state_.feature_level() >= level_of(EntryKind::trim); }
    /// While that is on, nothing is proposed.
    void attach(const Freeze& freeze) { freeze_ = &freeze; }
    /// Once a turn.
    void turn();
    Instant deadline() const;
    void applied(const EntryHeader& header, const Effects& effects) override;
    /// `retention_held cursor=NAME`: its hold keeps what the policy, or a full disk, wants to go.
    void add_alarms(std::vector<std::string>& alarms) const;

private:
    struct Target {
        Lsn before{};
        TrimEntry::Reason reason = TrimEntry::Reason::asked;
    };
    Target target() const;
    Target target_by_age(uint64_t age_ms) const;
    bool cut_wanted() const;
    void look();
    void propose(EntryKind kind, const std::vector<std::byte>& body);
    void tell_trim(const RetainEffects& effects, uint64_t index);

    Context& context_;
    Replica& replica_;
    const State& state_;
    const Freeze* freeze_ = nullptr;
    Instant look_at_{};
    EntryId proposed_{};   // the newest one
    std::string held_by_;  // the cursor of the alarm
    Index told_first_{};   // first_index() when a trim was told last
};

}  // namespace raftd::daemon
