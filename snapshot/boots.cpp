#include "snapshot/boots.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "base/codec.h"

namespace raftd::snapshot {
namespace {

constexpr uint32_t kBootsMagic = 0x544f4f42;  // "BOOT"
constexpr uint32_t kBootsFormat =
    3;  // 1: without the starts before the present one; 2: one copy, made anew each time
constexpr uint64_t kBootsBlockBytes = 4096;
constexpr uint64_t kCopyBytesMin = 16u << 10;
constexpr uint64_t kBootsBytesMax = 16u << 20;

Error bad_boots(const std::string& why) { return error(Errc::damaged, "boots: " + why); }
Error boots_error(std::string_view doing, const std::string& path, int number) {
    return error(Errc::io, std::string(doing) + " " + path + ": " + std::strerror(number));
}

void put_content(ByteWriter& writer, const Boots& boots) {
    writer.put(boots.mine.number);
    writer.put(boots.mine.nonce);
    writer.put(uint64_t{boots.peers.size()});
    for (const auto& [id, boot] : boots.peers) {
        writer.put(raw(id));
        writer.put(boot.number);
        writer.put(boot.nonce);
    }
    writer.put(uint64_t{boots.before.size()});
    for (uint64_t nonce : boots.before) writer.put(nonce);
}

Boots content_in(ByteReader& reader, bool with_starts) {
    Boots boots;
    boots.mine.number = reader.get<uint64_t>();
    boots.mine.nonce = reader.get<uint64_t>();
    const auto count = reader.get<uint64_t>();
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
        NodeId id{reader.get<uint64_t>()};
        Boot& boot = boots.peers[id];
        boot.number = reader.get<uint64_t>();
        boot.nonce = reader.get<uint64_t>();
    }
    const uint64_t starts = with_starts ? reader.get<uint64_t>() : 0;
    for (uint64_t i = 0; i < starts && reader.ok(); ++i) boots.before.push_back(reader.get<uint64_t>());
    return boots;
}

/// `u32 magic, u32 format, u64 bytes of all this, u64 version`, content, `u64 checksum` of all before.
std::vector<std::byte> encode_copy(const Boots& boots, uint64_t version) {
    ByteWriter content;
    put_content(content, boots);
    ByteWriter writer;
    writer.put(kBootsMagic);
    writer.put(kBootsFormat);
    writer.put(uint64_t{4 + 4 + 8 + 8 + content.view().size() + 8});
    writer.put(version);
    writer.put_bytes(content.view());
    writer.put(checksum(writer.view()));
    return writer.take();
}

bool has_copies(ByteView bytes) {
    return bytes.size() >= 2 * kCopyBytesMin && bytes.size() % (2 * kBootsBlockBytes) == 0;
}

/// Nothing: the copy isn't whole. `too_new` is set when it is, and of a later format.
std::optional<BootsFile> parse_copy(ByteView half, bool& too_new) {
    ByteReader head(half);
    const auto magic = head.get<uint32_t>();
    const auto format = head.get<uint32_t>();
    const auto bytes = head.get<uint64_t>();
    if (magic != kBootsMagic || bytes > half.size() || bytes < 32) return std::nullopt;
    uint64_t sum = 0;
    std::memcpy(&sum, half.data() + bytes - sizeof sum, sizeof sum);
    if (sum != checksum(half.first(bytes - sizeof sum))) return std::nullopt;
    if (format > kBootsFormat) too_new = true;
    if (format != kBootsFormat) return std::nullopt;
    ByteReader reader(half.subspan(16, bytes - 16 - sizeof sum));
    BootsFile found;
    found.version = reader.get<uint64_t>();
    found.boots = content_in(reader, true);
    if (!reader.done()) return std::nullopt;
    return found;
}

Result<BootsFile> parse_single(ByteView bytes) {
    ByteReader reader(bytes);
    if (reader.get<uint32_t>() != kBootsMagic) return bad_boots("not a file of boot numbers");
    const auto format = reader.get<uint32_t>();
    if (format > kBootsFormat)
        return error(Errc::too_new, "boots has format " + std::to_string(format) + ", this version knows " +
                                        std::to_string(kBootsFormat));
    BootsFile found;
    found.boots = content_in(reader, format > 1);
    const auto sum = reader.get<uint64_t>();
    if (format == kBootsFormat || !reader.done() || sum != checksum(bytes.first(bytes.size() - sizeof sum)))
        return bad_boots("its checksum doesn't match its content");
    return found;
}

Result<void> put_copy(io::Files& files, io::FileId file, const std::string& path, uint64_t offset,
                      ByteView copy) {
    io::FileResult done = files.write(file, offset, copy);
    if (done.error == 0 && done.bytes != copy.size()) done.error = ENOSPC;
    if (done.error == 0) done = files.sync(file);
    if (done.error != 0) return boots_error("can't write", path, done.error);
    return {};
}

}  // namespace

Result<BootsFile> parse_boots(ByteView bytes) {
    if (!has_copies(bytes)) return parse_single(bytes);
    const uint64_t half = bytes.size() / 2;
    std::optional<BootsFile> newest;
    bool too_new = false;
    for (size_t i = 0; i < 2; ++i) {
        std::optional<BootsFile> copy = parse_copy(bytes.subspan(i * half, half), too_new);
        if (!copy) continue;
        copy->newest = i;
        copy->copies = 1 + (newest && newest->version == copy->version);
        if (!newest || newest->version <= copy->version) newest = std::move(copy);
    }
    if (too_new) return error(Errc::too_new, "boots was written by a newer version");
    if (!newest) return bad_boots("neither of its copies has its checksum");
    return std::move(*newest);
}

std::vector<std::byte> encode_boots(const Boots& boots, uint64_t version) {
    const std::vector<std::byte> copy = encode_copy(boots, version);
    // Twice what is needed now: peers and starts come, and a full disk has no room for a larger file.
    const uint64_t half = std::max(
        kCopyBytesMin, (2 * copy.size() + kBootsBlockBytes - 1) / kBootsBlockBytes * kBootsBlockBytes);
    std::vector<std::byte> bytes(2 * half);
    for (uint64_t i = 0; i < 2; ++i)
        std::copy(copy.begin(), copy.end(), bytes.begin() + static_cast<std::ptrdiff_t>(i * half));
    return bytes;
}

/// In place: first over the copy that isn't the newest, so that one of them is whole at any time.
Result<void> write_boots(io::Files& files, std::string_view dir, const Boots& boots) {
    const std::string path = std::string(dir) + "/boots";
    std::string content;
    const io::FileResult got = io::read_file(files, path, kBootsBytesMax, content);
    if (got.error != 0 && got.error != ENOENT) return boots_error("can't read", path, got.error);
    const ByteView bytes = as_bytes(content);
    auto found = got.error == 0 ? parse_boots(bytes) : Result<BootsFile>(bad_boots("is missing"));
    const uint64_t version = found ? found->version + 1 : 1;
    const std::vector<std::byte> copy = encode_copy(boots, version);
    if (!found || !has_copies(bytes) || copy.size() > bytes.size() / 2) {
        const io::FileResult done =
            io::write_file_atomically(files, dir, "boots", encode_boots(boots, version));
        if (done.error != 0) return boots_error("can't write", path, done.error);
        return {};
    }
    int failed = 0;
    const io::FileId file = files.open(path, io::OpenMode::read_write, failed);
    if (file == io::kNoFile) return boots_error("can't open", path, failed);
    const uint64_t half = bytes.size() / 2, older = found->newest == 0 ? half : 0;
    Result<void> done = put_copy(files, file, path, older, copy);
    if (done) done = put_copy(files, file, path, half - older, copy);
    files.close(file);
    return done;
}

}  // namespace raftd::snapshot
