#include "base/checksum.h"

#include <xxhash.h>

#include "base/check.h"

namespace raftd {

uint64_t checksum(ByteView bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Checksummer::Checksummer(uint64_t seed) : state_(XXH3_createState()) {
    CHECK(state_ != nullptr);
    XXH3_64bits_reset_withSeed(static_cast<XXH3_state_t*>(state_), seed);
}
Checksummer::~Checksummer() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }
void Checksummer::add(ByteView bytes) {
    XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
}
uint64_t Checksummer::result() const { return XXH3_64bits_digest(static_cast<const XXH3_state_t*>(state_)); }

}  // namespace raftd
