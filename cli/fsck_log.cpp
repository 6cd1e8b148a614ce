// The write-ahead log: each segment alone, every chain and body of it, then what a start would make of them
// together; and the store of the replicated state, which must stand at an entry of this log.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/fsck_parts.h"
#include "cli/stored_state.h"
#include "cli/view.h"
#include "wal/dump.h"
#include "wal/refoot.h"
#include "wal/whole.h"

namespace raftd::cli {
namespace {

constexpr uint64_t kSegmentBytesMin = 64u << 10;

struct SegmentLooked {
    uint64_t id = 0;
    std::string file;  // in the data directory
    wal::Dumped dumped;
};

std::vector<SegmentLooked> look_at_segments(FsckRun& run) {
    std::vector<SegmentLooked> looked;
    int failed = 0;
    const std::string folder = run.path("wal");
    const std::vector<std::string> names = run.tools.files.list(folder, failed);
    if (failed != 0) run.add(Weight::damaged, "log", "wal", std::strerror(failed));
    const size_t first = run.report.finds.size();
    for (const std::string& name : names) {
        const std::string file = "wal/" + name;
        const auto id = wal::segment_id_of(name);
        if (!id && (name.ends_with(".tmp") || name.ends_with(".mend")))
            run.add(Weight::leftover, "log", file, "was being written when the process ended");
        else if (!id)
            run.add(Weight::leftover, "log", file, "isn't a segment; it is left alone");
        if (!id || !run.tools.go_on(run.path(file))) continue;
        auto dumped = wal::dump_segment(run.tools.files, run.path(file), wal::DumpForm::none);
        if (dumped)
            looked.push_back({*id, file, std::move(*dumped)});
        else
            run.add(Weight::damaged, "log", file, dumped.error().what);
    }
    run.remove(first, folder);
    return looked;
}

wal::Options options_of(const FsckRun& run) {
    wal::Options options;
    options.dir = run.path("wal");
    options.cluster_id = run.identity->cluster_id;
    options.incarnation = run.identity->incarnation;
    options.base = run.current->base();
    options.segment_bytes = options.first_segment_bytes = kSegmentBytesMin;
    options.holes = true;  // as a start does
    return options;
}

/// What the log as a whole says of its files; nothing: it can't be put together.
struct Whole {
    wal::Recovered recovered;
    wal::Found found;
    bool torn(const std::string& path) const {
        return std::find(found.torn.begin(), found.torn.end(), path) != found.torn.end();
    }
    const wal::Segment* segment(uint64_t id) const {
        for (const wal::Segment& segment : found.segments)
            if (segment.key.id == id) return &segment;
        return nullptr;
    }
};

std::optional<Whole> put_together(FsckRun& run, const std::vector<SegmentLooked>& looked) {
    if (!run.identity || !run.current) return std::nullopt;
    Whole whole;
    const wal::Options options = options_of(run);
    auto found = wal::recover(run.tools.files, options, whole.recovered, wal::Mend::no);
    if (found) {
        whole.found = std::move(*found);
        run.log = options;
        return whole;
    }
    if (whole.recovered.report.began_anew) {
        run.report.facts.emplace_back("log",
                                      "a snapshot was being installed over it: the next start finishes that");
        return std::nullopt;
    }
    // What one file alone already showed isn't said twice.
    Find find = run.add(Weight::damaged, "log", found.error());
    run.report.finds.pop_back();
    for (const SegmentLooked& one : looked)
        for (const wal::Damage& damage : one.dumped.found)
            if (one.file == find.file && damage.part != wal::Part::footer) return std::nullopt;
    run.report.finds.push_back(std::move(find));
    return std::nullopt;
}

Weight weigh(const SegmentLooked& looked, const wal::Damage& damage, const std::optional<Whole>& whole) {
    switch (damage.part) {
        case wal::Part::footer: return Weight::mendable;
        case wal::Part::seal: return whole ? Weight::mendable : Weight::damaged;
        case wal::Part::marker: return whole ? Weight::harmless : Weight::damaged;
        case wal::Part::file:
        case wal::Part::header:
        case wal::Part::group: break;
    }
    const wal::Segment* segment = whole ? whole->segment(looked.id) : nullptr;
    // A later segment has replaced these entries: nobody reads them again.
    const bool cut = segment != nullptr && damage.part == wal::Part::group && segment->sealed &&
                     damage.behind >= segment->logical_end.index;
    return cut ? Weight::harmless : Weight::damaged;
}

void report_segments(FsckRun& run, const std::vector<SegmentLooked>& looked,
                     const std::optional<Whole>& whole) {
    for (const SegmentLooked& one : looked) {
        if (whole && whole->torn(run.path(one.file))) {
            run.add(Weight::leftover, "log", one.file, "a segment whose creation a crash cut short");
            continue;
        }
        if (whole && !one.dumped.unused && whole->segment(one.id) == nullptr) {
            run.add(Weight::leftover, "log", one.file, "a segment of a log that a snapshot has replaced");
            continue;
        }
        for (const wal::Damage& damage : one.dumped.found)
            run.add(weigh(one, damage, whole), "log", one.file, damage.what, damage.offset);
        // Behind a seal that can't be read lies a footer, not a torn write.
        const bool sealed = std::any_of(one.dumped.found.begin(), one.dumped.found.end(),
                                        [](const wal::Damage& d) { return d.part == wal::Part::seal; });
        if (one.dumped.torn_at && !sealed)
            run.add(Weight::leftover, "log", one.file,
                    "the last write was under way when the process ended: the next start cuts it off",
                    one.dumped.torn_at);
    }
    if (!whole) return;
    const wal::Recovered& found = whole->recovered;
    run.report.facts.emplace_back(
        "log", counted(whole->found.segments.size(), "segment") + ", entries " +
                   std::to_string(raw(found.base.index) + 1) + "-" + std::to_string(raw(found.last.index)) +
                   ", term " + std::to_string(raw(found.hard.term)) + ", vote " +
                   std::to_string(raw(found.hard.vote)) +
                   (whole->found.holes.empty() ? "" : ", " + counted(whole->found.holes.size(), "hole")));
}

/// The parts of a segment that are still not as written.
bool still_bad(FsckRun& run, const std::string& file, wal::Part part) {
    auto dumped = wal::dump_segment(run.tools.files, run.path(file), wal::DumpForm::none);
    if (!dumped) return true;
    return std::any_of(dumped->found.begin(), dumped->found.end(),
                       [&](const wal::Damage& damage) { return damage.part == part; });
}

/// Does what a start would do first: seals that a successor vouches for, torn creations, a torn end.
bool finish_as_a_start(FsckRun& run, const Whole& whole) {
    wal::Options options = *run.log;
    if (whole.found.spare_id != 0) options.segment_bytes = whole.found.spare_bytes;  // it stays
    wal::Recovered again;
    auto done = wal::recover(run.tools.files, options, again, wal::Mend::yes);
    if (!done) run.add(Weight::damaged, "log", done.error());
    return done.has_value();
}

void mend(FsckRun& run, const std::vector<SegmentLooked>& looked, const std::optional<Whole>& whole) {
    if (!run.mends()) return;
    const bool finished = whole && finish_as_a_start(run, *whole);
    for (const SegmentLooked& one : looked)
        for (const wal::Damage& damage : one.dumped.found)
            if (damage.part == wal::Part::footer && still_bad(run, one.file, wal::Part::footer))
                static_cast<void>(wal::rebuild_footer(run.tools.files, run.path(one.file)));
    int failed = 0;
    const std::vector<std::string> left = run.tools.files.list(run.path("wal"), failed);
    for (Find& find : run.report.finds) {
        if (find.part != "log" || !find.done.empty() || !find.file.starts_with("wal/")) continue;
        const bool seal = find.offset == wal::kSealAt;
        if (find.weight == Weight::mendable &&
            !still_bad(run, find.file, seal ? wal::Part::seal : wal::Part::footer))
            find.done = seal ? "written again from its successor's header" : "made again from the groups";
        const bool gone = std::find(left.begin(), left.end(), find.file.substr(4)) == left.end();
        if (find.weight == Weight::leftover && gone) find.done = "removed";
        if (find.weight == Weight::leftover && finished && find.offset) find.done = "cut off and zeroed";
    }
}

/// The log behind entry `index`; nothing: it can't be read.
std::optional<LogPoint> log_at(const FsckRun& run, Index index) {
    auto walk = wal::LogWalk::open(run.tools.files, *run.log);
    if (!walk) return std::nullopt;
    if (index == walk->found().base.index) return walk->found().base;
    walk->seek(index - 1);
    auto entry = walk->next(1);
    if (!entry || entry->empty()) return std::nullopt;
    EntryCursor cursor(entry->view());
    return point_after(*cursor.next());
}

/// Why a start would throw the store away; nothing: it would take it.
std::optional<std::string> misfit(const FsckRun& run, const snapshot::StoreMark& mark, LogPoint first,
                                  LogPoint last) {
    if (mark.cluster_id != run.identity->cluster_id || mark.incarnation != run.identity->incarnation)
        return "it is of another data directory";
    const Index at = mark.applied.index;
    const std::string stands = "it stands at entry " + std::to_string(raw(at));
    if (at > last.index) return stands + ", behind the end of the log";
    if (at < first.index) return stands + ", before the log begins";
    std::optional<LogPoint> point = log_at(run, at);
    if (point && *point != mark.applied) return stands + ", and the log has another one there";
    return std::nullopt;
}

}  // namespace

void fsck_log(FsckRun& run) {
    const std::vector<SegmentLooked> looked = look_at_segments(run);
    const std::optional<Whole> whole = put_together(run, looked);
    report_segments(run, looked, whole);
    mend(run, looked, whole);
}

void fsck_state(FsckRun& run) {
    if (run.tools.store == nullptr) return;
    std::optional<std::string> why;
    {
        auto store = run.tools.store->open();
        if (!store && store.error().code != Errc::damaged)  // a full disk, say: nothing is known of it
            return void(run.add(Weight::leftover, "state", "state",
                                "can't be opened: " + store.error().what + "; it is left alone"));
        if (!store) {
            why = store.error().what;
        } else if (auto state = read_stored(**store); state) {
            auto walk = run.log ? wal::LogWalk::open(run.tools.files, *run.log)
                                : Result<wal::LogWalk>(error(Errc::damaged, "the log is damaged"));
            if (walk) why = misfit(run, state->mark, walk->found().base, walk->found().last);
            if (!why)
                run.report.facts.emplace_back(
                    "state", "applied up to entry " + std::to_string(raw(state->mark.applied.index)));
        } else if (state.error().code != Errc::not_found) {
            why = state.error().what;
        }
    }
    if (!why) return;
    Find& find = run.add(Weight::mendable, "state", "state",
                         *why + "; a start makes it again from the snapshot and the log");
    if (!run.mends()) return;
    auto removed = run.tools.store->remove();
    if (removed)
        find.done = "removed";
    else
        find.what += "; can't be removed: " + removed.error().what;
}

}  // namespace raftd::cli
