#include "tests/support/fake_cluster.h"

#include <algorithm>

#include "base/result.h"
#include "proto/control.pb.h"

namespace raftd::fakes {

using proto::AppendCode;
using proto::FrameType;

FakeCluster::FakeCluster(int members) {
    for (int i = 1; i <= members; ++i) {
        FakeMember& member = members_.emplace_back();
        member.id = static_cast<uint64_t>(i);
        member.name = "n" + std::to_string(i);
        member.address = "10.0.0." + std::to_string(i) + ":7201";
        member.log = &log_;
    }
}

std::vector<std::string> FakeCluster::addresses() const {
    std::vector<std::string> all;
    for (const FakeMember& member : members_) all.push_back(member.address);
    return all;
}

void FakeCluster::set_leader(uint64_t id) {
    for (FakeMember& member : members_) member.leader = id;
}

size_t FakeCluster::connections(uint64_t id) const {
    return static_cast<size_t>(
        std::count_if(conns_.begin(), conns_.end(), [&](const auto& conn) { return conn.second == id; }));
}

void FakeCluster::later(std::function<void()> what) { queue_.emplace(now_ + latency, std::move(what)); }

void FakeCluster::to_client(io::Event event, io::ConnId conn) {
    event.now = now_;
    auto owner = owners_.find(conn);
    bool beside =
        owner != owners_.end() && std::find(others_.begin(), others_.end(), owner->second) != others_.end();
    running_ = beside ? owner->second : handler_;
    running_->handle(event);
}

void FakeCluster::end_turns() {
    running_ = handler_;
    handler_->end_turn(now_);
    for (io::Handler* other : others_) {
        running_ = other;
        other->end_turn(now_);
    }
    running_ = nullptr;
}

bool FakeCluster::turn(Instant until) {
    Instant next = std::min(wake_, queue_.empty() ? kNever : queue_.begin()->first);
    if (next > std::max(until, now_)) {
        now_ = std::max(until, now_);
        return false;
    }
    now_ = std::max(now_, next);
    if (wake_ <= now_) {
        wake_ = kNever;
        to_client({now_, io::Woken{}}, io::kNoConn);
    }
    while (!queue_.empty() && queue_.begin()->first <= now_) {
        auto what = std::move(queue_.begin()->second);
        queue_.erase(queue_.begin());
        what();
    }
    end_turns();
    return true;
}

bool FakeCluster::run_until(const std::function<bool()>& done, Duration limit) {
    Instant end = now_ + limit;
    end_turns();
    while (!done())
        if (!turn(end)) return false;
    return true;
}

void FakeCluster::run_for(Duration time) {
    run_until([] { return false; }, time);
}

io::ConnId FakeCluster::connect(io::ConnClass, std::string_view address) {
    io::ConnId conn{++last_conn_};
    owners_[conn] = running_ != nullptr ? running_ : handler_;
    auto found = std::find_if(members_.begin(), members_.end(),
                              [&](const FakeMember& member) { return member.address == address; });
    auto reach = found == members_.end() ? FakeMember::Reach::refuses : found->reach;
    if (reach == FakeMember::Reach::silent) {
        conns_[conn] = 0;  // so that close() knows it
        return conn;
    }
    uint64_t id = found == members_.end() ? 0 : found->id;
    conns_[conn] = id;
    later([this, conn, reach, text = std::string(address)] {
        if (!conns_.contains(conn)) return;
        if (reach == FakeMember::Reach::up)
            return to_client({now_, io::Opened{conn, io::ConnClass::client, false, text}}, conn);
        conns_.erase(conn);
        to_client({now_, io::Closed{conn, io::CloseReason::refused}}, conn);
    });
    return conn;
}

void FakeCluster::close(io::ConnId conn) {
    conns_.erase(conn);
    for (FakeMember& member : members_)
        std::erase_if(member.streams, [&](const auto& tail) { return tail.conn == conn; });
}

void FakeCluster::cut(uint64_t id, FakeMember::Reach reach) {
    member(id).reach = reach;
    member(id).streams.clear();
    std::vector<io::ConnId> ended;
    for (const auto& [conn, to] : conns_)
        if (to == id) ended.push_back(conn);
    for (io::ConnId conn : ended) {
        conns_.erase(conn);
        if (reach == FakeMember::Reach::silent) continue;
        later([this, conn] { to_client({now_, io::Closed{conn, io::CloseReason::reset}}, conn); });
    }
}

void FakeCluster::strand(uint64_t id, Duration after) {
    for (const auto& [conn, to] : conns_)
        if (to == id) stranded_[conn] = {id, after};
    cut(id, FakeMember::Reach::up);
}

void FakeCluster::set_feature_level(uint32_t level) {
    for (FakeMember& member : members_) member.feature_level = level;
}

void FakeCluster::send(io::ConnId conn, std::span<const Slice> parts) {
    if (!conns_.contains(conn)) return;
    std::vector<std::byte> bytes;
    for (const Slice& part : parts) bytes.insert(bytes.end(), part.view().begin(), part.view().end());
    while (!bytes.empty()) {
        proto::FrameHeader header;
        std::memcpy(&header, bytes.data(), sizeof header);
        Slice frame = Slice::copy_of(ByteView(bytes).first(header.length));
        bytes.erase(bytes.begin(), bytes.begin() + header.length);
        if (bytes_per_second == 0) {
            later([this, conn, frame] { receive(conn, frame); });
            continue;
        }
        Instant& by = sent_by_[conn];
        by = std::max(by, now_) +
             Duration{static_cast<int64_t>(uint64_t{header.length} * 1'000'000'000 / bytes_per_second)};
        queue_.emplace(by + latency, [this, conn, frame] { receive(conn, frame); });
    }
}

uint64_t FakeCluster::unacknowledged_bytes(io::ConnId conn) {
    auto by = sent_by_.find(conn);
    if (by == sent_by_.end() || !conns_.contains(conn))
        return by == sent_by_.end() ? 0 : 1;  // it was cut: stays
    const auto left = static_cast<uint64_t>(std::max<int64_t>((by->second - now_).ns, 0));
    return left * bytes_per_second / 1'000'000'000;
}

void FakeCluster::answer(FakeMember& member, io::ConnId conn, const Slice& frame) {
    if (member.mute) return;
    later([this, conn, frame] {
        if (!conns_.contains(conn)) return;
        proto::FrameHeader header;
        std::memcpy(&header, frame.data(), sizeof header);
        if (mangle) {
            ByteView sent = frame.view().subspan(sizeof header);
            std::vector<std::byte> payload(sent.begin(), sent.end());
            mangle(header.type, header.stream, payload);
            return to_client(
                {now_, io::Frame{conn, header.type, header.flags, header.stream, Slice::copy_of(payload)}},
                conn);
        }
        to_client(
            {now_, io::Frame{conn, header.type, header.flags, header.stream, frame.from(sizeof header)}},
            conn);
    });
}

void FakeCluster::receive(io::ConnId conn, Slice frame) {
    auto found = conns_.find(conn);
    auto stranded = stranded_.find(conn);
    if (found == conns_.end() && stranded == stranded_.end()) return;
    if (found == conns_.end() && stranded->second.second.ns > 0) {
        queue_.emplace(now_ + stranded->second.second, [this, conn, frame] {
            stranded_[conn].second = {};
            receive(conn, frame);
        });
        return;
    }
    FakeMember& to = member(found != conns_.end() ? found->second : stranded->second.first);
    if (to.mute) return;
    proto::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    ByteView payload = frame.view().subspan(sizeof header);
    if (proto::check_payload(header, payload) != proto::FrameFault::none) std::abort();
    switch (static_cast<FrameType>(header.type)) {
        case FrameType::hello: return hello(to, conn, payload);
        case FrameType::append: return append(to, conn, header.stream, payload);
        case FrameType::tail_open: return tail_open(to, conn, header.stream, payload);
        case FrameType::tail_credit: {
            proto::TailCredit credit;
            proto::read_fixed(payload, credit);
            for (auto& tail : to.streams)
                if (tail.conn == conn && tail.stream == header.stream) {
                    tail.credit += static_cast<int64_t>(credit.bytes);
                    serve(to, tail);
                }
            return;
        }
        case FrameType::tail_close:
            std::erase_if(to.streams, [&](const auto& tail) {
                return tail.conn == conn && tail.stream == header.stream;
            });
            return;
        case FrameType::request: return request(to, conn, header.stream, payload);
        default: std::abort();
    }
}

void FakeCluster::request(FakeMember& to, io::ConnId conn, uint32_t stream, ByteView payload) {
    pb::Request asked;
    pb::Answer said;
    ByteView message = proto::message_in(payload);
    asked.ParseFromArray(message.data(), static_cast<int>(message.size()));
    const FakeProducer* producer = nullptr;
    if (asked.has_status()) {
        ++to.pings;
        said.mutable_status()->set_node_id(to.id);
        said.mutable_status()->set_leader(to.leader);
    } else if (to.leader != to.id) {
        said.mutable_error()->set_code(static_cast<uint32_t>(Errc::unavailable));
        said.mutable_error()->set_what("doesn't lead");
        said.mutable_error()->set_leader(to.leader);
    } else if (asked.has_open_producer()) {
        ++to.opens;
        const auto& open = asked.open_producer();
        producer = to.log->find_producer(open.name(), open.id());
        bool fenced = producer != nullptr && open.epoch() != 0 && open.epoch() != producer->epoch;
        if (!fenced) producer = to.log->open_producer(open.name(), open.id());
        said.mutable_producer()->set_fenced(fenced);
        if (producer == nullptr) {
            said.mutable_error()->set_code(static_cast<uint32_t>(Errc::not_found));
            said.mutable_error()->set_what("no such producer");
        }
    } else if (asked.has_close_producer()) {
        ++to.closes;
        producer = to.log->find_producer({}, asked.close_producer().id());
        if (producer != nullptr && producer->epoch == asked.close_producer().epoch())
            to.log->producers.erase(std::exchange(producer, nullptr)->id);
        said.mutable_producer();
    } else if (asked.has_query_producer()) {
        ++to.queries;
        const auto& query = asked.query_producer();
        producer = to.log->find_producer(query.name(), query.id());
        said.mutable_producer();
        if (producer != nullptr && producer->answers.contains(query.sequence())) {
            const EntryHeader& header = producer->answers.at(query.sequence());
            auto& facts = *said.mutable_producer()->mutable_sequence();
            facts.set_index(header.index);
            facts.set_lsn_first(header.lsn_first);
            facts.set_record_count(header.record_count);
            facts.set_term(header.term);
            facts.set_timestamp_ms(header.timestamp_ms);
            facts.set_body_checksum(header.body_checksum);
        }
    }
    if (producer != nullptr) {
        said.mutable_producer()->set_id(producer->id);
        said.mutable_producer()->set_epoch(producer->epoch);
        said.mutable_producer()->set_last_sequence(producer->last);
        said.mutable_producer()->set_records(producer->records);
        said.mutable_producer()->set_name(producer->name);
    }
    if (asked.has_open_producer() && std::exchange(to.opens_unknown, false)) {
        said.mutable_error()->set_code(static_cast<uint32_t>(Errc::unknown));
        said.mutable_error()->set_what("lost office");
    }
    if (to.deaf_to_requests && !said.has_status()) return;
    answer(to, conn,
           proto::make_message_frame(FrameType::answer, stream, as_bytes(said.SerializeAsString())));
}

void FakeCluster::hello(FakeMember& to, io::ConnId conn, ByteView payload) {
    ++to.hellos;
    pb::Hello hello;
    ByteView message = proto::message_in(payload);
    hello.ParseFromArray(message.data(), static_cast<int>(message.size()));
    if (hello.has_cluster_id() &&
        ClusterId{hello.cluster_id().high(), hello.cluster_id().low()} != to.cluster) {
        pb::HelloNo no;
        no.set_code(pb::HelloNo::OTHER_CLUSTER);
        no.set_what("this is another cluster");
        return answer(to, conn,
                      proto::make_message_frame(FrameType::hello_no, 0, as_bytes(no.SerializeAsString())));
    }
    to.run_ended[conn] = true;
    answer(to, conn, hello_ok(to));
}

void FakeCluster::tell_members(uint64_t id) {
    for (const auto& [conn, to] : conns_)
        if (to == id) answer(member(id), conn, hello_ok(member(id)));
}

Slice FakeCluster::hello_ok(const FakeMember& to) const {
    pb::HelloOk ok;
    ok.set_version(1);
    ok.mutable_cluster_id()->set_high(to.cluster.high);
    ok.mutable_cluster_id()->set_low(to.cluster.low);
    ok.set_node_id(to.id);
    ok.set_name(to.name);
    ok.set_leader(to.leader);
    ok.set_leader_term(leader_term);
    ok.set_election_timeout_ms(election_timeout_ms);
    ok.set_record_bytes_max(1u << 20);
    ok.set_batch_bytes_max(1u << 20);
    ok.set_feature_level(to.feature_level);
    ok.set_config_index(to.config_index);
    for (const FakeMember& other : members_) {
        bool told = to.members.empty() ||
                    std::find(to.members.begin(), to.members.end(), other.id) != to.members.end();
        if (!told) continue;
        pb::MemberInfo* info = ok.add_members();
        info->set_id(other.id);
        info->set_name(other.name);
        info->set_client(other.address);
        info->set_voter(true);
    }
    return proto::make_message_frame(FrameType::hello_ok, 0, as_bytes(ok.SerializeAsString()));
}

void FakeCluster::done(FakeMember& to, io::ConnId conn, const proto::AppendDoneItem& item) {
    if (to.answers_left == 0) return;
    --to.answers_left;
    std::vector<std::byte> fixed(sizeof(proto::AppendDone) + sizeof item);
    proto::AppendDone head{static_cast<uint32_t>(fixed.size()), 1, to.leader, 0};
    std::memcpy(fixed.data(), &head, sizeof head);
    std::memcpy(fixed.data() + sizeof head, &item, sizeof item);
    answer(to, conn, proto::make_frame(FrameType::append_done, 0, fixed));
}

void FakeCluster::append(FakeMember& to, io::ConnId conn, uint32_t stream, ByteView payload) {
    ++to.appends;
    proto::Append append;
    if (!proto::read_fixed(payload, append)) std::abort();
    ByteView body = payload.subspan(proto::fixed_size(payload));
    bool begins = (append.flags & proto::kAppendRun) != 0;
    AppendCode code = to.leader == to.id ? AppendCode::committed : AppendCode::not_leader;
    if (code == AppendCode::committed && to.run_ended[conn] && !begins) code = AppendCode::retry;
    if (!to.script.empty() && (begins || !to.run_ended[conn])) {
        code = to.script.front();
        to.script.erase(to.script.begin());
    }
    if (check_form(append.draft) != EntryFault::none || check_body(append.draft, body) != EntryFault::none)
        code = AppendCode::bad_batch;
    proto::AppendDoneItem item{stream, code, 0, 1, 0};
    uint64_t end = raw(to.log->end().lsn_next);
    if (code == AppendCode::committed && append.expect_lsn != 0 && append.expect_lsn != end &&
        to.log->fresh(append.draft)) {
        code = AppendCode::condition_failed;
        item = {stream, code, end, 1, 0};
    }
    bool lands = code == AppendCode::committed || (code == AppendCode::unknown && to.unknown_lands);
    if (lands) {
        EntryHeader header;
        AppendCode found = code;
        if (append.draft.producer == 0)
            header = to.log->add(append.draft, body);
        else
            found = to.log->add_numbered(append.draft, body, header, end);
        if (code == AppendCode::committed) code = found;
        bool in = code == AppendCode::committed || code == AppendCode::repeated;
        item = {stream, code, in ? header.lsn_first : end, header.term, header.timestamp_ms};
        serve_tails();
    }
    bool taken = code == AppendCode::committed || code == AppendCode::unknown ||
                 code == AppendCode::refused || code == AppendCode::repeated ||
                 code == AppendCode::repeated_forgotten;
    bool bad = code == AppendCode::bad_batch || code == AppendCode::too_large;
    if (!bad || append.draft.producer != 0) to.run_ended[conn] = !taken;
    bool rests = code >= AppendCode::fenced && code <= AppendCode::condition_failed;
    if (rests && to.refusal_delay.ns > 0) {
        queue_.emplace(now_ + to.refusal_delay, [this, id = to.id, conn, item] {
            if (conns_.contains(conn)) done(member(id), conn, item);
        });
        return;
    }
    if (to.hold)
        to.held.emplace_back(conn, item);
    else
        done(to, conn, item);
}

void FakeCluster::release(uint64_t id) {
    for (const auto& [conn, item] : std::exchange(member(id).held, {})) done(member(id), conn, item);
    member(id).hold = false;
}

void FakeCluster::tail_open(FakeMember& to, io::ConnId conn, uint32_t stream, ByteView payload) {
    ++to.tails;
    proto::TailOpen open;
    if (!proto::read_fixed(payload, open)) std::abort();
    to.opened.push_back(open);
    if (to.tail_code) {
        const uint64_t last = raw(to.log->end().lsn_next) - 1;
        proto::TailEnd end{sizeof end, *to.tail_code, *to.tail_code == proto::TailCode::end ? last : 0};
        return answer(to, conn, proto::make_frame(FrameType::tail_end, stream, proto::fixed_bytes(end)));
    }
    const FakeLog& log = *to.log;
    uint64_t commit_lsn = raw(log.end().lsn_next) - 1;
    bool follow = (open.flags & proto::kTailFollow) != 0;
    size_t next = 0;
    auto at_lsn = [&](uint64_t lsn) {  // entry that holds `lsn`, or the end
        size_t i = 0;
        while (i < log.entries.size() && raw(log.points[i + 1].lsn_next) <= lsn) ++i;
        return i;
    };
    switch (open.from) {
        case proto::TailFrom::lsn:
            if (open.value > commit_lsn && !follow) {
                proto::TailEnd end{sizeof end, proto::TailCode::beyond, commit_lsn};
                return answer(to, conn,
                              proto::make_frame(FrameType::tail_end, stream, proto::fixed_bytes(end)));
            }
            next = at_lsn(open.value);
            break;
        case proto::TailFrom::first: next = 0; break;
        case proto::TailFrom::end: next = log.entries.size(); break;
        case proto::TailFrom::last_n:
            next = at_lsn(commit_lsn >= open.value ? commit_lsn - open.value + 1 : 1);
            break;
        case proto::TailFrom::index:
            if (open.value == 0 || open.value > log.entries.size() + 1) {
                proto::TailEnd end{sizeof end, proto::TailCode::beyond, commit_lsn};
                return answer(to, conn,
                              proto::make_frame(FrameType::tail_end, stream, proto::fixed_bytes(end)));
            }
            next = open.value - 1;
            break;
        case proto::TailFrom::time_ms:
            while (next < log.entries.size() && log.points[next + 1].timestamp_ms < open.value) ++next;
            break;
    }
    size_t stop = follow ? SIZE_MAX : log.entries.size();
    to.streams.push_back({conn, stream, next, stop, static_cast<int64_t>(open.credit), commit_lsn, false});
    serve(to, to.streams.back());
}

void FakeCluster::serve_tails() {
    for (FakeMember& to : members_)
        for (auto& tail : to.streams) serve(to, tail);
}

void FakeCluster::serve(FakeMember& to, FakeMember::Tail& tail) {
    const FakeLog& log = *to.log;
    size_t stop = std::min(tail.stop, log.entries.size());
    while (tail.credit > 0 && (tail.next < stop || !tail.announced)) {
        proto::TailData data{};
        data.size = sizeof data;
        const LogPoint& before = log.points[tail.next];
        data.before_index = raw(before.index);
        data.before_term = raw(before.term);
        data.before_chain = before.chain;
        data.before_lsn_next = raw(before.lsn_next);
        data.commit_lsn = tail.announced ? raw(log.end().lsn_next) - 1 : tail.commit_lsn;
        data.commit_index = log.entries.size();
        std::vector<std::byte> entries;
        while (tail.announced && tail.next < stop && entries.size() < to.frame_bytes_max) {
            const auto& entry = log.entries[tail.next++];
            entries.insert(entries.end(), entry.begin(), entry.end());
        }
        tail.announced = true;
        tail.credit -= static_cast<int64_t>(entries.size());
        if (tail.credit < 0)
            to.uncredited_max = std::max(to.uncredited_max, static_cast<uint64_t>(-tail.credit));
        data.flags = tail.next == log.entries.size() ? proto::kTailCaughtUp : 0;
        if (to.spoil && !entries.empty()) to.spoil(entries);
        if (to.misplace) to.misplace(data);
        answer(to, tail.conn,
               proto::make_frame(FrameType::tail_data, tail.stream, proto::fixed_bytes(data), entries));
    }
    if (tail.next < tail.stop || tail.stop == SIZE_MAX) return;
    proto::TailEnd end{sizeof end, proto::TailCode::end, 0};
    answer(to, tail.conn, proto::make_frame(FrameType::tail_end, tail.stream, proto::fixed_bytes(end)));
    tail.stop = SIZE_MAX;
    tail.credit = 0;
}

}  // namespace raftd::fakes
