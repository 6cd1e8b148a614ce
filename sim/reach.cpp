#include "sim/reach.h"

#include <initializer_list>
#include <iterator>

namespace raftd::sim {
namespace {

/// Profiles as a set.
using In = uint32_t;
constexpr In only(std::initializer_list<Profile> profiles) {
    In set = 0;
    for (Profile profile : profiles) set |= 1u << static_cast<uint32_t>(profile);
    return set;
}
constexpr In kNowhere = 0;  // counted; too rare to be demanded of a batch
constexpr In kAll = ~0u;
constexpr In kSwarm = only({Profile::swarm});
constexpr In kFaulty =
    only({Profile::swarm, Profile::crash, Profile::disk, Profile::network, Profile::damage});
constexpr In kDown = only({Profile::swarm, Profile::crash, Profile::disk, Profile::damage});
constexpr In kDisk = only({Profile::swarm, Profile::disk});
constexpr In kNetwork = only({Profile::swarm, Profile::network});
constexpr In kChurn = only({Profile::churn});
constexpr In kInstall = only({Profile::install});
constexpr In kRestored = only({Profile::swarm, Profile::restored});
constexpr In kDamage = only({Profile::swarm, Profile::damage});

struct Point {
    std::string_view name;
    In must;  // where a batch has to reach it
};
constexpr Point kPoints[] = {
    {"leader_elected", kAll},
    {"leader_deposed", kFaulty},
    {"two_leaders", kFaulty},
    {"vote_refused", kFaulty},
    {"vote_split", kNetwork},
    {"term_lost", kNetwork},
    {"log_cut", kFaulty},
    {"log_cut_long", kNetwork},
    {"append_refused", kFaulty},
    {"old_term_committed", kFaulty},
    {"commit_lead_change", kNetwork},
    {"leader_disk_behind", kDisk},
    {"restarted", kAll},
    {"restarted_torn", kDown},
    {"power_cut_inside_turn", kDown},
    {"all_down", kDown},
    {"sync_failed", kDisk},
    {"disk_full", kDisk},
    {"disk_hung", kDisk},
    {"rotted", kDamage},
    {"rot_survived", kDamage},
    {"hole_met", kDamage},
    {"hole_repaired", kDamage},
    {"file_repaired", only({Profile::damage})},
    {"member_unstartable", kDamage},
    {"put_back", only({Profile::damage})},
    {"put_back_refused", only({Profile::damage})},
    {"frame_corrupted", kNetwork},
    {"append_committed", kAll},
    {"append_refused_client", kFaulty},
    {"append_unknown", kFaulty},
    {"append_unknown_landed", kFaulty},
    {"append_repeated", kSwarm},
    {"append_repeated_forgotten", kSwarm},
    {"producer_fenced", kSwarm},
    {"producer_expired", kNowhere},
    {"store_spoiled", kDown},
    {"client_frame_doubled", kSwarm},
    {"append_acked_while_cut", kNetwork},
    {"tail_moved", kFaulty},
    {"read_confirmed", kAll},
    {"frame_stray", kNetwork},
    {"connection_timed_out", kNetwork},
    {"segment_rolled", kFaulty},
    {"wall_jumped", kSwarm},
    {"healed_with_minority_dead", kFaulty},
    {"majority_whole", kDown},
    {"states_compared", kAll},
    {"config_committed", kChurn},
    {"config_cut", kChurn},
    {"joint_committed", kChurn},
    {"joint_left_by_another_leader", kChurn},
    {"leader_lost_while_joint", kChurn},
    {"leader_removed_itself", kChurn},
    {"all_replaced", kChurn},
    {"promoted_by_itself", kChurn},
    {"promoted_by_another_leader", kChurn},
    {"commit_by_other_members", kChurn},
    {"removed_member_told", kChurn},
    {"change_completed", kChurn},
    {"change_resumed", kChurn},
    {"change_would_lose_quorum", kChurn},
    {"change_while_joint", kChurn},
    {"dead_address_refused", kChurn},
    {"wrong_address_refused", kChurn},
    {"used_id_refused", kChurn},
    {"transfer_done", kChurn},
    {"transfer_refused", kChurn},
    {"transfer_ended", kChurn},
    {"core_extended", kNowhere},
    {"archives_compared", kAll},
    {"snapshot_installed", kInstall},
    {"trimmed", kSwarm},
    {"trim_held", kSwarm},
    {"hold_kept", kSwarm},
    {"checkpoint_put", kSwarm},
    {"saved", kSwarm},
    {"read_trimmed", kSwarm},
    {"restored", kRestored},
    {"other_cluster_told", kRestored},
};
static_assert(std::size(kPoints) == kReachCount);

}  // namespace

std::string_view text_of(Reach point) { return kPoints[static_cast<size_t>(point)].name; }

bool must_reach(Reach point, Profile profile) {
    return (kPoints[static_cast<size_t>(point)].must >> static_cast<uint32_t>(profile) & 1) != 0;
}

std::string Reached::missing(Profile profile) const {
    std::string names;
    for (size_t i = 0; i < kReachCount; ++i) {
        auto point = static_cast<Reach>(i);
        if (counts[i] != 0 || !must_reach(point, profile)) continue;
        names.append(names.empty() ? "" : " ").append(text_of(point));
    }
    return names;
}

}  // namespace raftd::sim
