#include "tests/support/stage.h"

#include "base/check.h"
#include "base/features.h"
#include "daemon/handshake.h"
#include "wal/wal.h"

namespace raftd::sim {
namespace {

namespace msg = raft::msg;
constexpr const char* kDataDir = "/data";

}  // namespace

/// All connections end in the test's hands.
class Stage::HandWire : public Wire {
public:
    explicit HandWire(Stage& stage) : stage_(stage) {}
    io::ConnId connect(io::ConnClass kind, std::string_view address) override {
        const io::ConnId conn{++stage_.conn_last_};
        stage_.dialed.push_back({conn, kind, std::string(address)});
        return conn;
    }
    int listen(io::ConnClass, std::string_view) override { return 0; }
    void send(io::ConnId conn, std::span<const Slice> parts) override {
        Sent& frame = unfinished_[conn];
        for (const Slice& part : parts) {
            if (frame.parts.empty()) {
                frame.conn = conn;
                CHECK_GE(part.size(), proto::kFrameHeaderBytes);
                std::memcpy(&frame.header, part.data(), sizeof frame.header);
                left_[conn] = frame.header.length;
            }
            frame.parts.push_back(part);
            CHECK_LE(part.size(), left_[conn]);
            left_[conn] -= part.size();
            if (left_[conn] != 0) continue;
            stage_.sent_.push_back(std::move(frame));
            frame = {};
        }
    }
    uint64_t queued_bytes(io::ConnId) override { return 0; }
    uint64_t unacknowledged_bytes(io::ConnId) override { return 0; }
    void pause_reading(io::ConnId, bool) override {}
    void close(io::ConnId conn) override {
        for (auto& [id, peer] : stage_.peers_)
            if (peer.conn == conn) peer.conn = {}, peer.linked = false;
    }
    void flush() override {}
    void resumed() override {}

private:
    Stage& stage_;
    std::map<io::ConnId, Sent> unfinished_;
    std::map<io::ConnId, uint64_t> left_;
};

Slice Stage::Sent::payload() const {
    std::vector<std::byte> whole;
    for (const Slice& part : parts) whole.insert(whole.end(), part.view().begin(), part.view().end());
    return Slice::copy_of(ByteView(whole).subspan(proto::kFrameHeaderBytes));
}

Stage::Stage(uint32_t members) {
    manifest.cluster_id = {0x57a6e, members};
    manifest.cluster_name = "staged";
    manifest.feature_level = feature_level_max();
    for (uint32_t i = 1; i <= members; ++i) {
        std::string name = "n" + std::to_string(i);
        manifest.members.push_back({NodeId{i}, name, name + ":7001", name + ":7002",
                                    snapshot::genesis_incarnation(manifest.cluster_id, NodeId{i}), false, 0});
        if (i != 1) peers_[NodeId{i}].id = NodeId{i};
    }
    options.settings.name = "n1";
    options.settings.data_dir = kDataDir;
    options.settings.log.segment_bytes = 256u << 10;
    options.settings.log.disk_free_min = 512u << 10;
    options.settings.log.disk_free_reserve = 256u << 10;
    options.first_segment_bytes = 256u << 10;
    options.simulated = true;
    options.black_box = false;
}

Stage::~Stage() {
    node_.reset();
    machine_.reset();
}

std::unique_ptr<Wire> Stage::attach(Machine&) { return std::make_unique<HandWire>(*this); }

void Stage::start() {
    SimFiles files(storage);
    if (storage.paths().empty()) {
        CHECK(snapshot::create(files, kDataDir, manifest, NodeId{1}).has_value());
        wal::Options wal{.dir = std::string(kDataDir) + "/wal",
                         .cluster_id = manifest.cluster_id,
                         .incarnation = manifest.members[0].incarnation,
                         .base = snapshot::genesis_point(manifest),
                         .first_segment_bytes = options.first_segment_bytes,
                         .segment_bytes = options.settings.log.segment_bytes};
        CHECK(wal::create_first(files, wal).has_value());
    }
    node_.reset();
    machine_ = std::make_unique<Machine>(kernel, storage, disk, clock_, *this, 1, 5);
    machine_->turns.gather = 0;
    maker_ = std::make_unique<SimStoreMaker>(store);
    options.store = maker_.get();
    bool up = machine_->run([&] {
        auto opened = daemon::Node::open(machine_->io(), options);
        CHECK(opened.has_value());
        node_ = std::move(*opened);
        CHECK(node_->start().has_value());
    });
    CHECK(up);
    machine_->set_handler(node_.get());
    client_ = dial_client();
    for (auto& [id, peer] : peers_) connect(peer);
    run_for(milliseconds(10));
}

Stage::Peer& Stage::add_peer(uint64_t id) {
    Peer& peer = peers_[NodeId{id}];
    peer.id = NodeId{id};
    connect(peer);
    return peer;
}

/// Who a peer is, in either direction.
template <class Greeting>
void Stage::introduce(const Peer& peer, Greeting& hello) const {
    hello.mutable_cluster_id()->set_high(manifest.cluster_id.high);
    hello.mutable_cluster_id()->set_low(manifest.cluster_id.low);
    hello.set_node_id(raw(peer.id));
    Incarnation incarnation = snapshot::genesis_incarnation(manifest.cluster_id, peer.id);
    hello.mutable_incarnation()->set_high(incarnation.high);
    hello.mutable_incarnation()->set_low(incarnation.low);
    hello.set_boot(1);
    hello.set_boot_nonce(raw(peer.id));
    hello.set_features(feature_level_max());
}

void Stage::connect(Peer& peer, const std::string& address) {
    peer.conn = io::ConnId{++conn_last_};
    peer.linked = false;
    machine_->post({kernel.now(), io::Opened{peer.conn, io::ConnClass::peer_control, true, "played"}},
                   Inbox::kPeers);
    pb::Hello hello = client_hello();
    introduce(peer, hello);
    hello.set_peer(address);
    deliver(peer.conn, message_frame(proto::FrameType::hello, 0, hello), true);
}

void Stage::take_dial(Peer& peer, io::ConnId conn) {
    peer.conn = conn;
    peer.linked = true;
    machine_->post({kernel.now(), io::Opened{conn, io::ConnClass::peer_control, false, "played"}},
                   Inbox::kPeers);
    pb::HelloOk hello;
    introduce(peer, hello);
    hello.set_version(daemon::kProtocolVersion);
    deliver(conn, message_frame(proto::FrameType::hello_ok, 0, hello), true);
}

void Stage::hang_up(Peer& peer) {
    peer.linked = false;
    machine_->post({kernel.now(), io::Closed{std::exchange(peer.conn, {}), io::CloseReason::reset}},
                   Inbox::kPeers);
}

pb::Request Stage::members_wanted(const std::vector<uint64_t>& voters,
                                  const std::vector<uint64_t>& learners) {
    pb::Request request;
    pb::ChangeMembers& change = *request.mutable_change_members();
    change.set_expected_config_index(raw(node_->core().view().membership.index));
    auto want = [&](uint64_t id, bool voter) {
        pb::MemberInfo& info = *change.add_target();
        std::string name = "n" + std::to_string(id);
        Incarnation incarnation = snapshot::genesis_incarnation(manifest.cluster_id, NodeId{id});
        info.set_id(id);
        info.set_name(name);
        info.set_peer(name + ":7001");
        info.set_client(name + ":7002");
        info.set_voter(voter);
        info.mutable_incarnation()->set_high(incarnation.high);
        info.mutable_incarnation()->set_low(incarnation.low);
    };
    for (uint64_t id : voters) want(id, true);
    for (uint64_t id : learners) want(id, false);
    return request;
}

io::ConnId Stage::dial_client() {
    io::ConnId conn{++conn_last_};
    machine_->post({kernel.now(), io::Opened{conn, io::ConnClass::client, true, "played"}}, Inbox::kClients);
    deliver(conn, message_frame(proto::FrameType::hello, 0, client_hello()), false);
    return conn;
}

void Stage::deliver(io::ConnId conn, const Slice& frame, bool from_peer) {
    proto::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    Slice payload = Slice::copy_of(frame.view().subspan(sizeof header));
    machine_->post({kernel.now(), io::Frame{conn, header.type, header.flags, header.stream, payload}},
                   from_peer ? Inbox::kPeers : Inbox::kClients);
    machine_->settle();
}

proto::Trailer Stage::trailer(const Peer& peer) const {
    LogPoint claimed = peer.claims.value_or(snapshot::genesis_point(manifest));
    auto wall = static_cast<uint64_t>(machine_->io().clock.wall_ms());
    proto::Trailer trailer = peer.adds;
    trailer.wall_ms = wall;
    trailer.boot = 1;
    trailer.chain_index = raw(claimed.index);
    trailer.chain = claimed.chain;
    trailer.disk_free = uint64_t{1} << 40;
    trailer.flags = peer.flags;
    return trailer;
}

void Stage::say(Peer& peer, const msg::Any& message) {
    deliver(peer.conn, daemon::encode_peer(message, 0, 0, trailer(peer)), true);
}

void Stage::say_append(Peer& peer, const msg::Append& append, uint32_t count, ByteView entries) {
    Slice head = daemon::encode_peer(append, count, entries.size(), {});
    std::vector<std::byte> whole(head.view().begin(), head.view().end());
    whole.insert(whole.end(), entries.begin(), entries.end());
    deliver(peer.conn, Slice::copy_of(whole), true);
}

void Stage::play() {
    while (!sent_.empty() && !ended()) {
        Sent sent = std::move(sent_.front());
        sent_.pop_front();
        auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const auto& item) { return item.second.conn == sent.conn; });
        if (found != peers_.end())
            play(found->second, sent);
        else if (!heard.take(sent.header.type, sent.header.stream, sent.payload().view()))
            others.push_back(std::move(sent));
    }
}

void Stage::play(Peer& peer, const Sent& sent) {
    peer.got.push_back(sent.type());
    if (sent.type() == proto::FrameType::hello_ok) peer.linked = true;
    auto message = daemon::decode_peer({sent.conn, sent.header.type, 0, 0, sent.payload()});
    if (!message || peer.mute || (peer.instead && peer.instead(peer, sent, *message))) return;
    if (auto* vote = std::get_if<msg::Vote>(&message->message)) {
        // Who refuses a pre-vote stays in its term, and says that.
        Term term = vote->pre && !peer.grants ? vote->term - 1 : vote->term;
        return say(peer, msg::VoteOk{term, peer.grants, vote->pre, {}});
    }
    auto* append = std::get_if<msg::Append>(&message->message);
    if (append == nullptr) return;
    if (append->last <= peer.acks_upto) peer.match = append->last;
    say(peer, msg::AppendOk{append->term, peer.match, append->round, false});
}

void Stage::run_for(Duration time) {
    Instant end = kernel.now() + time;
    while (kernel.now() < end && !ended()) {
        kernel.run_until(std::min(end, kernel.now() + microseconds(200)));
        play();
    }
}

bool Stage::until(const std::function<bool()>& done) {
    Instant end = kernel.now() + seconds(30);
    while (!done() && !ended() && kernel.now() < end) run_for(microseconds(200));
    return done();
}

bool Stage::lead() {
    return until([&] {
        const raft::Core& core = node_->core();
        return core.role() == raft::Role::leader && core.view().commit == core.last();
    });
}

uint32_t Stage::append(const Draft& draft) {
    deliver(client_, draft.frame(++stream_), false);
    return stream_;
}

uint32_t Stage::ask(const pb::Request& request) {
    deliver(client_, message_frame(proto::FrameType::request, ++stream_, request), false);
    return stream_;
}

proto::AppendDoneItem Stage::appended(const Draft& draft) {
    uint32_t stream = append(draft);
    if (!until([&] { return heard.done.contains(stream); }))
        return {stream, proto::AppendCode::unknown, 0, 0, 0};
    return heard.done[stream];
}

pb::Answer Stage::asked(const pb::Request& request) {
    uint32_t stream = ask(request);
    until([&] { return heard.answers.contains(stream); });
    return heard.answers[stream];
}

}  // namespace raftd::sim
