// Any bytes as a save: refused, or whole, and then nothing but its own names is read or written by a restore.
// The first byte says how: 1 puts the sums of the tar's headers and the manifest's right first, so that what
// lies behind them is reached.
#include "base/checksum.h"
#include "snapshot/restore.h"
#include "tests/support/memory_files.h"

using namespace raftd;
using namespace raftd::snapshot;

namespace {

void put_sums_right(std::string& tar) {
    for (size_t at = 0; at + kTarBlockBytes <= tar.size(); at += kTarBlockBytes) {
        if (tar.compare(at + 257, 5, "ustar") != 0) continue;
        std::fill_n(tar.begin() + static_cast<std::ptrdiff_t>(at) + 148, 8, ' ');
        unsigned sum = 0;
        for (size_t i = 0; i < kTarBlockBytes; ++i) sum += static_cast<unsigned char>(tar[at + i]);
        char digits[9];
        std::snprintf(digits, sizeof digits, "%06o", sum);
        tar.replace(at + 148, 7, std::string(digits, 7));
    }
}

/// CURRENT, which is the first file, has the checksum of the manifest that it names.
void put_manifest_right(std::string& tar) {
    const size_t space = tar.find(' ', kTarBlockBytes);
    if (space == std::string::npos || space > kTarBlockBytes + 99 || space + 17 > tar.size()) return;
    const std::string name = tar.substr(kTarBlockBytes, space - kTarBlockBytes);
    for (size_t at = 2 * kTarBlockBytes; at + kTarBlockBytes <= tar.size(); at += kTarBlockBytes) {
        if (tar.compare(at, name.size() + 1, name + '\0') != 0) continue;
        const size_t bytes = std::strtoul(tar.substr(at + 124, 11).c_str(), nullptr, 8);
        if (bytes > tar.size() - at - kTarBlockBytes) return;
        const ByteView content = as_bytes(tar).subspan(at + kTarBlockBytes, bytes);
        tar.replace(space + 1, 16, to_hex(checksum(content)));
        return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string tar(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] == 1) put_manifest_right(tar), put_sums_right(tar);
    raftd::fakes::MemoryFiles files;
    files.put("/save", tar);
    auto saved = Saved::open(files, "/save");
    if (!saved || !saved->verify()) return 0;
    auto id = next_id(*saved);
    if (!id) return 0;
    RestorePlan plan;
    plan.cluster_id = {1, 1};
    plan.members = {{*id, "m", "h:1", "h:2", {1, 2}, false, 0}};
    if (auto made = make_restored(files, "/data", *saved, plan, *id)) {
        auto current = read_current(files, "/data/snapshot");
        if (!current || current->base() != made->snapshot.at) __builtin_trap();
    }
    int failed = 0;
    for (const std::string& name : files.list("/", failed))
        if (name != "save" && name != "data") __builtin_trap();
    return 0;
}
