#include "wal/refoot.h"

#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "wal/groups.h"
#include "wal/make.h"

namespace raftd::wal {
namespace {

constexpr uint64_t kReadAheadBytes = 1u << 20;

Result<void> put(io::Files& files, io::FileId file, const std::string& path, uint64_t offset,
                 ByteView bytes) {
    io::FileResult done = files.write(file, offset, bytes);
    if (done.error == 0 && done.bytes != bytes.size()) done.error = ENOSPC;
    if (done.error == 0) done = files.sync(file);
    if (done.error != 0) return io_error(path, "write", done.error);
    return {};
}

}  // namespace

Result<void> rebuild_footer(io::Files& files, const std::string& path) {
    OpenFile file(files, path, io::OpenMode::read_write);
    if (!file) return io_error(path, "open", file.error());
    FileWindow window(files, file.id(), kReadAheadBytes);
    const std::optional<uint64_t> id = segment_id_of(path.substr(path.rfind('/') + 1));
    SegmentHeader header{};
    if (!id || form_of_header(window.at(0, kBlockBytes), *id, header) != Form::good)
        return damaged_at(path, 0, "the segment's header is damaged");
    const SegmentKey key{*id, header.salt};
    Seal seal{};
    if (form_of_seal(window.at(kSealAt, kBlockBytes), key, seal) != Form::good)
        return damaged_at(path, kSealAt, "the segment isn't sealed");
    std::vector<std::string> notes;
    TRY(groups, find_groups(window, path, header, {.end = seal.end_offset}, notes));
    if (groups.end.offset != seal.end_offset || raw(groups.end.log.index) != seal.last_index)
        return damaged_at(path, groups.end.offset, "the groups don't end where the seal says");
    const std::vector<std::byte> footer = encode_footer(key.id, groups.end.log, groups.index);
    TRY_VOID(put(files, file.id(), path, seal.end_offset, footer));
    seal.footer_offset = seal.end_offset;
    seal.footer_bytes = footer.size();
    seal.footer_checksum = checksum(footer, key.salt);
    sign(seal, key);
    std::vector<std::byte> block(kBlockBytes);
    std::memcpy(block.data(), &seal, sizeof seal);
    return put(files, file.id(), path, kSealAt, block);
}

}  // namespace raftd::wal
