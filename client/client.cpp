#include "client/client.h"

#include <charconv>
#include <utility>

#include "client/client_parts.h"

namespace raftd::client {

void Client::Parts::pump() {
    if (now() > pumped + seconds(1)) runner->turn(session, Instant{});
    pumped = now();
    session.end_turn(pumped);
    while (runner->turn(session, Instant{})) {
    }
}

Result<LeaderAnswer> Client::Parts::ask(std::string request, const std::function<bool()>& give_up) {
    LeaderCall& call = session.question();
    call.ask(std::move(request));
    std::optional<LeaderAnswer> answer;
    Instant until = now() + session.options().timeout;
    while (!answer && !session.links().hopeless() && now() < until && !(give_up && give_up()))
        pump_until(milliseconds(100), [&] { return (answer = call.take()).has_value(); });
    if (answer && answer->error) return *answer->error;
    if (answer) return std::move(*answer);
    std::shared_ptr<const Error> why = call.why();
    call.drop();
    if (auto hopeless = session.links().hopeless()) return *hopeless;
    if (!session.links().any_ready()) return error(Errc::unreachable, session.links().summary());
    return why ? *why : error(Errc::unavailable, "no leader answered");
}

Client::Client(std::unique_ptr<Runner> runner, SessionOptions options)
    : parts_(std::make_unique<Parts>(std::move(runner), std::move(options))) {}
Client::~Client() {
    if (!parts_) return;
    parts_->session.say_farewell();
    parts_->runner->turn(parts_->session, Instant{});
}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

namespace {

Batch batch_of(std::span<const std::string_view> records, Lsn expect) {
    std::vector<ByteView> views;
    views.reserve(records.size());
    for (std::string_view record : records) views.push_back(as_bytes(record));
    Batch batch = Batch::of(views);
    batch.expect = expect;
    return batch;
}

Appended refusal(std::string what) {
    Appended appended;
    appended.why = std::make_shared<const Error>(error(Errc::bad_input, std::move(what)));
    return appended;
}

}  // namespace

Appended Client::append(std::span<const std::string_view> records, Lsn expect) {
    if (records.empty()) return refusal("a batch needs at least one record");
    std::optional<Appended> mine;
    uint64_t ticket = 0;
    auto collect = [&] {
        Appended one;
        while (!mine && parts_->session.take(one)) {
            if (one.ticket == ticket)
                mine = std::move(one);
            else
                parts_->finished.push_back(std::move(one));
        }
        return mine.has_value();
    };
    // A full window empties: each batch before has an end within the time-out.
    while ((ticket = parts_->session.submit(batch_of(records, expect))) == 0)
        parts_->pump_until(seconds(1), collect);
    while (!mine) parts_->pump_until(seconds(1), collect);
    return std::move(*mine);
}

uint64_t Client::submit(std::span<const std::string_view> records, Lsn expect) {
    if (records.empty()) return 0;
    return parts_->session.submit(batch_of(records, expect));
}

size_t Client::poll(std::span<Appended> out, Duration wait) {
    size_t count = 0;
    auto collect = [&] {
        while (count < out.size() && !parts_->finished.empty()) {
            out[count++] = std::move(parts_->finished.front());
            parts_->finished.pop_front();
        }
        while (count < out.size() && parts_->session.take(out[count])) ++count;
        return count > 0 || (parts_->session.appends().empty() && wait != Duration{});
    };
    parts_->pump_until(wait, collect);
    collect();
    return count;
}

uint64_t Client::open_appends() const { return parts_->session.appends().size() + parts_->finished.size(); }

Unresolved Client::unresolved() const { return parts_->session.appends().unresolved(); }
bool Client::hopeless() const { return parts_->session.links().hopeless().has_value(); }

void Client::cancel_unsent() {
    parts_->session.cancel_unsent(error(Errc::unavailable, "given up before it was sent"));
}

Result<ProducerFacts> Client::open_producer(Duration wait) {
    Session& session = parts_->session;
    const Producer& producer = session.appends().producer();
    session.want_producer();
    using State = Producer::State;
    auto ended = [&] { return producer.state() != State::none && producer.state() != State::opening; };
    auto too_old = [&] { return session.links().met() && session.links().feature_level() < 2; };
    parts_->pump_until(wait, [&] { return ended() || too_old() || session.links().hopeless(); });
    if (producer.open()) return producer.facts();
    if (ended()) return *producer.why();
    if (too_old())
        return error(Errc::conflict,
                     "the cluster's feature level is " + std::to_string(session.links().feature_level()) +
                         ", and producers need 2",
                     "raftctl feature raise");
    if (auto hopeless = session.links().hopeless()) return *hopeless;
    if (!session.links().any_ready()) return error(Errc::unreachable, session.links().summary());
    return producer.trouble() ? *producer.trouble() : error(Errc::unavailable, "no leader answered");
}

namespace {

/// An id in digits; 0: it isn't one.
uint64_t id_of(std::string_view text) {
    uint64_t id = 0;
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), id);
    return failed == std::errc() && end == text.data() + text.size() ? id : 0;
}

Resolution judge(const LeaderAnswer& answer, uint64_t sequence) {
    Resolution found;
    found.producer = answer.producer;
    if (answer.producer.id == 0) {
        found.fate = Resolution::Fate::gone;
    } else if (sequence <= answer.producer.last) {
        found.fate = Resolution::Fate::committed;
        if (answer.sequence) found.first = answer.sequence->first, found.count = answer.sequence->count;
    }
    return found;
}

}  // namespace

Result<Resolution> Client::resolve(std::string_view producer, uint64_t sequence,
                                   const std::function<bool()>& give_up) {
    auto ask = [&](std::string request) { return parts_->ask(std::move(request), give_up); };
    TRY(answer, ask(query_producer_request(producer, 0, sequence)));
    uint64_t id = id_of(producer);
    if (answer.producer.id == 0 && id == 0)
        return error(Errc::not_found, "there is no producer " + std::string(producer));
    if (answer.producer.id == 0) {
        TRY(by_id, ask(query_producer_request({}, id, sequence)));
        answer = std::move(by_id);
    }
    Resolution found = judge(answer, sequence);
    // A named one may be in use by another process, which a mere question must not fence.
    if (found.fate != Resolution::Fate::open || !found.producer.name.empty()) return found;
    TRY(opened, ask(open_producer_request({}, found.producer.id, 0)));
    if (sequence > opened.producer.last) {
        found = judge(opened, sequence);
        found.fate = Resolution::Fate::never;
        return found;
    }
    TRY(landed, ask(query_producer_request({}, found.producer.id, sequence)));
    return judge(landed, sequence);
}

int Client::wait_fd() { return parts_->runner->wait_fd(); }

Instant Client::now() const { return parts_->now(); }
int64_t Client::wall_ms() const { return parts_->runner->clock().wall_ms(); }

Tail Client::tail(const TailOptions& options) { return {*parts_, options}; }

Result<void> Client::connect(Duration wait) {
    parts_->session.want_member(true);
    const Links& links = parts_->session.links();
    parts_->pump_until(wait, [&] { return links.any_ready() || links.hopeless(); });
    parts_->session.want_member(false);
    if (links.any_ready()) return {};
    if (auto why = links.hopeless()) return *why;
    return error(Errc::unreachable, links.summary());
}

ClusterView Client::cluster() const {
    const Links& links = parts_->session.links();
    ClusterView view;
    view.id = links.cluster();
    view.name = links.cluster_name();
    view.leader = links.leader();
    view.limits = links.limits();
    for (const Links::Link& link : links.all())
        view.members.push_back(
            {link.id, link.name, link.address, link.state == Links::State::ready, link.result});
    return view;
}

Tail::Tail(Client::Parts& parts, const TailOptions& options)
    : parts_(&parts), id_(static_cast<uint64_t>(parts.session.open_tail(options))) {}
Tail::Tail(Tail&& other) noexcept : parts_(std::exchange(other.parts_, nullptr)), id_(other.id_) {}
Tail::~Tail() {
    if (parts_ == nullptr) return;
    parts_->session.close_tail(TailId{id_});
    parts_->pump();
}

size_t Tail::next(std::span<Record> out, Duration wait) {
    TailStream& stream = parts_->session.tail(TailId{id_});
    size_t count = stream.next(out);
    if (count > 0 || stream.ended()) return count;
    parts_->pump_until(wait, [&] { return (count = stream.next(out)) > 0 || stream.ended(); });
    return count > 0 ? count : stream.next(out);
}

bool Tail::ended() const { return parts_->session.tail(TailId{id_}).ended(); }
std::optional<Error> Tail::failure() const { return parts_->session.tail(TailId{id_}).failure(); }
Lsn Tail::nearest() const { return parts_->session.tail(TailId{id_}).nearest(); }
bool Tail::caught_up() const { return parts_->session.tail(TailId{id_}).caught_up(); }
uint64_t Tail::commit_lsn() const { return parts_->session.tail(TailId{id_}).commit_lsn(); }

}  // namespace raftd::client
