// Any bytes as an archive: refused, or all that is read of it follows by chain and body. The first byte says
// how: 1 puts the checksums right first, so that what lies behind them is reached.
#include "base/checksum.h"
#include "snapshot/archive_reader.h"
#include "tests/support/memory_files.h"

using namespace raftd;
using namespace raftd::snapshot;

namespace {

template <class T>
T at(const std::string& file, size_t place) {
    T value;
    std::memcpy(&value, file.data() + place, sizeof value);
    return value;
}

template <class T>
void put(std::string& file, size_t place, const T& value) {
    std::memcpy(file.data() + place, &value, sizeof value);
}

void put_checksums_right(std::string& file) {
    if (file.size() < sizeof(ArchiveFooter)) return;
    const auto index_bytes = at<ArchiveFooter>(file, file.size() - sizeof(ArchiveFooter)).index_bytes;
    if (index_bytes < sizeof(ArchiveHeader) + sizeof(ArchiveFooter) || index_bytes > file.size()) return;
    const size_t header_at = file.size() - index_bytes;
    const size_t records_end = file.size() - sizeof(ArchiveFooter);
    for (size_t place = header_at + sizeof(ArchiveHeader); place + sizeof(FrameRecord) <= records_end;
         place += sizeof(FrameRecord)) {
        const auto record = at<FrameRecord>(file, place);
        if (record.offset > file.size() || record.packed_bytes > file.size() - record.offset) continue;
        const ByteView packed = as_bytes(file).subspan(record.offset, record.packed_bytes);
        put(file, place + offsetof(FrameRecord, checksum), checksum(packed));
    }
    put(file, file.size() - 8, checksum(as_bytes(file).subspan(header_at, index_bytes - 8)));
}

void check(const ArchiveRun& run, ByteView room) {
    EntryCursor cursor(room.first(run.bytes));
    LogPoint point = run.before;
    while (const EntryHeader* header = cursor.next()) {
        if (check_follows(point, *header) != EntryFault::none) __builtin_trap();
        if (check_body(*header, cursor.body()) != EntryFault::none) __builtin_trap();
        point = point_after(*header);
    }
    if (cursor.remaining() != 0 || (run.bytes != 0 && point.index != run.last)) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string file(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] == 1) put_checksums_right(file);
    raftd::fakes::MemoryFiles files;
    files.put("/a", file);
    auto reader = ArchiveReader::open(files, "/a");
    if (!reader) return 0;
    std::vector<std::byte> room(1024);
    for (auto by : {ArchiveSeek::By::index, ArchiveSeek::By::lsn, ArchiveSeek::By::time_ms})
        if (auto run = reader->read({by, 1, Index{UINT64_MAX}, 512}, room)) check(*run, room);
    (void)reader->verify();
    return 0;
}
