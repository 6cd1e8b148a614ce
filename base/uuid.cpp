#include "base/uuid.h"

namespace raftd {

std::string to_hex(uint64_t value) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text(16, '0');
    for (int i = 15; i >= 0; --i, value >>= 4) text[static_cast<size_t>(i)] = kDigits[value & 15];
    return text;
}

std::string to_hex(Uuid id) { return to_hex(id.high) + to_hex(id.low); }

std::optional<Uuid> parse_uuid(std::string_view text) {
    if (text.size() != 32) return std::nullopt;
    uint64_t half[2] = {0, 0};
    for (size_t i = 0; i < 32; ++i) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return std::nullopt;
        half[i / 16] = half[i / 16] << 4 | static_cast<uint64_t>(digit);
    }
    return Uuid{half[0], half[1]};
}

}  // namespace raftd
