#include "sim/ledger.h"

#include <algorithm>

namespace raftd::sim {
namespace {

constexpr uint32_t kMark = 0x5eed'0001;

/// Rising bytes: the filling of each record is a piece of them, so that one compare checks it.
const std::byte* filling(uint64_t seq, size_t bytes) {
    static const std::vector<std::byte> kRamp = [] {
        std::vector<std::byte> ramp(size_t{1} << 16);
        for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = std::byte(i);
        return ramp;
    }();
    CHECK_LE(bytes + 256, kRamp.size());
    return kRamp.data() + (seq * 31 & 0xff);
}

}  // namespace

void Ledger::violated(const std::string& what) { throw Violation(Ending::correctness, what); }

std::string Ledger::text(RecordId id) {
    return "record " + std::to_string(id.seq) + " of client " + std::to_string(id.client);
}

void Ledger::encode(RecordId id, MutableBytes into) {
    CHECK_GE(into.size(), size_t{kBytesMin});
    std::memcpy(into.data(), &kMark, 4);
    std::memcpy(into.data() + 4, &id.client, 4);
    std::memcpy(into.data() + 8, &id.seq, 8);
    std::memcpy(into.data() + kBytesMin, filling(id.seq, into.size()), into.size() - kBytesMin);
}

bool Ledger::decode(ByteView record, RecordId& id) {
    uint32_t mark = 0;
    if (record.size() < kBytesMin) return false;
    std::memcpy(&mark, record.data(), 4);
    std::memcpy(&id.client, record.data() + 4, 4);
    std::memcpy(&id.seq, record.data() + 8, 8);
    if (std::memcmp(record.data() + kBytesMin, filling(id.seq, record.size()), record.size() - kBytesMin) !=
        0)
        return false;
    return mark == kMark && id.client != 0 && id.seq != 0;
}

Ledger::Sent& Ledger::sent(RecordId id) {
    if (id.client >= clients_.size()) clients_.resize(id.client + 1);
    auto& all = clients_[id.client];
    if (id.seq >= all.size()) all.resize(std::max<size_t>(id.seq + 1, all.size() * 2));
    return all[id.seq];
}

void Ledger::place(RecordId id, uint64_t lsn, const char* by) {
    if (lsn >= places_.size()) places_.resize(std::max<size_t>(lsn + 1, places_.size() * 2));
    RecordId& there = places_[lsn];
    if (there.client != 0 && (there.client != id.client || there.seq != id.seq))
        violated(text(id) + " is " + by + " at LSN " + std::to_string(lsn) + ", where " + text(there) +
                 " stands");
    there = id;
    Sent& it = sent(id);
    if (it.lsn != 0 && it.lsn != lsn)
        violated(text(id) + " is " + by + " at LSN " + std::to_string(lsn) + " and stands at " +
                 std::to_string(it.lsn) + " too");
    it.lsn = lsn;
    if (raw(truth_.committed_lsn_end()) <= lsn)
        violated(text(id) + " is " + by + " at LSN " + std::to_string(lsn) + " before it was committed");
}

void Ledger::acknowledged(RecordId first, uint32_t count, Lsn lsn, Lsn floor) {
    if (lsn < floor)
        violated(text(first) + " was acknowledged at LSN " + std::to_string(raw(lsn)) + ", below " +
                 std::to_string(raw(floor)) + ", which was acknowledged before it was sent");
    for (uint32_t i = 0; i < count; ++i) {
        RecordId id{first.client, first.seq + i};
        place(id, raw(lsn) + i, "acknowledged");
        sent(id).fate = Fate::acked;
    }
    acked_ += count;
    acked_end_ = std::max(acked_end_, lsn + count);
    reached_.hit(Reach::append_committed);
}

void Ledger::acknowledged_somewhere(RecordId first, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) sent({first.client, first.seq + i}).fate = Fate::acked;
    acked_ += count;
    reached_.hit(Reach::append_committed);
}

void Ledger::refused(RecordId first, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        Sent& it = sent({first.client, first.seq + i});
        if (it.lsn != 0) violated(text(first) + " was refused and stands at LSN " + std::to_string(it.lsn));
        it.fate = Fate::refused;
    }
    reached_.hit(Reach::append_refused_client);
}

void Ledger::unknown(RecordId first, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        Sent& it = sent({first.client, first.seq + i});
        it.fate = Fate::unknown;
        if (it.lsn != 0) reached_.hit(Reach::append_unknown_landed);
    }
    reached_.hit(Reach::append_unknown);
}

void Ledger::take_over(const std::vector<RecordId>& records) {
    for (const RecordId& id : records) {
        place(id, raw(acked_end_), "saved");
        sent(id).fate = Fate::acked;
        former_from_ = std::min(former_from_, id.client);
        acked_end_ = acked_end_ + 1;
    }
}

void Ledger::delivered(Lsn lsn, ByteView record) {
    RecordId id;
    if (!decode(record, id))
        violated("the record at LSN " + std::to_string(raw(lsn)) + " isn't what any client sent");
    Sent& it = sent(id);
    if (id.client >= former_from_ && it.lsn != raw(lsn))
        violated(text(id) + " of another cluster stands at LSN " + std::to_string(raw(lsn)));
    if (it.fate == Fate::refused)
        violated(text(id) + " was refused and stands at LSN " + std::to_string(raw(lsn)));
    if (it.fate == Fate::unknown && it.lsn == 0) reached_.hit(Reach::append_unknown_landed);
    place(id, raw(lsn), "delivered");
}

void Ledger::check_complete(Lsn end) const {
    for (uint64_t lsn = raw(trimmed()); lsn < raw(end); ++lsn)
        if (lsn >= places_.size() || places_[lsn].client == 0)
            violated("nobody knows the record at LSN " + std::to_string(lsn));
    for (uint32_t client = 0; client < clients_.size(); ++client)
        for (uint64_t seq = 0; seq < clients_[client].size(); ++seq)
            // One that was answered without its LSN may have been trimmed before anybody read it.
            if (clients_[client][seq].fate == Fate::acked && clients_[client][seq].lsn == 0 &&
                trimmed() == Lsn{1})
                violated(text({client, seq}) + " was acknowledged and is nowhere");
    if (acked_end_ > end)
        violated("the log ends at LSN " + std::to_string(raw(end)) + ", but appends up to " +
                 std::to_string(raw(acked_end_)) + " were acknowledged");
}

}  // namespace raftd::sim
