// Any bytes as the body of a producer entry: what is taken is exactly what would be written.
#include "daemon/producer_entry.h"

#include <algorithm>

using namespace raftd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
    auto entry = daemon::decode_producer(bytes);
    if (!entry) return 0;
    std::vector<std::byte> again = daemon::encode_producer(*entry);
    if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) __builtin_trap();
    return 0;
}
