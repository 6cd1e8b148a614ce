// Applies the committed log to the replicated state, and keeps the state's store behind it. Only what is
// committed *and durable here* is applied (H5): from the log buffer where it holds the entries, else by reads
// of files, which is also how a state that was lost is made again. The store is a cache: its errors are an
// alarm and never fatal. Loop thread only. Read next: daemon/state.h, snapshot/store.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/log_reader.h"
#include "daemon/state.h"
#include "snapshot/state_file.h"

namespace raftd::daemon {

/// Told of every entry applied, in order, behind the commit that it follows from. Not told of those applied
/// before a start.
class StateListener {
public:
    virtual ~StateListener() = default;
    virtual void applied(const EntryHeader& header, const Effects& effects) = 0;
};

/// What a start makes of the store it finds.
struct LoadedState {
    State state;
    std::unique_ptr<snapshot::Store> store;  // nothing: it can't be opened now
    LogPoint stored;                         // what the store has
    bool anew = false;                       // the store holds nothing of `state`
};
/// What a start has at hand before there is a node.
struct Start {
    LogSink& sink;
    io::Files& files;
    const NodeOptions& options;
    const snapshot::DataDir& dir;
    LogLine log(LogLevel level, std::string_view event) const { return LogLine(sink, level, event); }
};
/// Opens the store and takes its state, if it is this directory's and fits the log; else begins with the
/// newest snapshot's, or the genesis', and an empty store. Says which in the log. Blocking, at a start,
/// before there is a core: ids never return, and of those whose configurations have left the log only the
/// state knows (B79).
LoadedState load_state(const Start& start, wal::Wal& wal, const LogPoint& log_end);

/// The end of an archive, as the state was there: what a snapshot at this point says of it.
struct StatePoint {
    LogPoint at;
    uint32_t feature_level = 1;
    std::map<Index, std::string> configs;  // bodies of membership entries; the newest ones
    std::set<NodeId> used_ids;
    Index first_index{};  // what lies before it was trimmed
};
/// The state there as a file, or why there is none.
struct StateSaved {
    StatePoint point;
    Result<snapshot::StateFileInfo> file;
    uint64_t digest = 0;  // of the state; 0: it is too large to be looked at each time
};

class Applier {
public:
    Applier(Context& context, LogReader& reader, snapshot::StoreMaker* maker, LoadedState loaded);
    ~Applier();
    /// Listeners are told in the order of these calls.
    void attach(StateListener* listener) { listeners_.push_back(listener); }

    const State& state() const { return state_; }
    /// For so long it has had something to apply and couldn't: its entries can't be read from this disk now.
    Duration stuck_for() const { return state_.applied() < upto_ ? context_.now - moved_at_ : Duration{}; }
    /// Applies up to `upto` = min(committed, durable here), as far as a turn goes, and writes behind when
    /// that is due. True when something is left for another turn at once.
    bool turn(Index upto);
    void read_done(const wal::ReadResult& result);
    void completed(io::Completed& done);
    Instant deadline() const;

    /// An installed snapshot's state, which stands behind this one. The store is made anew from it.
    void replace(State state);

    /// Asks for what is applied to be durable in the store soon, and from now on for what comes besides: for
    /// a stop. flushed() says when it is.
    void flush_soon() { flush_wanted_ = flush_always_ = true; }
    /// Nothing of flush_soon() is left, or the store is out of order.
    bool flushed() const;
    /// A file of the state at an archive's end was written (or not): once each, the newest one only when
    /// several came at once.
    std::optional<StateSaved> take_saved() { return std::exchange(saved_, std::nullopt); }
    /// The store refused a write and has not been opened anew since.
    /// While another member's state is named: one of the same entry would be written in its place.
    void pass_over_ends(bool on) { ends_passed_over_ = on; }
    bool store_failed() const { return failures_ != 0; }
    Index stored() const { return stored_.index; }

private:
    struct StoreJob;
    void apply_from_memory(Index upto, uint32_t entries_max);
    void apply(ByteView entries, Index upto);
    void note_archive_end();
    void take_dirty(snapshot::StoreBatch& into);
    void check_expiry(const EntryHeader& header, ByteView body) const;
    void read(Index first, Index upto);
    void note_current();
    bool behind() const { return state_.applied() < upto_; }
    Instant write_at() const;
    void write_behind();
    void submit(std::unique_ptr<StoreJob> job);
    void write_now();
    void begin_store_anew();
    void open_store();
    void write_done(StoreJob& job);
    void open_done(StoreJob& job);
    void failed(const Error& why);

    Context& context_;
    LogReader& reader_;
    snapshot::StoreMaker* maker_;
    std::vector<StateListener*> listeners_;
    State state_;
    std::vector<Slice> slices_;  // scratch

    Index upto_{};
    Instant moved_at_{};  // when it last applied something, or had nothing to apply
    bool reading_ = false;
    Instant read_again_at_{};
    bool current_ = false;  // has caught up once since the start

    std::unique_ptr<snapshot::Store> store_;  // nothing: with the job, or out of order
    LogPoint stored_;                         // behind the last batch written
    snapshot::StoreBatch unwritten_;          // refused: to be written again first
    /// To be saved as a file; `end_batch_` brings the store exactly there and is written before newer
    /// changes.
    std::optional<StatePoint> end_wanted_;
    snapshot::StoreBatch end_batch_;
    std::optional<StateSaved> saved_;
    bool job_under_way_ = false;
    bool flush_wanted_ = false;
    bool flush_always_ = false;
    Instant changed_at_ = kNever;  // since when the state is ahead of the store
    bool replaced_ = false;        // the store holds another state than this one
    uint32_t failures_ = 0;        // one after another
    Instant open_at_ = kNever;
    bool ends_passed_over_ = false;
};

}  // namespace raftd::daemon
