#include "snapshot/state_file.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "base/codec.h"

namespace raftd::snapshot {
namespace {

constexpr std::string_view kStatePrefix = "state-";
constexpr uint64_t kReadAtOnceBytes = 256u << 10;
constexpr uint64_t kStateVersionMask = 0xffull << 56;

Error bad(const std::string& path, uint64_t offset, std::string_view why) {
    return error(Errc::damaged, path + " at byte " + std::to_string(offset) + ": " + std::string(why));
}

/// A new file, written in pieces, hashed on the way.
class Output {
public:
    Output(io::Files& files, std::string path) : files_(files), path_(std::move(path)) {
        file_ = files_.open(path_, io::OpenMode::truncate, error_);
        CHECK(sha_ && EVP_DigestInit_ex(sha_.get(), EVP_sha256(), nullptr) == 1);
    }
    ~Output() {
        if (file_ != io::kNoFile) files_.close(file_);
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    void put(ByteView bytes) {
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
        if (pending_.size() >= kReadAtOnceBytes) write();
    }
    Result<StateFileInfo> finish(std::string name) {
        write();
        if (error_ == 0) error_ = files_.sync(file_).error;
        if (error_ != 0) return error(Errc::io, "can't write " + path_ + ": " + std::strerror(error_));
        StateFileInfo info{std::move(name), bytes_, {}};
        CHECK(EVP_DigestFinal_ex(sha_.get(), info.hash.data(), nullptr) == 1);
        return info;
    }

private:
    void write() {
        if (error_ != 0) return;
        CHECK(EVP_DigestUpdate(sha_.get(), pending_.data(), pending_.size()) == 1);
        const io::FileResult done = files_.write(file_, bytes_, pending_);
        error_ = done.error == 0 && done.bytes != pending_.size() ? ENOSPC : done.error;
        bytes_ += pending_.size();
        pending_.clear();
    }

    io::Files& files_;
    std::string path_;
    int error_ = 0;
    io::FileId file_;
    uint64_t bytes_ = 0;
    std::vector<std::byte> pending_;
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> sha_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

template <class T>
ByteView bytes_view(const T& value) {
    return {reinterpret_cast<const std::byte*>(&value), sizeof(T)};
}

}  // namespace

std::string state_file_name(Index at) { return std::string(kStatePrefix) + std::to_string(raw(at)); }

bool is_state_file_name(std::string_view name) {
    return name.starts_with(kStatePrefix) && name.size() > kStatePrefix.size() &&
           name.find_first_not_of("0123456789", kStatePrefix.size()) == std::string_view::npos;
}

Result<StateFileInfo> write_state_file(io::Files& files, const std::string& dir, const LogPoint& at,
                                       const Store& store) {
    const std::string name = state_file_name(at.index);
    Output out(files, dir + "/" + name);
    out.put(bytes_view(StateFileHeader{kStateFileMagic, at, 0}));
    TRY_VOID(store.for_each([&](std::string_view key, std::string_view value) {
        CHECK(key.size() <= kStateKeyBytesMax && value.size() <= kStateValueBytesMax);
        out.put(bytes_view(static_cast<uint32_t>(key.size())));
        out.put(bytes_view(static_cast<uint32_t>(value.size())));
        out.put(as_bytes(key));
        out.put(as_bytes(value));
    }));
    return out.finish(name);
}

Result<StateFile> StateFile::open(io::Files& files, const std::string& dir, const StateFileInfo& info) {
    const std::string path = dir + "/" + info.name;
    std::string content;
    const io::FileResult got = io::read_file(files, path, kStateFileBytesMax, content);
    if (got.error == ENOENT) return error(Errc::not_found, path + " is missing");
    if (got.error != 0) return error(Errc::io, "can't read " + path + ": " + std::strerror(got.error));
    ContentHash hash{};
    CHECK(EVP_Digest(content.data(), content.size(), hash.data(), nullptr, EVP_sha256(), nullptr) == 1);
    if (content.size() != info.bytes || hash != info.hash)
        return bad(path, 0, "not the bytes that the manifest names");
    return parse(std::move(content), path);
}

Result<StateFile> StateFile::parse(std::string content, const std::string& path) {
    StateFile file;
    file.content_ = std::move(content);
    ByteReader reader(as_bytes(file.content_));
    const auto header = reader.get<StateFileHeader>();
    if (!reader.ok()) return bad(path, 0, "too short for a state file");
    if (header.magic_version != kStateFileMagic) {
        if ((header.magic_version & ~kStateVersionMask) != (kStateFileMagic & ~kStateVersionMask))
            return bad(path, 0, "no state file");
        return error(Errc::too_new, path + ": a state file of format " +
                                        std::to_string(header.magic_version >> 56) +
                                        ", this version knows 1");
    }
    if (header.reserved != 0) return bad(path, 48, "bytes that are reserved aren't zero");
    file.at_ = header.at;
    std::optional<std::string_view> key_before;
    while (!reader.done()) {
        const uint64_t offset = file.content_.size() - reader.rest().size();
        const auto key_bytes = reader.get<uint32_t>(), value_bytes = reader.get<uint32_t>();
        if (key_bytes > kStateKeyBytesMax || value_bytes > kStateValueBytesMax)
            return bad(path, offset, "a key or value of impossible length");
        const std::string_view key = as_text(reader.bytes(key_bytes));
        reader.bytes(value_bytes);
        if (!reader.ok()) return bad(path, offset, "a key or value is cut off");
        if (key_before && *key_before >= key) return bad(path, offset, "a key is out of order");
        key_before = key;
    }
    return file;
}

/// The lengths were checked when it was opened.
Result<void> StateFile::for_each(
    const std::function<void(std::string_view key, std::string_view value)>& visit) const {
    ByteReader reader(as_bytes(content_).subspan(sizeof(StateFileHeader)));
    while (!reader.done()) {
        const auto key_bytes = reader.get<uint32_t>(), value_bytes = reader.get<uint32_t>();
        const std::string_view key = as_text(reader.bytes(key_bytes));
        visit(key, as_text(reader.bytes(value_bytes)));
    }
    return {};
}

}  // namespace raftd::snapshot
