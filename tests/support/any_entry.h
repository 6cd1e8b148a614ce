// Draws entries for the replicated state: something of everything, also what no leader would make.
#pragma once

#include "base/random.h"
#include "tests/support/state_log.h"

namespace raftd::daemon {

/// Of what stays of the log: trims, policy, cursors, checkpoints.
inline LoggedEntry anything_retained(StateLog& log, const State& state, Random& random) {
    const Retained& retained = state.retained();
    const uint64_t end = raw(log.end.lsn_next), first = raw(state.first_lsn());
    const uint64_t lsn = first + random.below(end - first + 3);
    const std::string name = "c" + std::to_string(random.below(6));
    uint64_t id = 1 + random.below(raw(log.end.index) + 1);
    if (!retained.checkpoints().empty() && random.below(8) != 0) {
        auto at = retained.checkpoints().begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random.below(retained.checkpoints().size())));
        id = at->first;
    }
    auto known = retained.checkpoints().find(id);
    const uint64_t received = known == retained.checkpoints().end() ? 0 : known->second.received;
    switch (random.below(12)) {
        case 0:
        case 1: return log.trim(std::max<uint64_t>(1, random.below(3) == 0 ? lsn : first + random.below(5)));
        case 2: {
            RetentionEntry entry;
            if (random.below(2) == 0) entry.bytes = random.below(9000);
            if (random.below(2) == 0) entry.records = random.below(90);
            if (random.below(2) == 0) entry.below_checkpoint = random.below(2) == 0;
            return log.retention(entry);
        }
        case 3:
            return log.cursor(name, std::max<uint64_t>(lsn, 1), true, random.below(3) * random.below(4000));
        case 4: return log.cursor(name, std::max<uint64_t>(lsn, 1));
        case 5: return log.advance(name, std::max<uint64_t>(lsn, 1));
        case 6: return log.remove_cursor(name);
        case 7: return log.begin(std::max<uint64_t>(lsn, 2) - 1, random.below(4) * 10);
        case 8:
        case 9: return log.chunk(id, received, 10);
        case 10: return log.chunk(id, random.below(40), 1 + random.below(20));
        default: return log.commit(id);
    }
}

inline LoggedEntry anything(StateLog& log, const State& state, Random& random) {
    log.now_ms += random.below(40);
    if (random.below(20) == 0) log.term = log.term + 1;
    auto some_id = [&]() -> uint64_t {
        const auto& all = state.all_producers();
        if (all.empty() || random.below(10) == 0) return random.below(raw(log.end.index) + 3);
        auto at = all.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random.below(all.size())));
        return at->first;
    };
    if (random.below(6) == 0) return anything_retained(log, state, random);
    uint64_t id = some_id();
    const Producer* producer = state.find(id);
    uint32_t epoch = producer != nullptr && random.below(10) != 0 ? producer->epoch : 1;
    switch (random.below(20)) {
        case 0:
            return log.open(random.below(2) == 0 ? "" : "n" + std::to_string(random.below(5)),
                            random.below(3) == 0 ? state.idle(log.now_ms, 3) : std::vector<uint64_t>{});
        case 1: return log.open({}, {}, id);
        case 2: return id == 0 ? log.open() : log.close(id, epoch);
        case 3: return log.members({1, 2, 3 + random.below(30)});
        case 4: return log.add(EntryKind::noop, {});
        case 5: {
            std::vector<std::byte> body(random.below(200));
            for (std::byte& byte : body) byte = static_cast<std::byte>(random.below(4));
            EntryHeader draft{};
            draft.producer = random.below(3) * random.next();
            draft.sequence = random.next();
            draft.producer_epoch = static_cast<uint32_t>(random.next());
            return log.add(EntryKind{static_cast<uint8_t>(2 + random.below(12))}, body, draft);
        }
        default: {
            uint64_t sequence = producer != nullptr ? producer->last + 1 : 1;
            if (random.below(20) == 0) sequence += random.below(5) - 2;
            return log.batch(id, epoch, sequence, 1 + static_cast<uint32_t>(random.below(3)));
        }
    }
}

}  // namespace raftd::daemon
