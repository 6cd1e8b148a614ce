// Any bytes as entries that lie end to end, as they come from a peer, a file or a tail.
#include "base/entry.h"

using namespace raftd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    EntryCursor cursor(ByteView(reinterpret_cast<const std::byte*>(data), size));
    LogPoint at;
    while (const EntryHeader* header = cursor.next()) {
        if (check_form(*header) != EntryFault::none) return 0;
        if (check_body(*header, cursor.body()) == EntryFault::none && header->kind == EntryKind::batch) {
            RecordReader records(*header, cursor.body());
            uint64_t bytes = 0;
            while (auto record = records.next()) bytes += record->size();
            if (body_bytes_for(header->record_count, bytes) != header->body_bytes) __builtin_trap();
        }
        if (check_follows(at, *header) != EntryFault::none) return 0;
        at = point_after(*header);
    }
    return 0;
}
