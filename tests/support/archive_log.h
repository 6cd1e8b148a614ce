// A log made for tests of archives: batches of records of given sizes with an internal entry now and then,
// the same for the same arguments.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "base/entry.h"
#include "base/random.h"

namespace raftd {

struct ArchiveLog {
    LogPoint before, end;
    std::vector<std::byte> bytes;
    std::vector<LogPoint> points;  // behind each entry
    std::vector<uint64_t> ends;    // in bytes, of each entry

    explicit ArchiveLog(const LogPoint& start = {}) : before(start), end(start) {}

    void add(EntryKind kind, uint32_t record_count, ByteView body, Term term = Term{1}, uint64_t ms = 0) {
        EntryHeader header = draft_batch(record_count, body);
        header.kind = kind;
        finish_header(header, end, std::max(term, end.term), ms);
        const auto* head = reinterpret_cast<const std::byte*>(&header);
        bytes.insert(bytes.end(), head, head + sizeof header);
        bytes.insert(bytes.end(), body.begin(), body.end());
        end = point_after(header);
        points.push_back(end);
        ends.push_back(bytes.size());
    }
    void batch(const std::vector<std::string>& records, Term term = Term{1}, uint64_t ms = 0) {
        std::vector<ByteView> views;
        uint64_t payload = 0;
        for (const std::string& record : records) views.push_back(as_bytes(record)), payload += record.size();
        std::vector<std::byte> body(body_bytes_for(records.size(), payload));
        encode_body(views, body);
        add(EntryKind::batch, static_cast<uint32_t>(records.size()), body, term, ms);
    }
    /// `count` entries of up to 2 * `bytes`, incompressible; every seventh is internal.
    void random(Random& random_, uint64_t count, uint64_t bytes_each) {
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t ms = end.timestamp_ms + random_.below(3);
            if (random_.below(7) == 0) {
                add(EntryKind::noop, 0, {}, end.term + random_.below(2), ms);
                continue;
            }
            std::vector<std::string> records(1 + random_.below(3));
            for (std::string& record : records)
                for (uint64_t left = random_.below(2 * bytes_each / records.size() + 1); left > 0;) {
                    const uint64_t word = random_.next(), part = std::min<uint64_t>(left, sizeof word);
                    record.append(reinterpret_cast<const char*>(&word), part);
                    left -= part;
                }
            batch(records, end.term, ms);
        }
    }
    ByteView view() const { return bytes; }
};

}  // namespace raftd
