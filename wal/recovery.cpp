#include "wal/recovery.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "wal/groups.h"
#include "wal/make.h"

namespace raftd::wal {
namespace {

constexpr uint64_t kScanAheadBytes = 1u << 20;

/// One file that bears a segment's name.
struct FileFound {
    uint64_t id = 0;
    std::string path;
    uint64_t bytes = 0;
    SegmentHeader header{};
    Form header_form = Form::zero;
    Seal seal{};
    Form seal_form = Form::zero;
    Behind behind = Behind::zeros;  // looked at only when the header isn't good
    bool finish_seal = false;
};

class Recovery {
public:
    Recovery(io::Files& files, const Options& options, Recovered& into, Mend mend)
        : files_(files), options_(options), into_(into), mend_(mend) {}

    Result<Found> run() {
        TRY_VOID(look());
        TRY_VOID(choose());
        set_void_aside();
        for (size_t i = 0; i < log_.size(); ++i) TRY_VOID(read_segment(i));
        clip_holes();
        TRY_VOID(check_base());
        TRY_VOID(gather_entries_in_force());
        found_.torn = remove_;
        // Nothing was changed so far: a refused directory stays as it was found.
        if (mend_ == Mend::yes) {
            TRY_VOID(finish_rolls());
            TRY_VOID(remove_void());
            TRY_VOID(remove_files());
            TRY_VOID(clean_end());
        }
        found_.active_index = std::move(indexes_.back());
        if (!holds_base()) return begin_anew();
        into_.hard = found_.hard.state;
        into_.base = lowest_base(found_.segments);
        into_.last = found_.segments.back().end;
        into_.report.segments = static_cast<uint32_t>(found_.segments.size());
        return std::move(found_);
    }

private:
    Result<void> look();
    Result<void> settle(const std::string& path);
    Result<void> look_at(FileFound& file);
    Result<void> choose();
    Result<void> apply(FileOutcome outcome, FileFound* file);
    NextState state_of(const FileFound& file) const;
    SealState seal_before(const FileFound* next) const;
    Result<void> read_segment(size_t i);
    void set_void_aside();
    Result<void> remove_void();
    bool holds_base() const;
    Result<Found> begin_anew();
    Result<Footer> read_sealed(const FileFound& file, const FileFound& next, FileWindow& window);
    void clip_holes();
    Result<void> check_base() const;
    Result<void> gather_entries_in_force();
    Result<void> finish_rolls();
    Result<void> remove_files();
    Result<void> clean_end();
    Result<void> zero_from(io::FileId file, uint64_t offset);

    io::Files& files_;
    const Options& options_;
    Recovered& into_;
    const Mend mend_;
    Found found_;
    std::vector<FileFound> all_;
    std::vector<FileFound*> log_;   // the segments, in order
    std::vector<FileFound*> void_;  // segments of a log that was replaced, oldest first
    std::vector<std::string> remove_;
    std::vector<SegmentIndex> indexes_;            // of log_
    bool hard_is_torn_ = false, scanned_ = false;  // scanned: the last sealed one looked at, which has holes
    uint64_t zeros_from_ = UINT64_MAX;             // in the last segment, as its scan saw
};

/// What is in the page cache may be what the disk never got (after a failed sync pages count as clean):
/// everything is synced and dropped before anything is believed.
Result<void> Recovery::settle(const std::string& path) {
    OpenFile file(files_, path, io::OpenMode::read_write);
    if (!file) return io_error(path, "open", file.error());
    if (int failed = files_.sync(file.id()).error; failed != 0) return io_error(path, "sync", failed);
    if (int failed = files_.drop_cache(file.id()).error; failed != 0) return io_error(path, "reread", failed);
    return {};
}

Result<void> Recovery::look() {
    int failed = 0;
    std::vector<std::string> names = files_.list(options_.dir, failed);
    if (failed != 0 && failed != ENOENT) return io_error(options_.dir, "list", failed);
    for (const std::string& name : names) {
        std::optional<uint64_t> id = segment_id_of(name);
        if (name.ends_with(kMendSuffix)) remove_.push_back(options_.dir + "/" + name);
        if (!id) continue;
        FileFound file;
        file.id = *id;
        file.path = segment_path(options_.dir, *id);
        all_.push_back(std::move(file));
    }
    if (all_.empty())
        return error(Errc::damaged, options_.dir + ": identity without a log: there is no segment",
                     "if init was interrupted and this member never ran, remove its data directory and run "
                     "init again; "
                     "else put the directory back, or `raftctl member replace`");
    std::sort(all_.begin(), all_.end(), [](const FileFound& a, const FileFound& b) { return a.id < b.id; });
    found_.next_segment_id = all_.back().id + 1;
    for (const FileFound& file : all_) TRY_VOID(settle(file.path));
    if (failed = files_.sync_dir(options_.dir).error; failed != 0)
        return io_error(options_.dir, "sync", failed);
    for (FileFound& file : all_) TRY_VOID(look_at(file));
    return {};
}

Result<void> Recovery::look_at(FileFound& file) {
    OpenFile opened(files_, file.path, io::OpenMode::read);
    if (!opened) return io_error(file.path, "open", opened.error());
    FileWindow window(files_, opened.id(), 2 * kBlockBytes);
    file.bytes = window.file_bytes();
    file.header_form = form_of_header(window.at(0, kBlockBytes), file.id, file.header);
    if (file.header_form == Form::good) {
        file.seal_form =
            form_of_seal(window.at(kSealAt, kBlockBytes), {file.id, file.header.salt}, file.seal);
        if (file.bytes < file.header.file_bytes)
            return damaged_at(
                file.path, file.bytes,
                "the file is shorter than made (" + std::to_string(file.header.file_bytes) + " bytes)");
    } else {
        FileWindow rest(files_, opened.id(), kScanAheadBytes);
        for (uint64_t at = kBlockBytes; at < file.bytes && file.behind != Behind::groups; at += kBlockBytes) {
            ByteView block = rest.at(at, kBlockBytes);
            if (all_zero(block)) continue;
            file.behind = looks_like_group(block, file.id, at) ? Behind::groups : Behind::stale;
        }
        into_.report.bytes_read += rest.bytes_read();
        if (rest.error() != 0) return damaged_at(file.path, rest.error_offset(), "can't be read");
    }
    into_.report.bytes_read += window.bytes_read();
    if (window.error() != 0) return damaged_at(file.path, window.error_offset(), "can't be read");
    return {};
}

SealState Recovery::seal_before(const FileFound* next) const {
    if (log_.empty()) return SealState::no_segment;
    const FileFound& last = *log_.back();
    if (last.seal_form == Form::zero) return SealState::zero;
    if (last.seal_form != Form::good) return SealState::torn;
    return next != nullptr && last.seal.next_segment_id == next->id ? SealState::names_next
                                                                    : SealState::names_other;
}

NextState Recovery::state_of(const FileFound& file) const {
    switch (file.header_form) {
        case Form::zero: return NextState::zero;
        case Form::bad: return NextState::bad;
        case Form::too_new: return NextState::too_new;
        case Form::good: break;
    }
    const SegmentHeader& header = file.header;
    if (header.cluster_id != options_.cluster_id || header.incarnation != options_.incarnation)
        return NextState::foreign;
    if (log_.empty()) return NextState::fits;
    const FileFound& before = *log_.back();
    bool fits = header.before_segment_id == before.id && is_end_in(header.before_end, before.bytes);
    if (before.seal_form == Form::good)
        fits = fits && header.before_end == before.seal.end_offset &&
               raw(header.base.index) + 1 == before.seal.next_index_first;
    return fits ? NextState::fits : NextState::stranger;
}

Result<void> Recovery::choose() {
    for (FileFound& file : all_) {
        FileOutcome outcome = decide_file(seal_before(&file), state_of(file), file.behind);
        TRY_VOID(apply(outcome, &file));
    }
    return apply(decide_file(seal_before(nullptr), NextState::absent, Behind::zeros), nullptr);
}

Result<void> Recovery::apply(FileOutcome outcome, FileFound* file) {
    const std::string& path = file != nullptr ? file->path : log_.empty() ? options_.dir : log_.back()->path;
    switch (outcome) {
        case FileOutcome::go_on: break;
        case FileOutcome::finish_roll:
            log_.back()->finish_seal = true;
            into_.report.finished_roll = true;
            [[fallthrough]];
        case FileOutcome::accept: log_.push_back(file); break;
        case FileOutcome::spare:
            if (found_.spare_id != 0) remove_.push_back(segment_path(options_.dir, found_.spare_id));
            found_.spare_id = file->id;
            found_.spare_bytes = file->bytes;
            break;
        case FileOutcome::remove:
            remove_.push_back(path);
            into_.report.removed_torn_creation = true;
            break;
        case FileOutcome::damaged:
            if (file == nullptr)
                return damaged_at(path, kSealAt, "the segment is sealed and its successor is missing");
            return damaged_at(path, 0,
                              log_.empty() ? "the first segment's header is damaged"
                                           : "the segment isn't a successor of " + log_.back()->path);
        case FileOutcome::foreign:
            return error(Errc::conflict,
                         path + " belongs to another cluster or another member's data directory",
                         "put the right directory back");
        case FileOutcome::too_new:
            return error(Errc::too_new, path + " was written by a newer version",
                         "start that version of raftd");
    }
    return {};
}

/// A segment that begins anew makes those before it void: they aren't even read.
void Recovery::set_void_aside() {
    auto anew = std::find_if(log_.rbegin(), log_.rend(),
                             [](const FileFound* file) { return file->header.begins_anew(); });
    if (anew == log_.rend()) return;
    void_.assign(log_.begin(), std::prev(anew.base()));
    log_.erase(log_.begin(), std::prev(anew.base()));
}

/// Oldest first, each removal synced before the next, so that a crash never leaves a gap.
Result<void> Recovery::remove_void() {
    for (const FileFound* file : void_) {
        if (int failed = files_.remove(file->path).error; failed != 0)
            return io_error(file->path, "remove", failed);
        if (int failed = files_.sync_dir(options_.dir).error; failed != 0)
            return io_error(options_.dir, "sync", failed);
    }
    return {};
}

/// Whether the log has the entry that the newest snapshot ends with.
bool Recovery::holds_base() const {
    const LogPoint first = lowest_base(found_.segments);
    const LogPoint& base = options_.base;
    if (base.index == first.index) return true;  // check_base compared the rest
    if (base.index > found_.segments.back().end.index) return false;
    // A snapshot of entries that are damaged here: the log goes on behind them.
    for (const Hole& hole : found_.holes)
        if (base.index > hole.from.index && base.index < hole.to.index) return true;
    auto run = std::find_if(into_.runs.rbegin(), into_.runs.rend(),
                            [&](const TermRun& some) { return some.first <= base.index; });
    return run != into_.runs.rend() && run->term == base.term;
}

/// The crash came after a snapshot was installed and before the log followed it: makes the segment that
/// begins behind the snapshot, and recovers once more from there (H11).
Result<Found> Recovery::begin_anew() {
    into_.report.began_anew = true;
    if (mend_ == Mend::no)
        return error(Errc::conflict,
                     options_.dir + ": a snapshot was being installed here when the member ended",
                     "start the member once: it finishes that by itself");
    const SegmentKey key{found_.next_segment_id, new_salt(options_, found_.next_segment_id)};
    const std::string path = segment_path(options_.dir, key.id);
    const uint64_t bytes = whole_blocks(options_.segment_bytes);
    NumberedHard hard = found_.hard;
    ++hard.number;
    SegmentHeader header =
        make_segment_header(options_, key, options_.base, &found_.segments.back(), hard, bytes, true);
    std::vector<std::byte> block(kBlockBytes);
    std::memcpy(block.data(), &header, sizeof header);
    OpenFile file(files_, path, io::OpenMode::create_new);
    if (!file) return io_error(path, "make", file.error());
    io::FileResult done = files_.fill_zeros(file.id(), 0, bytes);
    if (done.error == 0) done = files_.write(file.id(), 0, block);
    if (done.error == 0) done = files_.sync(file.id());
    if (done.error == 0) done = files_.sync_dir(options_.dir);
    if (done.error != 0) return io_error(path, "make", done.error);
    Recovered again;
    again.report = into_.report;
    into_ = std::move(again);
    return Recovery(files_, options_, into_, mend_).run();
}

Result<Footer> Recovery::read_sealed(const FileFound& file, const FileFound& next, FileWindow& window) {
    SegmentKey key{file.id, file.header.salt};
    FooterPlace place{file.seal.footer_offset, file.seal.footer_bytes, file.seal.footer_checksum};
    std::optional<Footer> footer = read_footer(window, key, place);
    const bool good = footer.has_value();
    if (good && (!options_.holes || configs_readable(footer->index, window))) return std::move(*footer);
    if (place.offset != 0)
        found_.notes.push_back(file.path + " at byte " + std::to_string(place.offset) +
                               (good ? ": a membership entry is damaged" : ": the footer is damaged") +
                               "; the segment was scanned instead");
    window.forgive();
    TRY(groups, find_groups(window, file.path, file.header,
                            {file.seal.end_offset, next.header.base, options_.holes}, found_.notes));
    into_.report.entries += groups.entries;
    found_.holes.insert(found_.holes.end(), groups.holes.begin(), groups.holes.end());
    if (!groups.holes.empty()) scanned_ = true;
    return Footer{groups.end.log, std::move(groups.index)};
}

Result<void> Recovery::read_segment(size_t i) {
    const FileFound& file = *log_[i];
    const FileFound* next = i + 1 < log_.size() ? log_[i + 1] : nullptr;
    OpenFile opened(files_, file.path, io::OpenMode::read);
    if (!opened) return io_error(file.path, "open", opened.error());
    FileWindow window(files_, opened.id(), kScanAheadBytes);
    Segment segment;
    segment.key = {file.id, file.header.salt};
    segment.file_bytes = file.bytes;
    segment.base = file.header.base;
    SegmentIndex index;
    if (next != nullptr && !file.finish_seal) {
        scanned_ = false;
        TRY(footer, read_sealed(file, *next, window));
        segment.end = footer.end;
        segment.end_offset = file.seal.end_offset;
        segment.last_group = file.seal.last_group;
        segment.footer = {file.seal.footer_offset, file.seal.footer_bytes, file.seal.footer_checksum};
        if (scanned_) segment.footer = {};  // behind a hole its marks would be of no use
        segment.sealed = true;
        index = std::move(footer.index);
        index.marks = {};  // the reader loads them when it needs them
    } else {
        KnownBounds bounds{next != nullptr ? next->header.before_end : 0, std::nullopt, options_.holes};
        if (next != nullptr) bounds.log = next->header.base;
        TRY(groups, find_groups(window, file.path, file.header, bounds, found_.notes));
        found_.holes.insert(found_.holes.end(), groups.holes.begin(), groups.holes.end());
        segment.end = groups.end.log;
        segment.end_offset = groups.end.offset;
        segment.last_group = groups.end.last_group;
        index = std::move(groups.index);
        into_.report.entries += groups.entries;
        found_.hard = groups.hard;
        found_.last_group_closes = groups.last_group_closes;
        zeros_from_ = groups.zeros_from;
        hard_is_torn_ = groups.hard_is_torn;
    }
    into_.report.bytes_read += window.bytes_read();
    segment.logical_end = segment.end;
    size_t later =
        i + 1;  // not always the next one: mended behind two cuts, it ends where the second goes on
    while (later < log_.size() && !segment.joins(log_[later]->header.base)) ++later;
    if (next != nullptr && later == log_.size())
        return damaged_at(next->path, 0, "the segment begins behind the end of the one before it");
    cut_segments(found_.segments, segment.base);
    found_.segments.push_back(segment);
    indexes_.push_back(std::move(index));
    return {};
}

/// What a later segment cut off is nobody's loss.
void Recovery::clip_holes() {
    std::erase_if(found_.holes, [this](Hole& hole) {
        hole.at_start = true;
        for (const Segment& segment : found_.segments)
            if (segment.key.id == hole.segment_id) return !clip(hole, segment);
        return true;
    });
}

Result<void> Recovery::check_base() const {
    const LogPoint first = lowest_base(found_.segments);
    const std::string& path = log_.front()->path;
    if (first.index > options_.base.index)
        return damaged_at(path, 0,
                          "the log begins behind entry " + std::to_string(raw(first.index)) +
                              ", but what lies before ends at " + std::to_string(raw(options_.base.index)));
    if (first.index == options_.base.index && first != options_.base)
        return error(Errc::conflict,
                     path + ": the log doesn't begin with this directory's genesis or snapshot",
                     "put the right directory back");
    return {};
}

/// Term runs and membership entries of the logical log: not those that a later segment cut off.
Result<void> Recovery::gather_entries_in_force() {
    for (size_t i = 0; i < log_.size(); ++i) {
        const Segment& segment = found_.segments[i];
        indexes_[i].end_at(segment.base, segment.logical_end);
        for (const TermRun& run : indexes_[i].runs)
            if (into_.runs.empty() || into_.runs.back().term != run.term) into_.runs.push_back(run);
        if (indexes_[i].configs.empty()) continue;
        OpenFile opened(files_, log_[i]->path, io::OpenMode::read);
        if (!opened) return io_error(log_[i]->path, "open", opened.error());
        FileWindow window(files_, opened.id(), kConfigReadBytes);
        for (const ConfigPlace& place : indexes_[i].configs) {
            EntryHeader header{};
            std::optional<ByteView> body = read_config(window, place, header);
            if (!body) return damaged_at(log_[i]->path, place.offset, "the membership entry here is damaged");
            into_.configs.push_back({place.index, {body->begin(), body->end()}});
        }
        into_.report.bytes_read += window.bytes_read();
    }
    return {};
}

Result<void> Recovery::finish_rolls() {
    for (size_t i = 0; i + 1 < log_.size(); ++i) {
        if (!log_[i]->finish_seal) continue;
        Segment& segment = found_.segments[i];
        OpenFile file(files_, log_[i]->path, io::OpenMode::read_write);
        if (!file) return io_error(log_[i]->path, "open", file.error());
        std::vector<std::byte> footer = encode_footer(segment.key.id, segment.end, indexes_[i]);
        FooterPlace place{segment.end_offset, footer.size(), checksum(footer, segment.key.salt)};
        io::FileResult done{};
        const bool holed = std::any_of(found_.holes.begin(), found_.holes.end(),
                                       [&](const Hole& hole) { return hole.segment_id == segment.key.id; });
        if (!holed) done = files_.write(file.id(), place.offset, footer);
        // No room, or not all is known of the entries: the file will be scanned.
        if (holed || done.error != 0 || done.bytes != footer.size()) place = {};
        if (done = files_.sync(file.id()); done.error != 0)
            return io_error(log_[i]->path, "sync", done.error);
        std::vector<std::byte> block(kBlockBytes);
        Seal seal = make_seal(segment, place, log_[i + 1]->id, log_[i + 1]->header.base.index + 1);
        std::memcpy(block.data(), &seal, sizeof seal);
        done = files_.write(file.id(), kSealAt, block);
        if (done.error == 0) done = files_.sync(file.id());
        if (done.error != 0) return io_error(log_[i]->path, "seal", done.error);
        segment.footer = place;
        segment.sealed = true;
    }
    return {};
}

Result<void> Recovery::remove_files() {
    // A spare of another size, or not behind the active segment, is of no use.
    if (found_.spare_id != 0 && (found_.spare_id < found_.segments.back().key.id ||
                                 found_.spare_bytes != whole_blocks(options_.segment_bytes))) {
        remove_.push_back(segment_path(options_.dir, found_.spare_id));
        found_.spare_id = 0;
    }
    if (remove_.empty()) return {};
    for (const std::string& path : remove_)
        if (int failed = files_.remove(path).error; failed != 0) return io_error(path, "remove", failed);
    if (int failed = files_.sync_dir(options_.dir).error; failed != 0)
        return io_error(options_.dir, "sync", failed);
    return {};
}

Result<void> Recovery::zero_from(io::FileId file, uint64_t offset) {
    FileWindow window(files_, file, kScanAheadBytes);
    const uint64_t torn_before = into_.report.torn_bytes;
    for (; offset < std::min(window.file_bytes(), zeros_from_); offset += kBlockBytes) {
        if (all_zero(window.at(offset, kBlockBytes))) continue;
        uint64_t to = std::min(offset + kBlockBytes, window.file_bytes());
        if (int failed = files_.fill_zeros(file, offset, to).error; failed != 0)
            return io_error(log_.back()->path, "clear the torn end of", failed);
        into_.report.torn_bytes += to - offset;
    }
    into_.report.bytes_read += window.bytes_read();
    if (into_.report.torn_bytes == torn_before) return {};
    if (int failed = files_.sync(file).error; failed != 0) return io_error(log_.back()->path, "sync", failed);
    return {};
}

/// The active segment goes on behind its last good group: what a torn write left there is zeroed, and a hard
/// state that only the torn group had is written again.
Result<void> Recovery::clean_end() {
    Segment& active = found_.segments.back();
    const std::string& path = log_.back()->path;
    OpenFile file(files_, path, io::OpenMode::read_write);
    if (!file) return io_error(path, "open", file.error());
    TRY_VOID(zero_from(file.id(), active.end_offset));
    if (!hard_is_torn_) return {};
    ++found_.hard.number;
    GroupHeader group = make_empty_group(active, found_.hard);
    std::vector<std::byte> block(kBlockBytes);
    std::memcpy(block.data(), &group, sizeof group);
    io::FileResult done = files_.write(file.id(), active.end_offset, block);
    if (done.error == 0) done = files_.sync(file.id());
    if (done.error != 0) return io_error(path, "write", done.error);
    active.end_offset += kBlockBytes;
    ++active.last_group;
    found_.last_group_closes = false;
    return {};
}

}  // namespace

Result<Found> recover(io::Files& files, const Options& options, Recovered& into, Mend mend) {
    return Recovery(files, options, into, mend).run();
}

}  // namespace raftd::wal
