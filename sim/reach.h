// "Sometimes" points: situations that a run of many seeds must have met, else the faults are too tame to mean
// much. Each is a counter with a name and the profiles in which a batch of kBatchSeeds must have reached it;
// raftsim prints them at the end and fails when one that must be reached wasn't.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/profile.h"

namespace raftd::sim {

enum class Reach : uint8_t {
    leader_elected,
    leader_deposed,  // a leader saw a later term, or lost its majority
    two_leaders,     // an old one still believes to lead while a newer one does
    vote_refused,
    vote_split,          // two members asked for votes in a term, and nobody won it
    term_lost,           // a term in which votes were asked for and nobody won
    log_cut,             // a follower replaced entries
    log_cut_long,        // ten entries or more
    append_refused,      // by a follower: conflict
    old_term_committed,  // an entry of an earlier term was committed through a later one
    commit_lead_change,  // the first commit of a new leader while the old one still lives
    leader_disk_behind,  // committed by the others before the leader's own disk had it
    restarted,
    restarted_torn,         // a power cut lost something that was written and not synced
    power_cut_inside_turn,  // at the nth call of the disk
    all_down,               // every member at once
    sync_failed,
    disk_full,
    disk_hung,
    rotted,              // bits of a member's disk changed
    rot_survived,        // it started with them all the same, equal to the others
    hole_met,            // a damaged stretch of its log with both ends known
    hole_repaired,       // and its bytes came back
    file_repaired,       // a damaged archive or state was fetched anew
    member_unstartable,  // it ended or refused to start because of them
    put_back,            // an old image of a member's disk was put in the place of its disk
    put_back_refused,
    frame_corrupted,
    append_committed,
    append_refused_client,
    append_unknown,
    append_unknown_landed,
    append_repeated,            // a retry was told what became of the first attempt
    append_repeated_forgotten,  // only that it is committed
    producer_fenced,            // somebody else opened it
    producer_expired,           // a client found its producer forgotten
    store_spoiled,              // the state's store was deleted, rolled back, damaged or another's
    client_frame_doubled,
    append_acked_while_cut,  // during a partition or with a member down
    tail_moved,              // went on at another member
    read_confirmed,
    frame_stray,
    connection_timed_out,
    segment_rolled,
    wall_jumped,
    healed_with_minority_dead,
    majority_whole,   // a majority stood whole and connected for long, while something else was broken
    states_compared,  // of two members at the same applied index
    config_committed,
    config_cut,  // a configuration entry was truncated
    joint_committed,
    joint_left_by_another_leader,  // than the one that began it
    leader_lost_while_joint,       // it went down with a joint configuration in force
    leader_removed_itself,
    all_replaced,  // no member is the same
    promoted_by_itself,
    promoted_by_another_leader,  // than the one that took the learner in
    commit_by_other_members,     // by a leader of another configuration than the old one that still lives
    removed_member_told,         // by a refused vote: it is silent from then on
    change_completed,
    change_resumed,  // completed under another leader than it was asked of
    change_would_lose_quorum,
    change_while_joint,  // refused: another one is under way
    dead_address_refused,
    wrong_address_refused,
    used_id_refused,
    transfer_done,
    transfer_refused,   // to a learner
    transfer_ended,     // the target was behind, dead or away
    core_extended,      // a healed majority needed more members, for a configuration not committed
    archives_compared,  // of two members, with the same range
    snapshot_installed,
    trimmed,             // as somebody asked
    trim_held,           // came less far than asked, for a cursor or a checkpoint
    hold_kept,           // a cursor's hold was acknowledged
    checkpoint_put,      // whole
    saved,               // a snapshot, to one file
    read_trimmed,        // a reader was told that its record is gone
    restored,            // the cluster began with the save of another
    other_cluster_told,  // to somebody who knows that one
    count_,
};
inline constexpr size_t kReachCount = static_cast<size_t>(Reach::count_);
std::string_view text_of(Reach point);

/// So many seeds of a profile together must reach each of its points.
inline constexpr uint64_t kBatchSeeds = 200;
bool must_reach(Reach point, Profile profile);

/// Counters of one run, or the sum of many.
struct Reached {
    std::array<uint64_t, kReachCount> counts{};
    void hit(Reach point, uint64_t times = 1) { counts[static_cast<size_t>(point)] += times; }
    uint64_t operator[](Reach point) const { return counts[static_cast<size_t>(point)]; }
    /// Names of the points that a batch of this profile must have reached and this one didn't.
    std::string missing(Profile profile) const;
    void add(const Reached& other) {
        for (size_t i = 0; i < kReachCount; ++i) counts[i] += other.counts[i];
    }
};

}  // namespace raftd::sim
