#include "daemon/archive_watch.h"

#include <algorithm>
#include <cstring>

#include "base/uuid.h"

namespace raftd::daemon {
namespace {

/// What a message has room for; the whole hash stands in the archive's name.
uint64_t short_hash(const snapshot::ContentHash& hash) {
    uint64_t value = 0;
    std::memcpy(&value, hash.data(), sizeof value);
    return value;
}

}  // namespace

void ArchiveWatch::fill(proto::Trailer& trailer) {
    const auto& archives = reader_.archives();
    if (archives.empty()) return;
    newest_ = !newest_;
    if (!newest_) next_ = (next_ + 1) % archives.size();
    const snapshot::ArchiveInfo& told = newest_ ? archives.back() : archives[next_];
    trailer.archive_end = raw(told.last());
    trailer.archive_hash = short_hash(told.hash);
    trailer.state_digest = compaction_.state_digest(told.last());
}

const snapshot::ArchiveInfo* ArchiveWatch::ending_at(Index end) const {
    const auto& archives = reader_.archives();
    auto found = std::lower_bound(archives.begin(), archives.end(), end,
                                  [](const auto& archive, Index at) { return archive.last() < at; });
    return found != archives.end() && found->last() == end ? &*found : nullptr;
}

/// Archives join, so one of the other that ends within one of mine is a difference as well.
void ArchiveWatch::heard(NodeId from, const proto::Trailer& trailer) {
    const Index end{trailer.archive_end};
    if (end == Index{}) return;
    const auto& archives = reader_.archives();
    const bool within =
        !archives.empty() && end > archives.front().before.index && end <= archives.back().last();
    if (!within) return;  // trimmed here, or not made yet: its turn comes again
    ++compared_;
    const snapshot::ArchiveInfo* mine = ending_at(end);
    const uint64_t hash = mine != nullptr ? short_hash(mine->hash) : 0;
    if (hash != trailer.archive_hash)
        return differs("archives_differ", "archive_mismatch", from, end, hash, trailer.archive_hash);
    const uint64_t digest = compaction_.state_digest(end);
    if (digest != 0 && trailer.state_digest != 0 && digest != trailer.state_digest)
        differs("states_differ", "state_mismatch", from, end, digest, trailer.state_digest);
}

bool ArchiveWatch::agrees(NodeId from, const std::vector<snapshot::ArchiveInfo>& theirs) {
    for (const snapshot::ArchiveInfo& archive : theirs) {
        const snapshot::ArchiveInfo* mine = ending_at(archive.last());
        if (mine == nullptr || mine->hash == archive.hash) continue;
        differs("archives_differ", "archive_mismatch", from, archive.last(), short_hash(mine->hash),
                short_hash(archive.hash));
        return false;
    }
    return true;
}

void ArchiveWatch::differs(const char* event, const char* alarm, NodeId from, Index end, uint64_t mine,
                           uint64_t theirs) {
    auto member = context_.members.find(from);
    const std::string name =
        member != context_.members.end() ? member->second.name : std::to_string(raw(from));
    const std::string line = std::string(alarm) + " member=" + name + " entry=" + std::to_string(raw(end));
    if (!seen_.contains(line) && seen_.size() == kKept) return;
    if (++seen_[line] != 1) return;
    context_.log(LogLevel::error, event)("peer", name)("entry", raw(end))("mine", to_hex(mine))(
        "theirs", to_hex(theirs))("hint", "raftctl verify --deep says whose files are damaged");
    freeze_.difference(end);
}

void ArchiveWatch::add_alarms(std::vector<std::string>& alarms) const {
    for (const auto& [line, count] : seen_) alarms.push_back(line);
}

}  // namespace raftd::daemon
