// A start with the store it finds: whose it is, whether it fits the log, and what happens when not (H5).
#include <optional>

#include "base/check.h"
#include "base/features.h"
#include "base/uuid.h"
#include "daemon/applier.h"

namespace raftd::daemon {
namespace {

using snapshot::StoreMark;

/// The log behind `index`, from files where need be.
Result<LogPoint> log_at(wal::Wal& wal, const LogPoint& log_end, Index index) {
    if (index == log_end.index) return log_end;
    if (index == wal.base().index) return wal.base();
    wal::ReadResult read = wal.read_now({wal::ReadRequest::By::index, raw(index), 1, index});
    if (read.code != wal::ReadCode::ok) return error(Errc::damaged, "the log can't be read: " + read.what);
    EntryCursor cursor(read.entries.view());
    return point_after(*cursor.next());
}

/// Why a store's content isn't the state of this log; nothing when it is.
std::optional<std::string> misfit(const Start& start, const StoreMark& mark, wal::Wal& wal,
                                  const LogPoint& log_end) {
    const auto& identity = start.dir.identity;
    if (mark.cluster_id != identity.cluster_id) return "it is of cluster " + to_hex(mark.cluster_id);
    if (mark.incarnation != identity.incarnation) return "it is of another member, or of a lost disk";
    const std::string at = std::to_string(raw(mark.applied.index));
    if (mark.applied.index > log_end.index) return "it stands at entry " + at + ", behind the end of the log";
    if (mark.applied.index < wal.base().index) return "it stands at entry " + at + ", before the log begins";
    Result<LogPoint> point = log_at(wal, log_end, mark.applied.index);
    if (!point) return point.error().what;
    if (*point != mark.applied) return "the log has another entry " + at;
    return std::nullopt;
}

/// As the newest snapshot has it, or the genesis.
State base_state(const Start& start) {
    const snapshot::Current& current = start.dir.current;
    if (!current.snapshot)
        return State(start.options.state_limits, start.dir.base, current.genesis.feature_level,
                     genesis_configuration(current.genesis));
    auto file = snapshot::StateFile::open(start.files, start.dir.path + "/snapshot", current.snapshot->state);
    Result<State> state = file ? State::load(start.options.state_limits, *file) : file.error();
    if (state && state->point() == start.dir.base) return std::move(*state);
    fatal(ExitCode::damaged,
          "the state of the snapshot at entry " + std::to_string(raw(start.dir.base.index)) +
              " can't be read: " + (state ? "it stands at another entry" : state.error().what) +
              " (hint: raftctl member replace gives this member a new data directory)");
}

Result<State> take_state(const Start& start, const snapshot::Store& store, wal::Wal& wal,
                         const LogPoint& log_end) {
    TRY(mark, store.mark());
    if (!mark) return error(Errc::not_found, "there was none");
    if (auto why = misfit(start, *mark, wal, log_end)) return error(Errc::conflict, *why);
    return State::load(start.options.state_limits, store);
}

}  // namespace

LoadedState load_state(const Start& start, wal::Wal& wal, const LogPoint& log_end) {
    snapshot::StoreMaker* maker = start.options.store;
    if (maker == nullptr) return {base_state(start), nullptr, start.dir.base, true};
    std::string why;
    std::unique_ptr<snapshot::Store> empty;
    if (auto opened = maker->open()) {
        Result<State> taken = take_state(start, **opened, wal, log_end);
        if (taken && taken->feature_level() > feature_level_max())
            fatal(
                ExitCode::too_new,
                "the cluster's feature level is " + std::to_string(taken->feature_level()) +
                    ", this version knows " + std::to_string(feature_level_max()) +
                    ": nothing was changed (hint: install the version that the other members run, then start "
                    "this one again)");
        if (taken) {
            start.log(LogLevel::info, "state_loaded")("applied", raw(taken->applied()))(
                "producers", taken->producers())("log_end", raw(log_end.index));
            const LogPoint stored = taken->point();
            return {std::move(*taken), std::move(*opened), stored, false};
        }
        why = taken.error().what;
        if (taken.error().code == Errc::not_found) empty = std::move(*opened);
    } else {
        why = opened.error().what;
    }
    start.log(LogLevel::info, "state_rebuilt")("why", why)("from", raw(start.dir.base.index))(
        "log_end", raw(log_end.index));
    LoadedState loaded{base_state(start), std::move(empty), start.dir.base, true};
    if (loaded.store) return loaded;
    if (auto removed = maker->remove(); !removed) why = removed.error().what;
    if (auto opened = maker->open()) {
        auto mark = (*opened)->mark();
        if (mark && !*mark) {
            loaded.store = std::move(*opened);
            return loaded;
        }
    } else {
        why = opened.error().what;
    }
    start.log(LogLevel::warn, "state_store_failed")("why", why)(
        "hint", "the state stands in memory and the log; the store is tried again");
    return loaded;
}

}  // namespace raftd::daemon
