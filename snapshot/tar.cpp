#include "snapshot/tar.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace raftd::snapshot {
namespace {

// Fields of a header: place and bytes (POSIX.1-1988, "ustar").
struct Field {
    size_t at, bytes;
};
constexpr Field kNameField{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12},
    kSum{148, 8}, kType{156, 1}, kLink{157, 100}, kMagic{257, 6}, kVersion{263, 2}, kPrefix{345, 155};
// What GNU tar writes where no extension is used: "ustar  " over magic and version.
constexpr std::string_view kPosixMagic("ustar\00000", 8), kGnuMagic("ustar  \0", 8);
/// Zeros behind the end that a tool may add, to fill its last record.
constexpr uint64_t kRecordBytesMax = 1u << 20;
constexpr uint64_t kFilesMax = 200'000;

std::string_view text_in(const TarHeader& header, Field field) {
    const std::string_view all = as_text(ByteView(header).subspan(field.at, field.bytes));
    return all.substr(0, std::min(all.find('\0'), all.size()));
}

void put(TarHeader& header, Field field, std::string_view text) {
    CHECK_LE(text.size(), field.bytes);
    std::memcpy(header.data() + field.at, text.data(), text.size());
}

/// Octal digits that fill the field but for its last byte.
void put_number(TarHeader& header, Field field, uint64_t value) {
    std::string digits(field.bytes - 1, '0');
    for (size_t i = digits.size(); i > 0; value >>= 3) digits[--i] = static_cast<char>('0' + (value & 7));
    CHECK_EQ(value, 0u);
    put(header, field, digits);
}

/// Digits, then nothing but spaces and zeros. Other ways to write a number are refused.
std::optional<uint64_t> number_in(const TarHeader& header, Field field) {
    const std::string_view all = as_text(ByteView(header).subspan(field.at, field.bytes));
    const size_t begin = std::min(all.find_first_not_of(' '), all.size());
    const size_t digits = std::min(all.find_first_not_of("01234567", begin), all.size()) - begin;
    if (digits == 0 || digits > 20) return std::nullopt;
    if (all.substr(begin + digits).find_first_not_of(std::string_view(" \0", 2)) != std::string_view::npos)
        return std::nullopt;
    uint64_t value = 0;
    for (char digit : all.substr(begin, digits)) value = value << 3 | static_cast<uint64_t>(digit - '0');
    return value;
}

/// Sum of all bytes, those of the sum's own field counting as spaces.
uint64_t sum_of(const TarHeader& header) {
    uint64_t sum = 0;
    for (size_t i = 0; i < header.size(); ++i)
        sum += i >= kSum.at && i < kSum.at + kSum.bytes ? uint64_t{' '} : static_cast<uint64_t>(header[i]);
    return sum;
}

bool is_zero(ByteView bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

bool has_magic(const TarHeader& header) {
    const std::string_view magic =
        as_text(ByteView(header).subspan(kMagic.at, kMagic.bytes + kVersion.bytes));
    return magic == kPosixMagic || magic == kGnuMagic;
}

}  // namespace

TarHeader tar_header(std::string_view name, uint64_t bytes, uint64_t mtime_s) {
    CHECK(!name.empty() && name.find('/') == std::string_view::npos && bytes <= kTarFileBytesMax);
    TarHeader header{};
    put(header, kNameField, name);
    put_number(header, kMode, 0600);
    put_number(header, kUid, 0);
    put_number(header, kGid, 0);
    put_number(header, kSize, bytes);
    put_number(header, kTime, std::min(mtime_s, kTarFileBytesMax));
    put(header, kType, "0");
    put(header, {kMagic.at, kMagic.bytes + kVersion.bytes}, kPosixMagic);
    put_number(header, {kSum.at, kSum.bytes - 1}, sum_of(header));  // six digits, a zero, a space
    put(header, {kSum.at + kSum.bytes - 1, 1}, " ");
    return header;
}

Result<void> TarWriter::put(ByteView bytes) {
    if (bytes.empty()) return {};
    TRY_VOID(sink_(bytes));
    bytes_ += bytes.size();
    return {};
}

Result<void> TarWriter::begin(std::string_view name, uint64_t bytes) {
    CHECK_EQ(left_, 0u);
    left_ = bytes;
    padding_ = tar_padding(bytes);
    return put(tar_header(name, bytes, mtime_s_));
}

Result<void> TarWriter::add(ByteView bytes) {
    CHECK_LE(bytes.size(), left_);
    TRY_VOID(put(bytes));
    left_ -= bytes.size();
    if (left_ != 0 || padding_ == 0) return {};
    constexpr std::array<std::byte, kTarBlockBytes> kZeros{};
    return put(ByteView(kZeros).first(std::exchange(padding_, 0)));
}

Result<void> TarWriter::finish() {
    CHECK_EQ(left_, 0u);
    constexpr std::array<std::byte, kTarEndBytes> kZeros{};
    return put(kZeros);
}

Error TarFiles::bad(uint64_t at, std::string_view why) const {
    return error(Errc::damaged, path_ + " at byte " + std::to_string(at) + ": " + std::string(why));
}

io::FileResult TarFiles::refused() { return {EROFS, 0}; }

Result<std::unique_ptr<TarFiles>> TarFiles::open(io::Files& files, const std::string& path,
                                                 const SizeMax& size_max) {
    int failed = 0;
    const io::FileId file = files.open(path, io::OpenMode::read, failed);
    if (file == io::kNoFile)
        return error(failed == ENOENT ? Errc::not_found : Errc::io,
                     "can't open " + path + ": " + std::strerror(failed));
    std::unique_ptr<TarFiles> tar(new TarFiles(files, path, file));
    TRY_VOID(tar->read_headers(size_max));
    return tar;
}

TarFiles::~TarFiles() { files_.close(file_); }

Result<void> TarFiles::read_headers(const SizeMax& size_max) {
    const io::FileResult size = files_.size(file_);
    if (size.error != 0) return error(Errc::io, path_ + ": " + std::strerror(size.error));
    bytes_ = size.bytes;
    for (uint64_t at = 0;;) {
        TarHeader header{};
        const io::FileResult got = files_.read(file_, at, header);
        if (got.error != 0)
            return error(Errc::io,
                         path_ + " at byte " + std::to_string(at) + ": " + std::strerror(got.error));
        const bool whole = got.bytes == header.size();
        if (whole && at != 0 && is_zero(header)) return check_end(at);
        if (at == 0 && (!whole || !has_magic(header)))
            return error(Errc::bad_input, path_ + " is no save: it doesn't begin as a tar does",
                         "raftctl snapshot save FILE makes one");
        if (!whole) return bad(at, "the tar is cut off");
        if (entries_.size() >= kFilesMax) return bad(at, "too many files");
        TRY(next, take(at, header, size_max));
        at = next;
    }
}

/// Where the next header is.
Result<uint64_t> TarFiles::take(uint64_t at, const TarHeader& header, const SizeMax& size_max) {
    if (!has_magic(header)) return bad(at, "no header of a tar");
    if (number_in(header, kSum) != sum_of(header)) return bad(at, "the header doesn't have its checksum");
    const char type = static_cast<char>(header[kType.at]);
    if (type != '0' && type != '\0')
        return bad(at, std::string("an entry that is no plain file (type ") +
                           (type > ' ' && type <= '~' ? std::string(1, type) : "?") + ")");
    if (!text_in(header, kLink).empty() || !text_in(header, kPrefix).empty())
        return bad(at, "a file with a link's target or a folder before its name");
    const std::string name(text_in(header, kNameField));
    const uint64_t most = size_max(name);
    if (most == 0) return bad(at, "a name that no save has");
    const std::optional<uint64_t> bytes = number_in(header, kSize);
    const uint64_t begins = at + kTarBlockBytes;
    if (!bytes || *bytes > most) return bad(at, name + " is larger than such a file can be");
    if (begins > bytes_ || *bytes > bytes_ - begins) return bad(at, name + " is cut off");
    if (!entries_.emplace(name, Entry{begins, *bytes}).second) return bad(at, name + " is there twice");
    return begins + *bytes + tar_padding(*bytes);
}

Result<void> TarFiles::check_end(uint64_t at) {
    if (bytes_ < at + kTarEndBytes) return bad(at, "the tar is cut off");
    if (bytes_ - at > kTarEndBytes + kRecordBytesMax) return bad(at, "something follows the end");
    std::vector<std::byte> rest(bytes_ - at);
    const io::FileResult got = files_.read(file_, at, rest);
    if (got.error != 0 || got.bytes != rest.size()) return bad(at, "the end can't be read");
    if (!is_zero(rest)) return bad(at, "something follows the end");
    return {};
}

std::map<std::string, uint64_t> TarFiles::sizes() const {
    std::map<std::string, uint64_t> sizes;
    for (const auto& [name, entry] : entries_) sizes.emplace(name, entry.bytes);
    return sizes;
}

io::FileId TarFiles::open(std::string_view path, io::OpenMode mode, int& error) {
    const bool inside =
        path.size() > path_.size() + 1 && path.starts_with(path_) && path[path_.size()] == '/';
    const auto found = inside ? entries_.find(path.substr(path_.size() + 1)) : entries_.end();
    error = mode != io::OpenMode::read ? EROFS : found == entries_.end() ? ENOENT : 0;
    if (error != 0) return io::kNoFile;
    const io::FileId file{++last_id_};
    open_.emplace(file, found->second);
    return file;
}

io::FileResult TarFiles::read(io::FileId file, uint64_t offset, MutableBytes into) {
    const Entry& entry = open_.at(file);
    if (offset >= entry.bytes) return {};
    const uint64_t wanted = std::min<uint64_t>(into.size(), entry.bytes - offset);
    return files_.read(file_, entry.offset + offset, into.first(wanted));
}

io::FileResult TarFiles::size(io::FileId file) { return {0, open_.at(file).bytes}; }

std::vector<std::string> TarFiles::list(std::string_view dir, int& error) {
    error = dir == path_ ? 0 : ENOENT;
    std::vector<std::string> names;
    if (error == 0)
        for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
}

}  // namespace raftd::snapshot
