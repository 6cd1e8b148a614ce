#include "daemon/entry_fetch.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/checksum.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {
constexpr std::string_view kPrefix = "entries-";
}

std::string stretch_name(Index first, Index last) {
    return std::string(kPrefix) + std::to_string(raw(first)) + "-" + std::to_string(raw(last));
}

std::optional<StretchAsked> parse_stretch_name(std::string_view name) {
    if (!name.starts_with(kPrefix)) return std::nullopt;
    name.remove_prefix(kPrefix.size());
    uint64_t first = 0, last = 0;
    const char* end = name.data() + name.size();
    auto got = std::from_chars(name.data(), end, first);
    if (got.ec != std::errc() || got.ptr == end || *got.ptr != '-') return std::nullopt;
    got = std::from_chars(got.ptr + 1, end, last);
    if (got.ec != std::errc() || got.ptr != end || first == 0 || last < first) return std::nullopt;
    return StretchAsked{Index{first}, Index{last}};
}

bool Stretch::take(const Slice& entries) {
    const LogPoint before = at;
    const size_t runs_before = runs.size(), configs_before = configs.size();
    if (follow(entries)) {
        pieces.push_back(entries);
        return true;
    }
    at = before;
    runs.resize(runs_before);
    configs.resize(configs_before);
    return false;
}

bool Stretch::follow(const Slice& entries) {
    EntryCursor cursor(entries.view());
    while (const EntryHeader* header = cursor.next()) {
        if (at.index >= to.index || check_follows(at, *header) != EntryFault::none ||
            check_body(*header, cursor.body()) != EntryFault::none)
            return false;
        at = point_after(*header);
        if (runs.empty() || runs.back().term != at.term) runs.push_back({at.term, at.index});
        if (header->kind != EntryKind::membership) continue;
        if (auto config = decode_configuration(at.index, cursor.body()))
            configs.push_back(std::move(*config));
    }
    return cursor.remaining() == 0 && (at.index != to.index || at == to);
}

Duration EntryFetch::patience() const {
    return std::max(context_.options.settings.raft.election_timeout * 2, seconds(2));
}

void EntryFetch::begin(NodeId from, Stretch stretch) {
    CHECK(!busy());
    source_ = from;
    stretch_ = std::move(stretch);
    ended_.reset();
    conn_ = peers_.dial_bulk(from);
    moved_at_ = context_.now;
}

void EntryFetch::hang_up() {
    if (conn_ != io::kNoConn) peers_.close_bulk(std::exchange(conn_, io::kNoConn));
    stretch_.reset();
}

void EntryFetch::end(bool definite, std::string why) {
    Ended ended{.whole = why.empty(), .definite = definite, .why = std::move(why), .stretch = *stretch_};
    hang_up();
    ended_ = std::move(ended);
}

void EntryFetch::bulk(const Peers::Bulk& change) {
    if (change.conn != conn_ || !busy()) return;
    if (change.up) return ask();
    conn_ = io::kNoConn;
    end(false, "the connection ended");
}

void EntryFetch::ask() {
    proto::FileAsk ask{};
    ask.size = sizeof ask;
    ask.bytes_max = context_.options.transfer_part_bytes;
    ask.request = ++request_;
    const std::string name = stretch_name(stretch_->at.index + 1, stretch_->to.index);
    CHECK_LT(name.size(), sizeof ask.name);
    std::memcpy(ask.name, name.data(), name.size());
    Slice frame = proto::make_frame(proto::FrameType::file_ask, 0, proto::fixed_bytes(ask));
    context_.world.network.send(conn_, {&frame, 1});
    moved_at_ = context_.now;
}

void EntryFetch::frame(io::ConnId conn, const io::Frame& frame) {
    if (conn != conn_ || !busy()) return;
    proto::FilePart part;
    const bool good = static_cast<proto::FrameType>(frame.type) == proto::FrameType::file_part &&
                      proto::read_fixed(frame.bytes.view(), part) && part.request == request_;
    if (!good) return end(false, "the other end answers what wasn't asked");
    switch (static_cast<proto::FileCode>(part.code)) {
        case proto::FileCode::ok: break;
        case proto::FileCode::failed: return end(true, "it can't read them either");
        default: return end(true, "it hasn't got them");
    }
    // A copy: entries are to lie aligned, whatever the size of what came before them.
    const Slice entries = Slice::copy_of(frame.bytes.from(proto::fixed_size(frame.bytes.view())).view());
    if (entries.empty() || checksum(entries.view()) != part.checksum)
        return end(false, "a part's checksum is wrong");
    if (!stretch_->take(entries)) return end(true, "its entries don't fit the chain");
    if (stretch_->whole()) return end(true, {});
    ask();
}

Instant EntryFetch::deadline() const { return busy() ? moved_at_ + patience() : kNever; }

void EntryFetch::tick(Instant now) {
    if (busy() && now >= moved_at_ + patience()) end(false, "it doesn't answer");
}

}  // namespace raftd::daemon
