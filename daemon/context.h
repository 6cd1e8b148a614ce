// What the parts of a node share. Loop thread only.
#pragma once

#include <map>

#include "daemon/events.h"
#include "daemon/log_clock.h"
#include "daemon/members.h"
#include "daemon/node.h"
#include "snapshot/addresses.h"
#include "snapshot/data_dir.h"

namespace raftd::daemon {

/// Upper 8 bits of the tokens of each part, so that a completion finds its way.
enum class TokenTag : uint8_t {
    wal = 1,
    verify = 2,
    boots = 3,
    state = 4,
    archive = 5,
    compact = 6,
    serve = 8,
    fetch = 9,
    install = 10,
    verify_back = 11,
    save = 12,
    freeze = 13,
    repair = 14,
};
constexpr io::Token make_token(TokenTag tag, uint64_t number) {
    return io::Token{uint64_t{static_cast<uint8_t>(tag)} << 56 | number};
}
constexpr TokenTag tag_of(io::Token token) {
    return static_cast<TokenTag>(static_cast<uint64_t>(token) >> 56);
}
constexpr uint64_t number_of(io::Token token) { return static_cast<uint64_t>(token) << 8 >> 8; }

/// Counts since the start; `raftctl debug dump` and status show them.
struct Counters {
    uint64_t turns = 0, events = 0, rounds = 0;
    uint64_t appends = 0, append_bytes = 0, appends_refused = 0, appends_unknown = 0;
    uint64_t appends_repeated = 0;
    uint64_t tail_bytes = 0, tail_frames = 0;
    uint64_t peer_messages_in = 0, peer_messages_out = 0, peer_frames_bad = 0;
    uint64_t archived_bytes = 0, archive_yields = 0, files_sent_bytes = 0;
    uint64_t scrub_passes = 0, scrub_percent = 0, scrub_bytes = 0, scrub_damages = 0;
    uint64_t repaired_holes = 0, repaired_entries = 0, repaired_files = 0;
    uint64_t log_reads = 0, late_sends = 0, chain_mismatches = 0, elections = 0;
};

struct Context {
    io::World& world;
    const NodeOptions& options;
    snapshot::DataDir& dir;
    Events& events;
    MemberInfos members;  // of the configuration in force, at the addresses by which they are reached
    snapshot::AddressHints addresses;  // by which they are reached instead
    Index config_index{};
    std::vector<Seam> seams{};  // of the newest snapshot's log
    LogClock log_clock;
    NodeId leader{};     // the newest that was known to lead
    Term leader_term{};  // and in which term
    Instant now{};
    Instant started{};
    bool stopping = false;
    uint32_t feature_level = 1;  // of the cluster, as applied here
    Counters counters{};
    uint64_t reads = 0;

    /// Time of the next entry behind one stamped `newest_ms`.
    LogTime stamp(uint64_t newest_ms) { return log_clock.stamp(now, world.clock.wall_ms(), newest_ms); }
    /// An id for a linearizable read, beside those of tails: unique over starts of the process, as the core
    /// asks.
    ReadId new_read() { return ReadId{dir.boots.mine.number << 40 | uint64_t{1} << 39 | ++reads}; }

    LogLine log(LogLevel level, std::string_view event) { return LogLine(events, level, event); }
};

}  // namespace raftd::daemon
