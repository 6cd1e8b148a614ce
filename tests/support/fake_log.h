// The log and the producers of a cluster in memory, as a leader judges by them
// (tests/support/fake_cluster.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/entry.h"
#include "proto/client.h"

namespace raftd::fakes {

struct FakeProducer {
    uint64_t id = 0;
    uint32_t epoch = 1;
    uint64_t last = 0, records = 0;
    std::string name;
    std::map<uint64_t, EntryHeader> answers;  // by sequence
};

struct FakeLog {
    std::map<uint64_t, FakeProducer> producers;
    std::vector<std::vector<std::byte>> entries;
    std::vector<LogPoint> points{LogPoint{}};  // points[i]: behind entry i
    const LogPoint& end() const { return points.back(); }
    /// Appends one batch; its header as it stands in the log.
    EntryHeader add(const EntryHeader& draft, ByteView body, Term term = Term{1});
    void add_text(const std::vector<std::string>& records, Term term = Term{1});
    void add_noop(Term term);
    /// Neither a repetition nor out of place.
    bool fresh(const EntryHeader& draft) const;
    /// What a leader makes of a numbered batch: `committed` means that it is now in the log. The header is
    /// that of the batch in the log, if it is there.
    proto::AppendCode add_numbered(const EntryHeader& draft, ByteView body, EntryHeader& header,
                                   uint64_t& value);
    /// nullptr: no such id.
    FakeProducer* open_producer(const std::string& name, uint64_t id);
    FakeProducer* find_producer(const std::string& name, uint64_t id);
    std::vector<std::string> records() const;
};

}  // namespace raftd::fakes
