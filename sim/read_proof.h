// I19: a leader confirms a follower's read only by replies to messages that it sent after the read had come,
// in its present term, from a majority. Kept from the frames alone, whatever the leader believes; who is to
// be counted is ConfigTruth's matter.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <vector>

#include "base/instant.h"
#include "base/types.h"

namespace raftd::sim {

class ReadProof {
public:
    explicit ReadProof(size_t members) : leaders_(members + 1) {}

    void add_member() { leaders_.emplace_back(); }

    /// An append message of `leader` left.
    void asked(uint32_t leader, Term term, uint64_t round, Instant now);
    /// A reply to one came to it.
    void echoed(uint32_t leader, uint32_t from, Term term, uint64_t round);
    void read_came(uint32_t leader, uint32_t from, uint64_t id, Instant now);
    /// Whether `follower` has replied to what `leader` sent after the read had come; also true for a read
    /// that isn't known any more.
    bool proves(uint32_t leader, Term term, uint32_t follower, uint32_t from, uint64_t id) const;

private:
    static constexpr size_t kRoundsKept = 4096;
    static constexpr size_t kReadsKept = 4096;
    struct Round {
        uint64_t number;
        Instant first_sent;
    };
    struct Leader {
        Term term{};
        std::deque<Round> rounds;           // numbers rise
        std::map<uint32_t, Instant> heard;  // by follower: when the newest message it echoed had been sent
        std::map<std::pair<uint32_t, uint64_t>, Instant> reads;  // by who asked and id: when the first came
        std::deque<std::pair<uint32_t, uint64_t>> order;
    };
    std::vector<Leader> leaders_;  // [0] unused
};

}  // namespace raftd::sim
