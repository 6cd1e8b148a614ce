// Bugs planted on purpose, to prove that the simulator sees them. They exist only in the objects that
// `raftsim_planted` links (RAFTD_PLANTED defined there); everywhere else `planted()` is constant false.
#pragma once

#include <cstdint>

namespace raftd {

enum class PlantedBug : uint8_t {
    none,
    vote_before_durable,       // a vote's answer leaves before it is synced (H4, B15)
    commit_older_term,         // entries of an older term are committed by counting (figure 8, B20)
    truncate_on_match,         // an append that matches throughout still cuts the tail (B21)
    count_unsynced_self,       // the leader counts its own copy before its sync (B32)
    skip_directory_sync,       // a new segment's name isn't synced (B65)
    commit_unverified,         // commit is taken from the leader for a tail not verified (B23)
    read_by_old_round,         // a read is confirmed by replies to what was sent before it came (I19)
    no_send_window,            // a follower is sent entries without a bound (I20)
    stamp_own_clock,           // a leader stamps its own clock, whatever the voters' show (H9)
    keep_cut_configuration,    // a configuration that was cut off stays in force (B37)
    one_half_decides,          // the new half alone decides while a configuration is joint
    dedupe_applied_only,       // a retry is looked up in the applied state, and not in the log's tail (H8)
    expire_by_own_clock,       // producers are forgotten by the leader's clock, not by the log's time (H9)
    answer_uncommitted,        // a retry gets the first attempt's numbers before that is committed (B81)
    keep_producer_table,       // a new reign judges by the table of an older one
    count_learners,            // a learner's copy counts for a commit
    promote_at_once,           // a learner becomes a voter whatever it lacks (H22)
    silence_by_uncommitted,    // a configuration that isn't committed silences whom it leaves out (H22)
    change_before_own_commit,  // a change begins before anything of the leader's term is committed (B35)
    change_over_change,        // a change begins while the one before isn't committed
    forget_used_ids,           // an id that a removed member had is given again (B79)
    settled_when_appended,     // a change is called done before it is committed
    archive_by_segment,        // an archive ends by a local setting, not where the log says (H13)
    drop_before_snapshot,      // segments go before CURRENT names what replaces them (H5)
};

#ifdef RAFTD_PLANTED
extern PlantedBug planted_bug;  // defined by raftsim_planted's main
inline bool planted(PlantedBug bug) { return planted_bug == bug; }
#else
constexpr bool planted(PlantedBug) { return false; }
#endif

}  // namespace raftd
