// Frames on their way through the simulated network: when they arrive, and what may go wrong with them.
#include <algorithm>

#include "proto/client.h"
#include "sim/endpoint.h"

namespace raftd::sim {

using io::CloseReason;
using io::ConnId;

namespace {

Duration up_to(Random& random, Duration max) {
    return {static_cast<int64_t>(random.below(static_cast<uint64_t>(max.ns) + 1))};
}

}  // namespace

Duration SimNetwork::delay(uint32_t from, uint32_t to) {
    Duration way = model.delay_min + up_to(random_, model.delay_spread);
    if (random_.chance(model.tail)) way = way + up_to(random_, model.tail_max);
    if (model.loss > 0 && random_.chance(model.loss)) {
        way = way + model.retransmit * (1 + static_cast<int64_t>(random_.below(3)));
        ++totals.delayed;
    }
    if (!slow_.empty())
        if (auto extra = slow_.find({from, to}); extra != slow_.end())
            way = way + up_to(random_, extra->second * 2);
    return way;
}

/// All that one turn sent on one connection leaves together and arrives together.
void SimNetwork::enqueue(Conn& conn, size_t end, std::span<const Slice> frames) {
    End& mine = conn.ends[end];
    if (frames.empty()) return;
    uint64_t bytes = 0;
    for (const Slice& frame : frames) bytes += frame.size();
    totals.frames += frames.size();
    totals.bytes += bytes;
    Duration wire{static_cast<int64_t>(bytes * 1'000'000'000 / model.bytes_per_second)};
    Instant at =
        std::max(mine.arrival_last, kernel_.now() + delay(mine.host, conn.ends[1 - end].host)) + wire;
    mine.arrival_last = at;
    for (const Slice& frame : frames) {
        if (watcher != nullptr) {
            proto::FrameHeader header;
            std::memcpy(&header, frame.data(), sizeof header);
            watcher->sent(mine.host, conn.ends[1 - end].host, mine.kind, header,
                          frame.view().subspan(sizeof header));
        }
        if (astray(conn, end, frame)) continue;
        for (int copies = model.append_double > 0 && doubled_append(frame) ? 2 : 1; copies > 0; --copies) {
            mine.out.push_back({at, frame, {}});
            mine.out_bytes += frame.size();
        }
    }
    if (mine.unheard_since == kNever) mine.unheard_since = kernel_.now();
    if (mine.out_bytes > model.kernel_bytes + io::Network::kHighWaterBytes) mine.above_high = true;
    if (!mine.out.empty()) arm(conn, end, mine.out.front().at);
    if (model.reset > 0 && random_.chance(model.reset)) {
        mine.out.clear();
        mine.out_bytes = 0;
        enqueue_end(conn, end, CloseReason::reset);
        close_end(conn, end, CloseReason::reset);
    }
}

/// The datagram fault. True: the frame doesn't go the usual way.
bool SimNetwork::astray(Conn& conn, size_t end, const Slice& frame) {
    if (model.datagram_drop + model.datagram_double + model.datagram_reorder == 0) return false;
    proto::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    if (header.type < static_cast<uint16_t>(proto::FrameType::append_entries) ||
        header.type > static_cast<uint16_t>(proto::FrameType::timeout_now))
        return false;
    if (random_.chance(model.datagram_drop)) {
        ++totals.dropped;
        return true;
    }
    bool doubled = random_.chance(model.datagram_double);
    bool reordered = !doubled && random_.chance(model.datagram_reorder);
    if (!doubled && !reordered) return false;
    ++(doubled ? totals.doubled : totals.reordered);
    uint32_t place = static_cast<uint32_t>(strays_.size());
    if (strays_free_.empty()) {
        strays_.emplace_back();
    } else {
        place = strays_free_.back();
        strays_free_.pop_back();
    }
    strays_[place] = {id_of(conn, 1 - end), frame};
    Duration late = random_.chance(0.5) ? up_to(random_, milliseconds(5)) : up_to(random_, model.stray_max);
    kernel_.schedule_in(delay(conn.ends[end].host, conn.ends[1 - end].host) + late, actor_, stray, place);
    return reordered;
}

/// As if a proxy on the way had sent it twice: whoever numbers its appends doesn't mind.
bool SimNetwork::doubled_append(const Slice& frame) {
    proto::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    proto::Append append;
    if (header.type != static_cast<uint16_t>(proto::FrameType::append) ||
        !proto::read_fixed(frame.view().subspan(sizeof header), append) || append.draft.producer == 0 ||
        !random_.chance(model.append_double))
        return false;
    ++totals.appends_doubled;
    return true;
}

/// Behind all that was sent, the connection's end follows.
void SimNetwork::enqueue_end(Conn& conn, size_t end, CloseReason why) {
    End& mine = conn.ends[end];
    Instant at = std::max(mine.arrival_last, kernel_.now() + delay(mine.host, conn.ends[1 - end].host));
    mine.arrival_last = at;
    mine.out.push_back({at, {}, why});
    arm(conn, end, mine.out.front().at);
}

void SimNetwork::arm(Conn& conn, size_t end, Instant at) {
    if (conn.ends[end].armed) return;
    conn.ends[end].armed = true;
    kernel_.schedule(at, actor_, arrive, id_of(conn, end));
}

/// What was held up goes on.
void SimNetwork::kick(Conn& conn, size_t end, Duration wait) {
    if (!conn.used || conn.ends[end].out.empty() || conn.ends[end].armed) return;
    arm(conn, end, std::max(conn.ends[end].out.front().at, kernel_.now() + wait));
}

/// `end` sent it; the other end takes what has arrived. Whatever stops the flow kicks it again when it is
/// over.
void SimNetwork::take_arrived(Conn& conn, size_t end) {
    End &mine = conn.ends[end], &other = conn.ends[1 - end];
    mine.armed = false;
    bool heard = host_up(other.host) && !is_cut(other.host, mine.host);
    while (!mine.out.empty() && mine.out.front().at <= kernel_.now()) {
        if (is_cut(mine.host, other.host) || !host_up(other.host)) {
            want_patrol();
            return;
        }
        if (other.endpoint == nullptr) {  // nobody takes it: reset, if the answer gets through
            mine.out.clear();
            mine.out_bytes = 0;
            if (mine.endpoint != nullptr && heard) close_end(conn, end, CloseReason::reset);
            return;
        }
        bool dial_unfinished = !other.up;
        if (dial_unfinished || other.reading_paused || other.endpoint->machine().paused()) {
            if (heard) mine.unheard_since = kNever;
            return;
        }
        Parcel parcel = std::move(mine.out.front());
        mine.out.pop_front();
        if (parcel.frame.empty()) {
            close_end(conn, 1 - end, parcel.why);
            return;
        }
        mine.out_bytes -= parcel.frame.size();
        deliver(conn, 1 - end, parcel.frame);
        if (!conn.used) return;  // it was damaged on its way, and the reader gave the connection up
    }
    if (heard)
        mine.unheard_since = mine.out.empty() ? kNever : kernel_.now();
    else
        want_patrol();
    if (mine.above_high && mine.out_bytes < model.kernel_bytes + io::Network::kHighWaterBytes) {
        mine.above_high = false;
        if (mine.endpoint != nullptr)
            mine.endpoint->post({kernel_.now(), io::Writable{ConnId{id_of(conn, end)}}}, mine.kind);
    }
    if (!mine.out.empty()) arm(conn, end, mine.out.front().at);
}

/// Flips a bit. True when the reader notices: its end of the connection is over, as over a real socket.
bool SimNetwork::corrupted(Conn& conn, size_t to_end, Slice& frame) {
    ++totals.corrupted;
    frame = Slice::copy_of(frame.view());
    uint64_t sent_bytes = frame.size();
    uint64_t at =
        random_.chance(0.5) ? random_.below(std::min<uint64_t>(sent_bytes, 160)) : random_.below(sent_bytes);
    frame.data()[at] ^= std::byte{1} << static_cast<int>(random_.below(8));
    proto::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    ByteView payload = frame.view().subspan(sizeof header);
    // With a wrong length the reader takes other bytes for the frame's, and no checksum fits.
    if (header.length == sent_bytes && proto::check_payload(header, payload) == proto::FrameFault::none)
        return false;
    enqueue_end(conn, to_end, CloseReason::reset);
    close_end(conn, to_end, CloseReason::protocol);
    return true;
}

void SimNetwork::deliver(Conn& conn, size_t to_end, const Slice& sent) {
    Slice frame = sent;
    if (model.corrupt > 0 && random_.chance(model.corrupt) && corrupted(conn, to_end, frame)) return;
    proto::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    kernel_.note(uint64_t{header.checksum} << 32 | uint64_t{header.type} << 16 | conn.ends[to_end].host);
    End& end = conn.ends[to_end];
    if (watcher != nullptr)
        watcher->arrived(conn.ends[1 - to_end].host, end.host, header, frame.view().subspan(sizeof header));
    io::Frame arrived{ConnId{id_of(conn, to_end)}, header.type, header.flags, header.stream,
                      frame.from(sizeof header)};
    end.endpoint->post({kernel_.now(), std::move(arrived)}, end.kind);
}

}  // namespace raftd::sim
