#include "daemon/log_reader.h"

#include "base/check.h"

namespace raftd::daemon {

std::optional<Index> LogReader::in_memory(Index first, Index upto, uint64_t bytes_max,
                                          std::vector<Slice>& out) const {
    const LogBuffer& buffer = replica_.buffer();
    if (!buffer.holds(first)) return std::nullopt;
    Index last = buffer.last_within(first, std::min(upto, buffer.last()), bytes_max);
    buffer.slices(first, last, out);
    return last;
}

void LogReader::from_files(const wal::ReadRequest& request, const ReadFor& purpose) {
    ++context_.counters.log_reads;
    under_way_.emplace(++cookie_last_, purpose);
    wal_.read(request, cookie_last_);
}

std::optional<LogReader::Done> LogReader::take() {
    std::optional<wal::ReadResult> result = wal_.take_read();
    if (!result) return std::nullopt;
    auto found = under_way_.find(result->cookie);
    CHECK(found != under_way_.end());
    Done done{found->second, std::move(*result)};
    under_way_.erase(found);
    return done;
}

}  // namespace raftd::daemon
