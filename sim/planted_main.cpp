// raftsim_planted: raftsim over objects that have bugs planted in them (base/planted.h), to prove that the
// simulator sees each. --plant NAME turns one on; with --find a seed that fails is what is wanted, and the
// same seeds must then pass without it.
#include <chrono>
#include <iterator>

#include "base/planted.h"
#include "sim/commands.h"

namespace raftd {
PlantedBug planted_bug = PlantedBug::none;
}

namespace {

double real_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool plant(std::string_view name) {
    static constexpr std::string_view kNames[] = {"none",
                                                  "vote_before_durable",
                                                  "commit_older_term",
                                                  "truncate_on_match",
                                                  "count_unsynced_self",
                                                  "skip_directory_sync",
                                                  "commit_unverified",
                                                  "read_by_old_round",
                                                  "no_send_window",
                                                  "stamp_own_clock",
                                                  "keep_cut_configuration",
                                                  "one_half_decides",
                                                  "dedupe_applied_only",
                                                  "expire_by_own_clock",
                                                  "answer_uncommitted",
                                                  "keep_producer_table",
                                                  "count_learners",
                                                  "promote_at_once",
                                                  "silence_by_uncommitted",
                                                  "change_before_own_commit",
                                                  "change_over_change",
                                                  "forget_used_ids",
                                                  "settled_when_appended",
                                                  "archive_by_segment",
                                                  "drop_before_snapshot"};
    for (size_t i = 0; i < std::size(kNames); ++i) {
        if (kNames[i] != name) continue;
        raftd::planted_bug = static_cast<raftd::PlantedBug>(i);
        return true;
    }
    return false;
}

}  // namespace

int main(int argc, char** argv) { return raftd::sim::run_command(argc, argv, {real_seconds, plant}); }
