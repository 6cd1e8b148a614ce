#include "snapshot/archive.h"

#include <openssl/evp.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/checksum.h"
#include "base/codec.h"

namespace raftd::snapshot {
namespace {

template <class T>
ByteView view_of(const T& value) {
    return {reinterpret_cast<const std::byte*>(&value), sizeof(T)};
}

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr size_t kNameHashDigits = 32;

}  // namespace

std::string to_hex(const ContentHash& hash) {
    std::string text;
    for (uint8_t byte : hash) {
        text += kHexDigits[byte >> 4];
        text += kHexDigits[byte & 15];
    }
    return text;
}

std::string ArchiveInfo::name() const {
    return std::to_string(raw(first())) + "-" + std::to_string(raw(last())) + "-" +
           to_hex(hash).substr(0, kNameHashDigits) + ".zst";
}

bool is_archive_name(std::string_view name) {
    constexpr std::string_view kEnding = ".zst", kDigits = "0123456789";
    if (!name.ends_with(kEnding)) return false;
    name.remove_suffix(kEnding.size());
    for (int number = 0; number < 2; ++number) {
        const size_t digits = std::min(name.find_first_not_of(kDigits), name.size());
        if (digits == 0 || digits == name.size() || name[digits] != '-') return false;
        name.remove_prefix(digits + 1);
    }
    return name.size() == kNameHashDigits && name.find_first_not_of(kHexDigits) == std::string_view::npos;
}

/// The unfinished file, open for one call.
class ArchiveWriter::Target {
public:
    Target(io::Files& files, std::string path, bool begun) : files_(files), path_(std::move(path)) {
        file_ = files_.open(path_, begun ? io::OpenMode::read_write : io::OpenMode::truncate, error_);
    }
    ~Target() {
        if (file_ != io::kNoFile) files_.close(file_);
    }
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    Result<void> opened() const {
        if (file_ != io::kNoFile) return {};
        return fault("can't open", error_);
    }
    Result<void> write(uint64_t offset, ByteView bytes) {
        io::FileResult done = files_.write(file_, offset, bytes);
        if (done.error == 0 && done.bytes != bytes.size()) done.error = ENOSPC;
        if (done.error != 0) return fault("can't write", done.error);
        return {};
    }
    Result<void> sync() {
        if (io::FileResult done = files_.sync(file_); done.error != 0) return fault("can't sync", done.error);
        return {};
    }
    Result<void> rename(const std::string& to) {
        io::FileResult done = files_.rename(path_, to);
        if (done.error != 0) return fault("can't rename", done.error);
        return {};
    }

private:
    Error fault(std::string_view doing, int number) const {
        return error(Errc::io, std::string(doing) + " " + path_ + ": " + std::strerror(number));
    }

    io::Files& files_;
    std::string path_;
    int error_ = 0;
    io::FileId file_;
};

struct ArchiveWriter::Tools {
    std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> zstd{ZSTD_createCCtx(), ZSTD_freeCCtx};
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> sha{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    std::vector<std::byte> packed;

    Tools() {
        CHECK(zstd && sha);
        CHECK(EVP_DigestInit_ex(sha.get(), EVP_sha256(), nullptr) == 1);
    }
};

ArchiveWriter::ArchiveWriter(std::string dir, const LogPoint& before, int level)
    : dir_(std::move(dir)), before_(before), end_(before), level_(level), tools_(std::make_unique<Tools>()) {}
ArchiveWriter::~ArchiveWriter() = default;
ArchiveWriter::ArchiveWriter(ArchiveWriter&&) noexcept = default;
ArchiveWriter& ArchiveWriter::operator=(ArchiveWriter&&) noexcept = default;

Result<void> ArchiveWriter::add(io::Files& files, ByteView entries) {
    Target file(files, dir_ + "/" + kPartialName, begun_);
    TRY_VOID(file.opened());
    begun_ = true;
    EntryCursor cursor(entries);
    while (const EntryHeader* header = cursor.next()) {
        EntryFault wrong = check_follows(end_, *header);
        if (wrong == EntryFault::none) wrong = check_form(*header);
        if (wrong == EntryFault::none) wrong = check_body(*header, cursor.body());
        if (wrong != EntryFault::none)
            return error(Errc::damaged, "entry " + std::to_string(header->index) +
                                            " can't be archived: " + std::string(text_of(wrong)));
        if (frame_.empty()) frame_before_ = end_;
        frame_.insert(frame_.end(), cursor.entry().begin(), cursor.entry().end());
        end_ = point_after(*header);
        if (frame_.size() >= kFrameContentBytes) TRY_VOID(write_frame(file));
    }
    if (cursor.remaining() != 0) return error(Errc::damaged, "the last entry to be archived isn't whole");
    return {};
}

Result<void> ArchiveWriter::write_frame(Target& file) {
    CHECK_LE(frame_.size(), kFrameContentBytesMax);
    CHECK(EVP_DigestUpdate(tools_->sha.get(), frame_.data(), frame_.size()) == 1);
    std::vector<std::byte>& packed = tools_->packed;
    packed.resize(ZSTD_compressBound(frame_.size()));
    const size_t bytes = ZSTD_compressCCtx(tools_->zstd.get(), packed.data(), packed.size(), frame_.data(),
                                           frame_.size(), level_);
    CHECK(!ZSTD_isError(bytes));
    const ByteView out(packed.data(), bytes);
    TRY_VOID(file.write(file_bytes_, out));
    records_.push_back({frame_before_, file_bytes_, static_cast<uint32_t>(bytes),
                        static_cast<uint32_t>(frame_.size()), checksum(out)});
    file_bytes_ += bytes;
    content_bytes_ += frame_.size();
    frame_.clear();
    return {};
}

Result<void> ArchiveWriter::write_index(Target& file, const ContentHash& hash) {
    const auto index_bytes =
        sizeof(ArchiveHeader) + records_.size() * sizeof(FrameRecord) + sizeof(ArchiveFooter);
    ByteWriter index;
    index.put(ArchiveHeader{kArchiveMagic, before_, end_, content_bytes_, file_bytes_, hash,
                            static_cast<uint32_t>(records_.size()), 0});
    for (const FrameRecord& record : records_) index.put(record);
    index.put(kArchiveMagic);
    index.put(uint64_t{index_bytes});
    index.put(checksum(index.view()));
    ByteWriter whole;
    whole.put(kSkippableMagic);
    whole.put(static_cast<uint32_t>(index_bytes));
    whole.put_bytes(index.view());
    TRY_VOID(file.write(file_bytes_, whole.view()));
    file_bytes_ += whole.view().size();
    return {};
}

Result<ArchiveInfo> ArchiveWriter::finish(io::Files& files) {
    CHECK(begun_ && end_.index > before_.index);
    Target file(files, dir_ + "/" + kPartialName, true);
    TRY_VOID(file.opened());
    if (!frame_.empty()) TRY_VOID(write_frame(file));
    ArchiveInfo info{before_, end_, content_bytes_, 0, {}};
    CHECK(EVP_DigestFinal_ex(tools_->sha.get(), info.hash.data(), nullptr) == 1);
    TRY_VOID(write_index(file, info.hash));
    info.file_bytes = file_bytes_;
    TRY_VOID(file.sync());
    TRY_VOID(file.rename(dir_ + "/" + info.name()));
    return info;
}

}  // namespace raftd::snapshot
