// Where the log of a restored cluster goes on with a chain of its own: behind `index` the former cluster's
// chain was `before`, and this one's begins with `after`, the hash of its genesis. What crosses it compares
// by these.
#pragma once

#include <vector>

#include "base/entry.h"

namespace raftd {

struct Seam {
    Index index{};
    uint64_t before = 0, after = 0;
    bool operator==(const Seam&) const = default;
};

/// The log that goes on where something ends at `end`: there, over the seams that lie at it. Oldest first.
inline LogPoint over(const std::vector<Seam>& seams, LogPoint end) {
    for (const Seam& seam : seams)
        if (seam.index == end.index && seam.before == end.chain) end.chain = seam.after;
    return end;
}

}  // namespace raftd
