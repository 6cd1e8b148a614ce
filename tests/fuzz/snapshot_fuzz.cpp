// Any bytes as a snapshot's manifest or as a state file, by the first byte: refused, or the same bytes again.
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
    auto file = StateFile::parse(bytes, "state");
    if (!file) return 0;
    raftd::testing::MemoryFiles files;
    files.make_dir("/s");
    auto written = write_state_file(files, "/s", file->at(), *file);
    if (!written || files.content("/s/" + written->name) != bytes) __builtin_trap();
    return 0;
}
