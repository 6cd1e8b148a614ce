#include "wal/make.h"

#include <cerrno>
#include <cstring>

#include "base/random.h"
#include "wal/scan.h"

namespace raftd::wal {

Error io_error(const std::string& path, const char* verb, int number) {
    return error(Errc::io, std::string("can't ") + verb + " " + path + ": " + std::strerror(number));
}

uint64_t new_salt(const Options& options, uint64_t segment_id) {
    return Random(Random(options.salt_seed).next() + segment_id).next();
}

SegmentHeader make_segment_header(const Options& options, SegmentKey key, const LogPoint& base,
                                  const Segment* before, NumberedHard hard, uint64_t file_bytes,
                                  bool begins_anew) {
    SegmentHeader header{};
    header.magic_version = begins_anew ? kSegmentAnewMagic : kSegmentMagic;
    header.segment_id = key.id;
    header.cluster_id = options.cluster_id;
    header.incarnation = options.incarnation;
    header.base = base;
    header.before_segment_id = before != nullptr ? before->key.id : 0;
    header.before_end = before != nullptr ? before->end_offset : 0;
    header.hard = hard;
    header.file_bytes = file_bytes;
    header.salt = key.salt;
    sign(header);
    return header;
}

Seal make_seal(const Segment& segment, const FooterPlace& footer, uint64_t next_id, Index next_first) {
    Seal seal{};
    seal.magic_version = kSealMagic;
    seal.segment_id = segment.key.id;
    seal.end_offset = segment.end_offset;
    seal.last_index = raw(segment.end.index);
    seal.last_group = segment.last_group;
    seal.footer_offset = footer.offset;
    seal.footer_bytes = footer.bytes;
    seal.footer_checksum = footer.checksum;
    seal.next_segment_id = next_id;
    seal.next_index_first = raw(next_first);
    sign(seal, segment.key);
    return seal;
}

GroupHeader make_empty_group(const Segment& segment, NumberedHard hard) {
    GroupHeader header{};
    header.magic_version = kGroupMagic;
    header.segment_id = segment.key.id;
    header.group_number = segment.last_group + 1;
    header.file_offset = segment.end_offset;
    header.durable_group = segment.last_group;
    header.hard = hard;
    header.before = segment.end;
    header.chain_after = segment.end.chain;
    header.group_bytes = kBlockBytes;
    sign(header, segment.key);
    return header;
}

Result<void> create_first(io::Files& files, const Options& options) {
    int failed = files.make_dir(options.dir).error;
    if (failed != 0 && failed != EEXIST) return io_error(options.dir, "make", failed);
    std::string path = segment_path(options.dir, 1);
    OpenFile file(files, path, io::OpenMode::create_new);
    if (!file) {
        if (file.error() == EEXIST) return error(Errc::conflict, path + " exists: there is a log already");
        return io_error(path, "make", file.error());
    }
    uint64_t bytes = whole_blocks(options.first_segment_bytes);
    io::FileResult done = files.fill_zeros(file.id(), 0, bytes);
    if (done.error == 0) {
        std::vector<std::byte> block(kBlockBytes);
        SegmentKey key{1, new_salt(options, 1)};
        SegmentHeader header = make_segment_header(options, key, options.base, nullptr, {}, bytes);
        std::memcpy(block.data(), &header, sizeof header);
        done = files.write(file.id(), 0, block);
    }
    if (done.error == 0) done = files.sync(file.id());
    if (done.error == 0) done = files.sync_dir(options.dir);
    size_t slash = options.dir.rfind('/');
    if (done.error == 0 && slash != std::string::npos && slash != 0)
        done = files.sync_dir(options.dir.substr(0, slash));
    if (done.error != 0) return io_error(path, "make", done.error);
    return {};
}

}  // namespace raftd::wal
