// Any bytes as the content of the state's store, and any bytes as committed entries: damage is found or the
// values make sense, and no entry that a client could have caused fails a check.
#include "daemon/state.h"

#include "base/codec.h"
#include "tests/support/memory_store.h"

using namespace raftd;

namespace {

constexpr daemon::StateLimits kLimits{
    .producers_max = 4,
    .answers_each_max = 8,
    .answers_all_max = 70,
    .producer_idle_ms = 10,
    .archive = {.bytes = 1000, .entries = 5, .marks_max = 4},
    .retain = {.cursors_max = 2, .checkpoints_max = 2, .uploads_max = 2, .upload_distance = 500}};

/// Loading what a state says of itself gives that state.
void check_round_trip(daemon::State& state) {
    snapshot::MemoryStore store;
    snapshot::StoreBatch batch;
    state.all_dirty();
    state.take_dirty(batch);
    if (!store.write(batch)) __builtin_trap();
    auto again = daemon::State::load(kLimits, store);
    if (!again || again->digest() != state.digest()) __builtin_trap();
}

void load(ByteReader& reader) {
    snapshot::MemoryStore store;
    LogPoint& applied = store.newest.emplace().applied;
    applied.index = Index{reader.get<uint32_t>()};
    applied.lsn_next = Lsn{raw(applied.index) + 1};
    applied.timestamp_ms = 10'000;
    while (!reader.done() && reader.ok()) {
        auto key = reader.bytes(reader.get<uint8_t>());
        auto value = reader.bytes(reader.get<uint16_t>());
        if (reader.ok()) store.keys[std::string(as_text(key))] = as_text(value);
    }
    auto state = daemon::State::load(kLimits, store);
    if (state) check_round_trip(*state);
}

void apply(ByteView entries) {
    daemon::State state(kLimits, LogPoint{}, 3);
    EntryCursor cursor(entries);
    while (const EntryHeader* found = cursor.next()) {
        EntryHeader header = *found;
        finish_header(header, state.point(), Term{1}, header.timestamp_ms);
        if (check_form(header) == EntryFault::none) state.apply(header, cursor.body());
    }
    check_round_trip(state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ByteReader reader({reinterpret_cast<const std::byte*>(data), size});
    if (reader.get<uint8_t>() == 0)
        load(reader);
    else
        apply(reader.rest());
    return 0;
}
