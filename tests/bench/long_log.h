// Fills the data directory of a new cluster's only member as a long life would have: entries through the real
// log, archives and a snapshot of the older part, the replicated state in its store. Blocking; for
// measurements of starts and reads, and for the test that reads it all back.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace raftd::bench {

struct LongLog {
    uint64_t records = 1'000'000;
    uint64_t record_bytes = 100;
    uint64_t batch_records = 1;  // of one entry
    double archived = 0;         // part of the records that only archives have; whole archives, rounded up
    uint64_t unstored = 0;       // the state in the store ends so many entries before the log
    uint64_t producers = 0;      // 0: records without one; else each producer's in turn
    uint64_t segment_bytes = 64u << 20;
    uint64_t first_ms = 1'700'000'000'000;  // log time of the first entry; each is stamped 1 ms later
};

struct LongLogMade {
    uint64_t entries = 0, records = 0, first_lsn = 1, archives = 0, archived_records = 0;
    uint64_t first_ms = 0, last_ms = 0;  // of entries
    uint64_t producers = 0, digest = 0;  // of the replicated state
};

/// `path`: a data directory that no member ever ran in (`raftctl init`). Without archives the cluster's
/// state is of feature level 2, which makes none. Errors: conflict (it has entries), and those of
/// snapshot::open() and wal::open().
Result<LongLogMade> make_long_log(const std::string& path, const LongLog& wanted);

/// What stands in record `lsn` of such a log: digits of its LSN, then filler.
void fill_record(uint64_t lsn, char* into, uint64_t bytes);

}  // namespace raftd::bench
