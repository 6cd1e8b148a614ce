// Fixtures as text: hex digits in any grouping, `#` begins a comment. They hold the bytes of a format as they
// were written once and for all; a test that no longer matches has changed the format.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

namespace raftd {

inline std::vector<std::byte> read_hex(const std::string& name) {
    std::ifstream file(std::string(RAFTD_SOURCE_DIR) + "/tests/support/golden/" + name);
    std::vector<std::byte> bytes;
    std::string line, digits;
    while (std::getline(file, line))
        for (char c : line.substr(0, line.find('#')))
            if (c != ' ') digits += c;
    for (size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    return bytes;
}

}  // namespace raftd
