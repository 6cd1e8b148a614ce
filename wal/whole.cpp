#include "wal/whole.h"

#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "wal/make.h"
#include "wal/reader.h"

namespace raftd::wal {
namespace {

template <class T>
std::vector<std::byte> block_from(const T& value) {
    std::vector<std::byte> block(kBlockBytes);
    std::memcpy(block.data(), &value, sizeof value);
    return block;
}

}  // namespace

// --- reading
// -------------------------------------------------------------------------------------------------------

Result<LogWalk> LogWalk::open(io::Files& files, const Options& options) {
    LogWalk walk(files, options);
    TRY(found, recover(files, options, walk.recovered_, Mend::no));
    walk.found_ = std::move(found);
    walk.next_ = walk.recovered_.base.index + 1;
    return walk;
}

Result<Slice> LogWalk::next(uint64_t bytes_max) {
    if (next_ > recovered_.last.index) return Slice();
    ReadJob job;
    job.dir = options_.dir;
    job.request = {ReadRequest::By::index, raw(next_), bytes_max, recovered_.last.index};
    for (const Segment& segment : found_.segments) {
        if (segment.logical_end.index <= segment.base.index || segment.logical_end.index < next_) continue;
        job.stretches.push_back(
            {segment.key, segment.base, segment.logical_end.index, segment.end_offset, segment.footer});
    }
    bool in_active = job.stretches.size() == 1;
    if (const Mark* mark = in_active ? mark_for(found_.active_index.marks, job.request) : nullptr)
        job.mark = *mark;
    job.into = Chunk::make(static_cast<uint32_t>(bytes_max));
    job.read(*files_);
    if (job.bytes_needed != 0) {
        job.into = Chunk::make(std::exchange(job.bytes_needed, 0));
        job.code = ReadCode::beyond;
        job.read(*files_);
    }
    if (job.code != ReadCode::ok || job.first != next_)
        return error(job.code == ReadCode::failed ? Errc::io : Errc::damaged,
                     job.what.empty() ? options_.dir + ": entry " + std::to_string(raw(next_)) + " is missing"
                                      : job.what,
                     "this member's log is damaged there; another survivor may have it whole");
    next_ = job.last + 1;
    return job.into.part(0, job.bytes);
}

// --- writing
// -------------------------------------------------------------------------------------------------------

LogMaker::LogMaker(io::Files& files, const Options& options, HardState hard)
    : files_(files), options_(options), hard_{0, hard}, end_(options.base) {}

LogMaker::~LogMaker() {
    if (file_ != io::kNoFile) files_.close(file_);
}

Result<void> LogMaker::put(uint64_t offset, ByteView bytes) {
    io::FileResult done = files_.write(file_, offset, bytes);
    if (done.error == 0 && done.bytes != bytes.size()) done.error = ENOSPC;
    if (done.error != 0) return io_error(path(), "write", done.error);
    return {};
}

Result<void> LogMaker::append(ByteView entries) {
    EntryCursor cursor(entries);
    uint64_t from = 0;  // of the group
    LogPoint at = end_;
    while (const EntryHeader* header = cursor.next()) {
        EntryFault fault = check_follows(at, *header);
        if (fault != EntryFault::none)
            return error(Errc::bad_input, "entry " + std::to_string(raw(at.index) + 1) +
                                              " for the new log: " + text_of(fault));
        at = point_after(*header);
        uint64_t begins = cursor.offset() - encoded_bytes(*header);
        if (begins == from || cursor.offset() - from <= options_.group_bytes_max) continue;
        TRY_VOID(write_group(entries.subspan(from, begins - from)));
        from = begins;
    }
    if (cursor.remaining() != 0) return error(Errc::bad_input, "an entry for the new log isn't whole");
    return from < entries.size() ? write_group(entries.subspan(from)) : Result<void>();
}

bool LogMaker::fits(uint64_t group_bytes) const {
    // A block stays free for the closing marker, as in the running log.
    uint64_t kept = whole_blocks(footer_bytes(index_)) + 2 * kBlockBytes;
    return segment_.end_offset + group_bytes + kept <= segment_.file_bytes;
}

Result<void> LogMaker::write_group(ByteView entries) {
    const uint64_t bytes = whole_blocks(kGroupHeaderBytes + entries.size());
    if (segment_.key.id == 0 || !fits(bytes)) TRY_VOID(begin_segment(bytes));
    GroupHeader header = make_empty_group(segment_, next_hard());
    header.group_bytes = static_cast<uint32_t>(bytes);
    uint64_t offset = header.file_offset + kGroupHeaderBytes;
    EntryCursor cursor(entries);
    while (const EntryHeader* entry = cursor.next()) {
        index_.note(end_, Term{entry->term}, entry->kind == EntryKind::membership, offset,
                    header.file_offset);
        end_ = point_after(*entry);
        offset += encoded_bytes(*entry);
        ++header.entry_count;
    }
    header.chain_after = end_.chain;
    sign(header, segment_.key);
    TRY_VOID(put(header.file_offset, {reinterpret_cast<const std::byte*>(&header), sizeof header}));
    if (!entries.empty()) TRY_VOID(put(header.file_offset + kGroupHeaderBytes, entries));
    segment_.end = segment_.logical_end = end_;
    segment_.end_offset = header.file_offset + bytes;
    segment_.last_group = header.group_number;
    return {};
}

/// The first one, or the next behind one that is full, which is then sealed.
Result<void> LogMaker::begin_segment(uint64_t group_bytes) {
    const Segment before = segment_;
    const bool first = before.key.id == 0;
    if (first) {
        int failed = files_.make_dir(options_.dir).error;
        if (failed != 0 && failed != EEXIST) return io_error(options_.dir, "make", failed);
    } else {
        TRY_VOID(seal_segment());
    }
    segment_ = Segment{};
    segment_.key = {before.key.id + 1, new_salt(options_, before.key.id + 1)};
    segment_.base = segment_.end = segment_.logical_end = end_;
    segment_.file_bytes = whole_blocks(std::max(first ? options_.first_segment_bytes : options_.segment_bytes,
                                                kFirstGroupAt + group_bytes + 8 * kBlockBytes));
    index_ = {};
    int failed = 0;
    file_ = files_.open(path(), io::OpenMode::create_new, failed);
    if (file_ == io::kNoFile) return io_error(path(), "make", failed);
    if (failed = files_.fill_zeros(file_, 0, segment_.file_bytes).error; failed != 0)
        return io_error(path(), "fill", failed);
    return put(
        0, block_from(make_segment_header(options_, segment_.key, segment_.base, first ? nullptr : &before,
                                          next_hard(), segment_.file_bytes)));
}

Result<void> LogMaker::seal_segment() {
    std::vector<std::byte> footer = encode_footer(segment_.key.id, segment_.end, index_);
    FooterPlace place{segment_.end_offset, footer.size(), checksum(footer, segment_.key.salt)};
    TRY_VOID(put(place.offset, footer));
    TRY_VOID(
        put(kSealAt, block_from(make_seal(segment_, place, segment_.key.id + 1, segment_.end.index + 1))));
    return sync_and_close();
}

Result<void> LogMaker::sync_and_close() {
    int failed = files_.sync(file_).error;
    files_.close(std::exchange(file_, io::kNoFile));
    if (failed != 0) return io_error(path(), "sync", failed);
    return {};
}

Result<void> LogMaker::finish() {
    if (segment_.key.id == 0) TRY_VOID(begin_segment(0));
    if (segment_.last_group != 0) TRY_VOID(write_group({}));  // the closing marker
    TRY_VOID(sync_and_close());
    // The directory's own name too, which is in the one above.
    for (const std::string& dir : {options_.dir, options_.dir.substr(0, options_.dir.rfind('/'))})
        if (int failed = files_.sync_dir(dir).error; failed != 0) return io_error(dir, "sync", failed);
    return {};
}

}  // namespace raftd::wal
