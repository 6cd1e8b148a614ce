#include "snapshot/archive_reader.h"

#include <openssl/evp.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/checksum.h"
#include "base/codec.h"

namespace raftd::snapshot {
namespace {

constexpr uint64_t kIndexBytesMin = sizeof(ArchiveHeader) + sizeof(FrameRecord) + sizeof(ArchiveFooter);
constexpr uint64_t kIndexBytesMax =
    sizeof(ArchiveHeader) + kArchiveEntriesMax * sizeof(FrameRecord) + sizeof(ArchiveFooter);
constexpr uint64_t kVersionMask = 0xffull << 56;

/// `later` can be the log some entries behind `earlier`.
bool rises(const LogPoint& earlier, const LogPoint& later) {
    return later.index > earlier.index && later.term >= earlier.term && later.lsn_next >= earlier.lsn_next &&
           later.timestamp_ms >= earlier.timestamp_ms;
}

}  // namespace

Error ArchiveReader::bad(uint64_t offset, std::string_view why) const {
    return error(Errc::damaged, path_ + " at byte " + std::to_string(offset) + ": " + std::string(why));
}

Result<ArchiveReader> ArchiveReader::open(io::Files& files, const std::string& path) {
    int fault = 0;
    const io::FileId file = files.open(path, io::OpenMode::read, fault);
    if (file == io::kNoFile)
        return error(fault == ENOENT ? Errc::not_found : Errc::io,
                     "can't open " + path + ": " + std::strerror(fault));
    ArchiveReader reader(files, path, file);
    TRY_VOID(reader.read_index());
    return reader;
}

ArchiveReader::~ArchiveReader() {
    if (file_ != io::kNoFile) files_->close(file_);
}

ArchiveReader::ArchiveReader(ArchiveReader&& other) noexcept
    : files_(other.files_),
      path_(std::move(other.path_)),
      file_(std::exchange(other.file_, io::kNoFile)),
      info_(other.info_),
      frames_(std::move(other.frames_)),
      packed_(std::move(other.packed_)),
      content_(std::move(other.content_)) {}

Result<void> ArchiveReader::read_at(uint64_t offset, MutableBytes into, std::string_view what) {
    const io::FileResult got = files_->read(file_, offset, into);
    if (got.error != 0)
        return error(Errc::io, path_ + " at byte " + std::to_string(offset) +
                                   ": can't be read: " + std::strerror(got.error));
    if (got.bytes != into.size()) return bad(offset + got.bytes, std::string(what) + " is cut off");
    return {};
}

Result<void> ArchiveReader::read_index() {
    const io::FileResult size = files_->size(file_);
    if (size.error != 0) return error(Errc::io, path_ + ": " + std::strerror(size.error));
    info_.file_bytes = size.bytes;
    if (size.bytes < kSkippableHeaderBytes + kIndexBytesMin)
        return bad(size.bytes, "too short for an archive");

    ArchiveFooter footer{};
    const uint64_t footer_at = size.bytes - sizeof footer;
    TRY_VOID(read_at(footer_at, {reinterpret_cast<std::byte*>(&footer), sizeof footer}, "the footer"));
    if (footer.magic_version != kArchiveMagic) {
        if ((footer.magic_version & ~kVersionMask) != (kArchiveMagic & ~kVersionMask))
            return bad(footer_at, "no archive's footer");
        return error(Errc::too_new, path_ + ": an archive of format " +
                                        std::to_string(footer.magic_version >> 56) +
                                        ", this version knows 1");
    }
    if (footer.index_bytes < kIndexBytesMin || footer.index_bytes > kIndexBytesMax ||
        footer.index_bytes > size.bytes - kSkippableHeaderBytes)
        return bad(footer_at + 8, "the footer gives the index an impossible length");

    std::vector<std::byte> bytes(kSkippableHeaderBytes + footer.index_bytes);
    const uint64_t at = size.bytes - bytes.size();
    TRY_VOID(read_at(at, bytes, "the index"));
    const ByteView index = ByteView(bytes).subspan(kSkippableHeaderBytes);
    if (checksum(index.first(index.size() - sizeof(footer.checksum))) != footer.checksum)
        return bad(at, "the index doesn't have its checksum");
    ByteReader reader(bytes);
    if (reader.get<uint32_t>() != kSkippableMagic || reader.get<uint32_t>() != footer.index_bytes)
        return bad(at, "the index isn't a skippable frame of its length");
    const auto header = reader.get<ArchiveHeader>();
    if (header.magic_version != kArchiveMagic || header.reserved != 0 || header.frames_bytes != at)
        return bad(at + kSkippableHeaderBytes, "the index's header can't be");
    if (footer.index_bytes !=
        sizeof(ArchiveHeader) + uint64_t{header.frame_count} * sizeof(FrameRecord) + sizeof(ArchiveFooter))
        return bad(at + kSkippableHeaderBytes, "the index's length isn't that of its frames");
    for (uint32_t i = 0; i < header.frame_count; ++i) frames_.push_back(reader.get<FrameRecord>());
    return check_frames(header);
}

Result<void> ArchiveReader::check_frames(const ArchiveHeader& header) {
    const uint64_t at = header.frames_bytes + kSkippableHeaderBytes;
    if (header.content_bytes > kArchiveContentBytesMax || !rises(header.before, header.end) ||
        header.end.index - header.before.index > kArchiveEntriesMax)
        return bad(at, "the index says more than an archive may hold");
    uint64_t offset = 0, content = 0;
    for (size_t i = 0; i < frames_.size(); ++i) {
        const FrameRecord& frame = frames_[i];
        const LogPoint& after = i + 1 < frames_.size() ? frames_[i + 1].before : header.end;
        const bool fits = frame.offset == offset && frame.content_bytes >= kEntryHeaderBytes &&
                          frame.content_bytes <= kFrameContentBytesMax &&
                          frame.packed_bytes <= ZSTD_compressBound(frame.content_bytes) &&
                          (i != 0 || frame.before == header.before) && rises(frame.before, after);
        if (!fits)
            return bad(at + sizeof(ArchiveHeader) + i * sizeof(FrameRecord), "the frame's record can't be");
        offset += frame.packed_bytes;
        content += frame.content_bytes;
    }
    if (offset != header.frames_bytes || content != header.content_bytes)
        return bad(at, "the frames' lengths don't add up");
    info_.before = header.before;
    info_.end = header.end;
    info_.content_bytes = header.content_bytes;
    info_.hash = header.hash;
    return {};
}

Result<ByteView> ArchiveReader::content(size_t number) {
    const FrameRecord& frame = frames_.at(number);
    packed_.resize(frame.packed_bytes);
    TRY_VOID(read_at(frame.offset, packed_, "a frame"));
    if (checksum(packed_) != frame.checksum) return bad(frame.offset, "the frame doesn't have its checksum");
    content_.resize(frame.content_bytes);
    const size_t bytes = ZSTD_decompress(content_.data(), content_.size(), packed_.data(), packed_.size());
    if (ZSTD_isError(bytes)) return bad(frame.offset, ZSTD_getErrorName(bytes));
    if (bytes != content_.size()) return bad(frame.offset, "the frame holds less than the index says");
    TRY_VOID(check_entries(number, content_));
    return ByteView(content_);
}

Result<void> ArchiveReader::check_entries(size_t number, ByteView content) const {
    const FrameRecord& frame = frames_[number];
    LogPoint point = frame.before;
    EntryCursor cursor(content);
    while (const EntryHeader* header = cursor.next()) {
        EntryFault wrong = check_follows(point, *header);
        if (wrong == EntryFault::none) wrong = check_form(*header);
        if (wrong == EntryFault::none) wrong = check_body(*header, cursor.body());
        if (wrong != EntryFault::none)
            return bad(frame.offset, "entry " + std::to_string(raw(point.index) + 1) +
                                         " of the frame is damaged: " + text_of(wrong));
        point = point_after(*header);
    }
    if (cursor.remaining() != 0 || point != end_of(number))
        return bad(frame.offset, "the frame's entries don't end where the next frame begins");
    return {};
}

/// Whether what is sought lies behind this point for sure.
bool ArchiveReader::too_early(const LogPoint& end, const ArchiveSeek& seek) const {
    switch (seek.by) {
        case ArchiveSeek::By::index: return raw(end.index) < seek.value;
        case ArchiveSeek::By::lsn: return raw(end.lsn_next) <= seek.value;
        case ArchiveSeek::By::time_ms: return end.timestamp_ms < seek.value;
    }
    return false;
}

Result<ArchiveRun> ArchiveReader::read(const ArchiveSeek& seek, MutableBytes into) {
    ArchiveRun run;
    size_t frame = 0;
    while (frame < frames_.size() && too_early(end_of(frame), seek)) ++frame;
    for (; frame < frames_.size(); ++frame) {
        LogPoint point = frames_[frame].before;
        TRY(bytes, content(frame));
        EntryCursor cursor(bytes);
        while (const EntryHeader* header = cursor.next()) {
            const LogPoint before = std::exchange(point, point_after(*header));
            if (Index{header->index} > seek.upto) return run;
            const ByteView entry = cursor.entry();
            if (run.bytes == 0) {
                if (too_early(point, seek) || (seek.by == ArchiveSeek::By::lsn && header->record_count == 0))
                    continue;
                run.before = before;
                run.first = Index{header->index};
                if (entry.size() > into.size()) {
                    run.bytes_needed = static_cast<uint32_t>(entry.size());
                    return run;
                }
            } else if (run.bytes + entry.size() > std::min<uint64_t>(seek.bytes_max, into.size())) {
                return run;
            }
            std::memcpy(into.data() + run.bytes, entry.data(), entry.size());
            run.bytes += static_cast<uint32_t>(entry.size());
            run.last = Index{header->index};
            run.after = point;
            if (seek.upto_lsn != 0 && raw(point.lsn_next) > seek.upto_lsn) return run;
        }
        if (run.bytes >= std::min<uint64_t>(seek.bytes_max, into.size())) break;
    }
    return run;
}

Result<void> ArchiveReader::verify() {
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> sha(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    CHECK(sha && EVP_DigestInit_ex(sha.get(), EVP_sha256(), nullptr) == 1);
    for (size_t i = 0; i < frames_.size(); ++i) {
        TRY(bytes, content(i));
        CHECK(EVP_DigestUpdate(sha.get(), bytes.data(), bytes.size()) == 1);
    }
    ContentHash hash{};
    CHECK(EVP_DigestFinal_ex(sha.get(), hash.data(), nullptr) == 1);
    if (hash == info_.hash) return {};
    return bad(0, "its content has SHA-256 " + to_hex(hash) + ", the index says " + to_hex(info_.hash));
}

Result<ArchiveInfo> verify_archive(io::Files& files, const std::string& dir, const std::string& name) {
    const std::string path = dir + "/" + name;
    TRY(reader, ArchiveReader::open(files, path));
    if (reader.info().name() != name)
        return error(Errc::damaged, path + " at byte 0: it holds " + reader.info().name());
    TRY_VOID(reader.verify());
    return reader.info();
}

}  // namespace raftd::snapshot
