#include "sim/reach.h"

namespace raftd::sim {

std::string_view text_of(Reach point) {
    static constexpr std::string_view kNames[] = {
        "leader_elected",
        "leader_deposed",
        "two_leaders",
        "vote_refused",
        "vote_split",
        "log_cut",
        "log_cut_long",
        "append_refused",
        "old_term_committed",
        "commit_lead_change",
        "leader_disk_behind",
        "restarted",
        "restarted_torn",
        "power_cut_inside_turn",
        "all_down",
        "sync_failed",
        "disk_full",
        "disk_hung",
        "member_unstartable",
        "append_committed",
        "append_refused_client",
        "append_unknown",
        "append_unknown_landed",
        "append_acked_while_cut",
        "tail_moved",
        "read_confirmed",
        "frame_stray",
        "connection_timed_out",
        "segment_rolled",
        "wall_jumped",
        "healed_with_minority_dead",
    };
    static_assert(std::size(kNames) == kReachCount);
    return kNames[static_cast<size_t>(point)];
}

}  // namespace raftd::sim
