#include "client/links.h"

#include <algorithm>
#include <utility>

#include "base/uuid.h"
#include "proto/control.pb.h"
#include "proto/frame.h"

namespace raftd::client {
namespace {

constexpr uint32_t kMagic = 0x52414654;
constexpr uint32_t kVersion = 1;
constexpr uint32_t kPingStream = UINT32_MAX;
constexpr Duration kPatienceMin = milliseconds(250);  // a machine may be busy
constexpr uint32_t kRefusalsEnough = 3;               // of every endpoint, for fail_fast

ClusterId id_of(const pb::Id128& id) { return {id.high(), id.low()}; }

}  // namespace

Links::Links(io::Network& network, const SessionOptions& options)
    : network_(network), options_(options), random_(options.seed), cluster_(options.cluster) {
    for (const std::string& address : options.endpoints) {
        Link& link = links_.emplace_back();
        link.address = address;
        link.given = true;
    }
}

Links::Link* Links::find(io::ConnId conn) {
    for (Link& link : links_)
        if (link.conn == conn) return &link;
    return nullptr;
}

Links::Link* Links::find_id(NodeId id) {
    Link* found = nullptr;  // the one that is up, when an address was given twice in different words
    for (Link& link : links_)
        if (link.id == id && (found == nullptr || link.state == State::ready)) found = &link;
    return found;
}

Links::Link* Links::ready(io::ConnId conn) {
    if (conn == io::kNoConn) return nullptr;
    Link* link = find(conn);
    return link != nullptr && link->state == State::ready ? link : nullptr;
}

Links::Link* Links::ready_leader() {
    if (leader_ == NodeId{}) return nullptr;
    Link* link = find_id(leader_);
    return link != nullptr && link->state == State::ready ? link : nullptr;
}

bool Links::leader_may_come() {
    if (leader_ == NodeId{}) return false;
    Link* link = find_id(leader_);
    return link != nullptr && link->state != State::ready && link->state != State::barred;
}

Links::Link* Links::ready_named(std::string_view name) {
    for (Link& link : links_)
        if (link.state == State::ready && link.name == name) return &link;
    return nullptr;
}

bool Links::has_name(std::string_view name) const {
    return std::any_of(links_.begin(), links_.end(), [&](const Link& link) { return link.name == name; });
}

Links::Link* Links::next_ready() {
    for (size_t i = 0; i < links_.size(); ++i) {
        Link& link = links_[turn_ready_++ % links_.size()];
        if (link.state == State::ready) return &link;
    }
    return nullptr;
}

bool Links::any_ready(io::ConnId beside) const {
    return std::any_of(links_.begin(), links_.end(),
                       [&](const Link& link) { return link.state == State::ready && link.conn != beside; });
}

Links::Link* Links::next_idle(Instant now) {
    for (size_t i = 0; i < links_.size(); ++i) {
        Link& link = links_[turn_idle_++ % links_.size()];
        if (link.state != State::idle || link.until > now) continue;
        // A second address of a member that is up already would only be a second connection to it.
        if (link.id != NodeId{} && find_id(link.id)->state == State::ready) continue;
        return &link;
    }
    return nullptr;
}

void Links::connect(Link& link, Instant now) {
    link.conn = network_.connect(io::ConnClass::client, link.address);
    link.state = State::dialing;
    link.until = now + options_.dial_timeout;
    link.wanted = link.watched = link.pinged = false;
    link.asked_patience = kEndless;
}

void Links::fail(Link& link, Instant now, Errc code, std::string_view why) {
    if (link.conn != io::kNoConn) network_.close(link.conn);
    if (link.id != NodeId{} && link.id == leader_) leader_ = NodeId{};
    link.conn = io::kNoConn;
    link.state = State::idle;
    link.error = code;
    link.result = why;
    link.backoff = std::clamp(link.backoff * 2, options_.backoff_min * 2, options_.backoff_max);
    // Half of it is drawn, so that clients that lost the same member don't come back as one.
    auto half = static_cast<uint64_t>(link.backoff.ns / 2);
    link.until = now + Duration{static_cast<int64_t>(half + random_.below(half + 1))};
}

void Links::bar(Link& link, Errc code, std::string why) {
    network_.close(link.conn);
    link.conn = io::kNoConn;
    link.state = State::barred;
    link.error = code;
    link.result = std::move(why);
}

void Links::greet(Link& link) {
    pb::Hello hello;
    hello.set_magic(kMagic);
    hello.set_version_min(kVersion);
    hello.set_version_max(kVersion);
    if (cluster_) {
        hello.mutable_cluster_id()->set_high(cluster_->high);
        hello.mutable_cluster_id()->set_low(cluster_->low);
    }
    hello.set_expect_node_id(raw(link.id));
    Slice frame = proto::make_message_frame(proto::FrameType::hello, 0, as_bytes(hello.SerializeAsString()));
    network_.send(link.conn, {&frame, 1});
    link.state = State::greeting;
}

void Links::ping(Link& link) {
    pb::Request request;
    request.mutable_status();
    Slice frame = proto::make_message_frame(proto::FrameType::request, kPingStream,
                                            as_bytes(request.SerializeAsString()));
    network_.send(link.conn, {&frame, 1});
    link.pinged = true;
}

void Links::take_hello_ok(Link& link, Instant now, ByteView payload) {
    pb::HelloOk ok;
    ByteView message = proto::message_in(payload);
    if (!ok.ParseFromArray(message.data(), static_cast<int>(message.size())) || ok.version() != kVersion)
        return fail(link, now, Errc::failed, "answered the handshake in a form unknown here");
    ClusterId found = id_of(ok.cluster_id());
    if (cluster_ && found != *cluster_)
        return bar(link, Errc::conflict,
                   "is of another cluster (" + to_hex(found) + " instead of " + to_hex(*cluster_) + ")");
    cluster_ = found;
    cluster_name_ = ok.cluster_name();
    link.state = State::ready;
    link.leaderless = 0;
    link.id = NodeId{ok.node_id()};
    link.name = ok.name();
    link.heard = now;
    link.backoff = {};
    link.refusals = 0;
    link.result = "ok";
    met_ = true;
    if (ok.record_bytes_max() != 0) limits_ = {ok.record_bytes_max(), ok.batch_bytes_max()};
    feature_level_ = std::max(feature_level_, ok.feature_level());
    if (ok.leader() != 0 && (ok.leader_term() == 0 || ok.leader_term() >= leader_term_)) {
        leader_ = NodeId{ok.leader()};
        leader_term_ = std::max(leader_term_, ok.leader_term());
    }
    election_timeout_ =
        milliseconds(static_cast<int64_t>(std::min<uint64_t>(ok.election_timeout_ms(), 60'000)));
    // All members have the same ones, but for a new one that has nothing yet.
    if (ok.seams_size() > static_cast<int>(seams_.size())) {
        seams_.clear();
        for (const pb::Seam& seam : ok.seams())
            seams_.push_back({Index{seam.index()}, seam.before(), seam.after()});
    }
    if (ok.config_index() < config_index_) return;  // of a member that is behind
    config_index_ = ok.config_index();
    take_members(link.id, ok);
}

/// Members to connect to when it comes to that. Any Link is void afterwards.
void Links::take_members(NodeId self, const pb::HelloOk& ok) {
    for (const pb::MemberInfo& member : ok.members()) {
        NodeId id{member.id()};
        bool known = id == self;
        for (Link& other : links_) {
            if (other.id != id && !(other.id == NodeId{} && other.address == member.client())) continue;
            other.id = id;
            other.name = member.name();
            // A member that moved: its new address counts from the next attempt on.
            if (!other.given && other.state == State::idle && !member.client().empty())
                other.address = member.client();
            known = true;
        }
        if (known || member.client().empty()) continue;
        Link& added = links_.emplace_back();
        added.address = member.client();
        added.id = id;
        added.name = member.name();
    }
    drop_removed(ok);
}

/// Forgets members that are no longer in the cluster; what the user named stays.
void Links::drop_removed(const pb::HelloOk& ok) {
    std::erase_if(links_, [&](const Link& link) {
        if (link.given || link.state != State::idle) return false;
        return std::none_of(ok.members().begin(), ok.members().end(),
                            [&](const pb::MemberInfo& member) { return NodeId{member.id()} == link.id; });
    });
}

void Links::take_pong(Link& link, ByteView payload) {
    pb::Answer answer;
    ByteView message = proto::message_in(payload);
    if (!answer.ParseFromArray(message.data(), static_cast<int>(message.size())) || !answer.has_status())
        return;
    link.leaderless = answer.status().leader() == 0 ? link.leaderless + 1 : 0;
}

void Links::take_hello_no(Link& link, Instant now, ByteView payload) {
    pb::HelloNo no;
    ByteView message = proto::message_in(payload);
    if (!no.ParseFromArray(message.data(), static_cast<int>(message.size())))
        return fail(link, now, Errc::failed, "answered the handshake in a form unknown here");
    switch (no.code()) {
        case pb::HelloNo::OTHER_CLUSTER:
            return bar(link, Errc::conflict, "is of another cluster: " + no.what());
        case pb::HelloNo::VERSION: return bar(link, Errc::too_new, "speaks another version: " + no.what());
        case pb::HelloNo::OTHER_NODE:
            link.id = NodeId{};
            break;  // the address changed hands: ask without a name
        default: break;
    }
    fail(link, now, Errc::unavailable, no.what().empty() ? "refused the handshake" : no.what());
}

void Links::take_frame(Link& link, io::Frame& frame, Instant now, bool& for_others) {
    link.heard = now;
    link.pinged = false;
    auto type = static_cast<proto::FrameType>(frame.type);
    if (link.state == State::greeting) {
        if (type == proto::FrameType::hello_ok) return take_hello_ok(link, now, frame.bytes.view());
        if (type == proto::FrameType::hello_no) return take_hello_no(link, now, frame.bytes.view());
        return fail(link, now, Errc::failed, "spoke before the handshake");
    }
    if (type == proto::FrameType::hello_ok)
        return take_hello_ok(link, now, frame.bytes.view());  // other members
    bool pong = type == proto::FrameType::answer && frame.stream == kPingStream;
    if (pong) take_pong(link, frame.bytes.view());
    for_others = !pong;
}

bool Links::handle(io::Event& event) {
    bool for_others = false;
    if (auto* frame = std::get_if<io::Frame>(&event.what)) {
        if (Link* link = find(frame->conn)) take_frame(*link, *frame, event.now, for_others);
    } else if (auto* opened = std::get_if<io::Opened>(&event.what)) {
        if (Link* link = find(opened->conn)) greet(*link);
    } else if (auto* closed = std::get_if<io::Closed>(&event.what)) {
        if (Link* link = find(closed->conn)) {
            link->conn = io::kNoConn;
            bool nobody =
                closed->why == io::CloseReason::refused || closed->why == io::CloseReason::unreachable;
            link->refusals = nobody ? link->refusals + 1 : 0;
            fail(*link, event.now, Errc::unreachable, text_of(closed->why));
        }
    }
    return for_others;
}

Duration Links::patience() const {
    Duration most = options_.timeout / 4;
    return election_timeout_.ns == 0 ? most : std::min(most, std::max(election_timeout_ * 2, kPatienceMin));
}

void Links::expire(Instant now) {
    for (Link& link : links_) {
        bool attempt = link.state == State::dialing || link.state == State::greeting;
        if (attempt && now >= link.until) fail(link, now, Errc::unreachable, "timed out");
        if (link.state != State::ready || !link.watched) continue;
        if (!silent(link, now)) continue;
        // Nothing was sent since the last turn's end, so fewer bytes mean that the other machine took some.
        if (network_.unacknowledged_bytes(link.conn) < link.unacknowledged) link.heard = now;
        if (now >= link.heard + link.patience)
            fail(link, now, Errc::unreachable, "has gone silent");
        else if (!link.pinged)
            ping(link);
    }
}

/// When `link` needs the next look.
Instant Links::deadline_of(Link& link, Instant now, bool enough) {
    switch (link.state) {
        case State::dialing:
        case State::greeting: return link.until;
        case State::barred: return kNever;
        case State::idle:
            if (enough || (link.id != NodeId{} && find_id(link.id)->state == State::ready)) return kNever;
            return std::max({next_dial_, link.until, now + milliseconds(1)});
        case State::ready: break;
    }
    if (link.wanted && !link.watched) link.heard = std::max(link.heard, now);  // its silence counts from here
    link.watched = std::exchange(link.wanted, false);
    link.patience = std::exchange(link.asked_patience, kEndless);
    if (!link.watched) return kNever;
    link.unacknowledged = link.pinged || silent(link, now) ? network_.unacknowledged_bytes(link.conn) : 0;
    return link.heard + (link.pinged ? link.patience : link.patience / 4);
}

void Links::dial(Instant now, const Wants& wants) {
    Link* leader = leader_ == NodeId{} ? nullptr : find_id(leader_);
    if (wants.leader && leader != nullptr && leader->state == State::idle && leader->until <= now)
        connect(*leader, now);
    Link* named = nullptr;
    for (Link& link : links_)
        if (!wants.node.empty() && link.name == wants.node) named = &link;
    if (named != nullptr && named->state == State::idle && named->until <= now) connect(*named, now);
    bool has_leader = leader != nullptr && leader->state == State::ready;
    bool has_named = named != nullptr && named->state == State::ready;
    bool enough = (!wants.any || any_ready(wants.beside)) && (!wants.leader || has_leader) &&
                  (wants.node.empty() || has_named || (named == nullptr && any_ready()));
    if (!enough && now >= next_dial_) {
        if (Link* link = next_idle(now)) {
            connect(*link, now);
            next_dial_ = now + options_.dial_stagger;
        }
    }
    deadline_ = kNever;
    for (Link& link : links_) deadline_ = std::min(deadline_, deadline_of(link, now, enough));
}

std::optional<Error> Links::hopeless() const {
    bool barred = true, nobody = options_.fail_fast && !met_;
    for (const Link& link : links_) {
        if (link.state != State::barred) barred = false;
        if (link.state != State::barred && link.refusals < kRefusalsEnough) nobody = false;
    }
    if (!barred && !nobody) return std::nullopt;
    if (!barred) return error(Errc::unreachable, summary());
    return error(links_.empty() ? Errc::bad_input : links_.front().error, summary());
}

std::string Links::summary() const {
    if (links_.empty()) return "no endpoint given";
    std::string text;
    for (const Link& link : links_) {
        if (!text.empty()) text += "; ";
        text += link.name.empty() ? link.address : link.name + " (" + link.address + ")";
        text += link.result.empty() ? " no answer" : " " + link.result;
    }
    return text;
}

}  // namespace raftd::client
