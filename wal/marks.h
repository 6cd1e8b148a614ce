// Marks of sealed segments that readers asked for lately, within a bound of bytes. Loop thread only.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "wal/format.h"

namespace raftd::wal {

using Marks = std::vector<Mark>;

class MarkCache {
public:
    explicit MarkCache(uint64_t bytes_max) : bytes_max_(bytes_max) {}
    /// Nothing: not here. Found ones move to the front.
    std::shared_ptr<const Marks> find(uint64_t segment_id);
    void keep(uint64_t segment_id, std::shared_ptr<const Marks> marks);
    void forget(uint64_t segment_id);
    uint64_t bytes() const { return bytes_; }

private:
    struct Kept {
        uint64_t segment_id;
        std::shared_ptr<const Marks> marks;
    };
    static uint64_t bytes_of(const Kept& kept) { return sizeof(Kept) + kept.marks->size() * sizeof(Mark); }

    uint64_t bytes_max_, bytes_ = 0;
    std::list<Kept> order_;  // newest use first
    std::unordered_map<uint64_t, std::list<Kept>::iterator> places_;
};

}  // namespace raftd::wal
