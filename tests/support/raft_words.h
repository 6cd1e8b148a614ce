// The words of a script's line (tests/scenarios/raft/README.md).
#pragma once

#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/membership.h"

namespace raftd::raft::test {

struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One command: its words, and its key=value arguments.
struct Command {
    std::vector<std::string> words;
    std::map<std::string, std::string> named;

    explicit Command(const std::string& line) {
        std::istringstream in(line);
        for (std::string word; in >> word;) {
            const size_t equal = word.find('=');
            if (equal == std::string::npos)
                words.push_back(word);
            else
                named[word.substr(0, equal)] = word.substr(equal + 1);
        }
    }
    const std::string& word(size_t at) const {
        if (at >= words.size()) throw Wrong("a word is missing");
        return words[at];
    }
    bool has(const std::string& word) const {
        return std::find(words.begin(), words.end(), word) != words.end();
    }
    uint64_t number(const std::string& name, uint64_t otherwise) const {
        const auto found = named.find(name);
        return found == named.end() ? otherwise : std::stoull(found->second);
    }
};

inline NodeId node(const std::string& word) {
    if (word.size() < 2 || word[0] != 'n') throw Wrong("not a member: " + word);
    return NodeId{std::stoull(word.substr(1))};
}
/// `index@term`
inline EntryId entry_id(const std::string& word) {
    const size_t at = word.find('@');
    if (at == std::string::npos) throw Wrong("not an entry: " + word);
    return {Term{std::stoull(word.substr(at + 1))}, Index{std::stoull(word.substr(0, at))}};
}
inline std::vector<std::string> split(const std::string& text, char by) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, by);) out.push_back(part);
    return out;
}

/// `1,2*5,4?,5?!`: priority 5, a learner, a learner that is to be promoted.
inline std::vector<Member> members_of(const std::string& words) {
    std::vector<Member> out;
    for (const std::string& word : split(words, ',')) {
        const size_t star = word.find('*');
        out.push_back(
            {NodeId{std::stoull(word)}, word.find('?') != std::string::npos,
             word.find('!') != std::string::npos,
             static_cast<uint8_t>(star == std::string::npos ? 0 : std::stoul(word.substr(star + 1)))});
    }
    return out;
}

}  // namespace raftd::raft::test
