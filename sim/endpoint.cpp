#include "sim/endpoint.h"

#include <algorithm>
#include <cerrno>

namespace raftd::sim {

using io::CloseReason;
using io::ConnClass;
using io::ConnId;

void SimNetwork::Endpoint::post(io::Event&& event, ConnClass kind) {
    bool peer = kind == ConnClass::peer_control || kind == ConnClass::peer_bulk;
    machine_.post(std::move(event), peer ? Inbox::kPeers : Inbox::kClients);
    if (std::find(network_.touched_.begin(), network_.touched_.end(), this) == network_.touched_.end())
        network_.touched_.push_back(this);
}

SimNetwork::Conn* SimNetwork::Endpoint::mine(ConnId id, size_t& end) {
    Conn* conn = network_.find(static_cast<uint64_t>(id));
    end = static_cast<uint64_t>(id) & 1;
    return conn != nullptr && conn->ends[end].endpoint == this ? conn : nullptr;
}

ConnId SimNetwork::Endpoint::connect(ConnClass kind, std::string_view address) {
    return ConnId{network_.dial(*this, kind, address)};
}

int SimNetwork::Endpoint::listen(ConnClass kind, std::string_view address) {
    auto [place, made] = network_.listeners_.try_emplace(std::string(address), this);
    if (!made) return EADDRINUSE;
    listening_[std::string(address)] = kind;
    network_.address_hosts_[std::string(address)] = machine_.host();
    return 0;
}

/// Frames are cut apart and copied here: what a process does to its memory later doesn't change what it sent.
/// A frame may come in several calls of one turn.
void SimNetwork::Endpoint::send(ConnId id, std::span<const Slice> parts) {
    size_t end = 0;
    Conn* conn = mine(id, end);
    if (conn == nullptr) return;
    End& from = conn->ends[end];
    if (from.leaving.empty() && from.unfinished.empty()) dirty_.push_back(static_cast<uint64_t>(id));
    scratch_.swap(from.unfinished);
    for (const Slice& part : parts) scratch_.insert(scratch_.end(), part.view().begin(), part.view().end());
    ByteView rest(scratch_);
    while (rest.size() >= proto::kFrameHeaderBytes) {
        proto::FrameHeader header;
        std::memcpy(&header, rest.data(), sizeof header);
        if (header.length > rest.size()) break;
        ByteView payload = rest.subspan(sizeof header, header.length - sizeof header);
        CHECK(proto::check_payload(header, payload) == proto::FrameFault::none);
        from.leaving.push_back(Slice::copy_of(rest.first(header.length)));
        rest = rest.subspan(header.length);
    }
    from.unfinished.assign(rest.begin(), rest.end());
    scratch_.clear();
}

uint64_t SimNetwork::Endpoint::queued_bytes(ConnId id) {
    const uint64_t bytes = unacknowledged_bytes(id);
    return bytes > network_.model.kernel_bytes ? bytes - network_.model.kernel_bytes : 0;
}

uint64_t SimNetwork::Endpoint::unacknowledged_bytes(ConnId id) {
    size_t end = 0;
    Conn* conn = mine(id, end);
    if (conn == nullptr) return 0;
    uint64_t bytes = conn->ends[end].out_bytes;
    for (const Slice& frame : conn->ends[end].leaving) bytes += frame.size();
    return bytes;
}

void SimNetwork::Endpoint::pause_reading(ConnId id, bool paused) {
    size_t end = 0;
    Conn* conn = mine(id, end);
    if (conn == nullptr || conn->ends[end].reading_paused == paused) return;
    conn->ends[end].reading_paused = paused;
    if (!paused) network_.kick(*conn, 1 - end, microseconds(5));
}

void SimNetwork::Endpoint::close(ConnId id) {
    size_t end = 0;
    Conn* conn = mine(id, end);
    if (conn == nullptr) return;
    flush_conn(*conn, end);
    if (mine(id, end) == nullptr) return;  // its last frames broke the connection
    network_.enqueue_end(*conn, end, CloseReason::remote);
    network_.gone(*conn, end);
}

void SimNetwork::Endpoint::flush_conn(Conn& conn, size_t end) {
    CHECK(conn.ends[end].unfinished.empty());  // a turn ends with whole frames
    std::vector<Slice> frames;
    frames.swap(conn.ends[end].leaving);
    network_.enqueue(conn, end, frames);
}

void SimNetwork::Endpoint::flush() {
    std::vector<uint64_t> dirty;
    dirty.swap(dirty_);
    for (uint64_t id : dirty) {
        size_t end = 0;
        if (Conn* conn = mine(ConnId{id}, end)) flush_conn(*conn, end);
    }
}

void SimNetwork::Endpoint::resumed() {
    for (Conn& conn : network_.conns_)
        for (size_t end = 0; end < 2; ++end)
            if (conn.used && conn.ends[end].endpoint == this) network_.kick(conn, 1 - end, microseconds(5));
}

}  // namespace raftd::sim
