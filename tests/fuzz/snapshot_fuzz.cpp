// Any bytes as a snapshot's manifest, a state file, a genesis, `boots` or `identity.toml`, by the first byte:
// refused, or the same bytes again.
#include "base/checksum.h"
#include "base/uuid.h"
#include "snapshot/boots.h"
#include "snapshot/identity.h"
#include "snapshot/snapshot_dir.h"
#include "tests/support/memory_files.h"

using namespace raftd;
using namespace raftd::snapshot;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] == 0) {
        auto manifest = parse_snapshot(bytes);
        if (manifest && encode_snapshot(*manifest) != bytes) __builtin_trap();
        return 0;
    }
    if (data[0] == 2) {
        auto genesis = parse_manifest(bytes);
        if (genesis && encode_manifest(*genesis) != bytes) __builtin_trap();
        return 0;
    }
    if (data[0] == 4) {
        std::string whole(bytes);  // with its sum put right
        whole += "checksum = \"" + to_hex(checksum(as_bytes(whole))) + "\"\n";
        auto identity = parse_identity(whole);
        if (!identity) return 0;
        auto again = parse_identity(encode_identity(*identity));
        if (!again || again->id != identity->id || again->cluster_id != identity->cluster_id ||
            again->incarnation != identity->incarnation)
            __builtin_trap();
        return 0;
    }
    if (data[0] == 3) {
        std::string whole(bytes);  // with its sum put right
        const uint64_t sum = checksum(as_bytes(whole));
        whole.append(reinterpret_cast<const char*>(&sum), sizeof sum);
        auto boots = parse_boots(as_bytes(whole));
        if (!boots) return 0;
        const Boots& read = boots->boots;  // another format may have been read
        auto again = parse_boots(encode_boots(read, boots->version));
        if (!again || again->boots.before != read.before || again->boots.peers != read.peers)
            __builtin_trap();
        return 0;
    }
    auto file = StateFile::parse(std::string(bytes), "state");
    if (!file) return 0;
    raftd::fakes::MemoryFiles files;
    files.make_dir("/s");
    auto written = write_state_file(files, "/s", file->at(), *file);
    if (!written || files.content("/s/" + written->name) != bytes) __builtin_trap();
    return 0;
}
