// Any bytes as the body of an entry about what stays of the log: what is taken is what would be written.
#include "base/entry.h"
#include "daemon/checkpoint_entry.h"
#include "daemon/retention_entry.h"

using namespace raftd;

namespace {

template <class Decode, class Encode>
void check(ByteView body, Decode decode, Encode encode) {
    auto entry = decode(body);
    if (!entry) return;
    auto again = encode(*entry);
    if (!std::equal(again.begin(), again.end(), body.begin(), body.end())) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ByteView body({reinterpret_cast<const std::byte*>(data) + 1, size - 1});
    switch (EntryKind{data[0]}) {
        case EntryKind::trim: check(body, daemon::decode_trim, daemon::encode_trim); break;
        case EntryKind::retention: check(body, daemon::decode_retention, daemon::encode_retention); break;
        case EntryKind::cursor: check(body, daemon::decode_cursor, daemon::encode_cursor); break;
        case EntryKind::checkpoint_begin:
            check(body, daemon::decode_checkpoint_begin, daemon::encode_checkpoint_begin);
            break;
        case EntryKind::checkpoint_chunk:
            check(body, daemon::decode_checkpoint_chunk, daemon::encode_checkpoint_chunk);
            break;
        case EntryKind::checkpoint_commit:
            check(body, daemon::decode_checkpoint_commit, daemon::encode_checkpoint_commit);
            break;
        default: break;
    }
    return 0;
}
