// What clients were told, against what the log holds: where each record stands, and what became of each
// append.
//   an acknowledged append stands at its LSNs, once, on every member, for ever; a refused one never appears
//   (I9, I11) records have one place and places one record; LSNs are dense (I6, I12) acknowledged before
//   another was sent means a smaller LSN (I13); a linearizable read sees all acknowledged before it (I14)
// A violated rule throws Violation. Records carry their client and number, so a look at one finds its append.
#pragma once

#include <string>
#include <vector>

#include "sim/truth.h"

namespace raftd::sim {

/// Number `seq` (from 1) of client `client`.
struct RecordId {
    uint32_t client = 0;
    uint64_t seq = 0;
};

class Ledger {
public:
    static constexpr uint32_t kBytesMin = 16;

    Ledger(const Truth& truth, Reached& reached) : truth_(truth), reached_(reached) {}

    /// Begins with these records, of clients of another cluster, from LSN 1 on: none of theirs may follow.
    void take_over(const std::vector<RecordId>& records);
    /// A record of `bytes` (at least kBytesMin) that says who it is.
    static void encode(RecordId id, MutableBytes into);
    static bool decode(ByteView record, RecordId& id);

    /// Behind the highest acknowledged LSN: what is sent from now on must land there or later.
    Lsn acked_end() const { return acked_end_; }
    void acknowledged(RecordId first, uint32_t count, Lsn lsn, Lsn floor);
    /// Committed, at LSNs that the cluster no longer remembers: they must turn up by the end.
    void acknowledged_somewhere(RecordId first, uint32_t count);
    void refused(RecordId first, uint32_t count);
    void unknown(RecordId first, uint32_t count);
    /// A tail of any member gave this record.
    void delivered(Lsn lsn, ByteView record);
    uint64_t records_acked() const { return acked_; }
    /// Records below this were trimmed: nobody need give them.
    Lsn trimmed() const { return truth_.trimmed(); }
    /// LSNs below this, but for trimmed ones, have all been seen by some tail. For the end of a run.
    void check_complete(Lsn end) const;

private:
    enum class Fate : uint8_t { open, acked, refused, unknown };
    struct Sent {
        Fate fate = Fate::open;
        uint64_t lsn = 0;
    };
    Sent& sent(RecordId id);
    void place(RecordId id, uint64_t lsn, const char* by);
    [[noreturn]] static void violated(const std::string& what);
    static std::string text(RecordId id);

    const Truth& truth_;
    Reached& reached_;
    std::vector<std::vector<Sent>> clients_;  // [client][seq]
    std::vector<RecordId> places_;            // by LSN; client 0: not known yet
    uint32_t former_from_ = UINT32_MAX;       // clients with these numbers are the other cluster's
    Lsn acked_end_{1};
    uint64_t acked_ = 0;
};

}  // namespace raftd::sim
