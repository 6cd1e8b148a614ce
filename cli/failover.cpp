#include "cli/failover.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "base/random.h"
#include "cli/connect.h"
#include "cli/launch.h"
#include "cli/view.h"

namespace raftd::cli {
namespace {

constexpr Duration kFailoverAskTimeout = milliseconds(500);
constexpr int kRecordBytes = 64;

/// An open loop of appends that never pauses while something else is waited for.
class Load {
public:
    Load(client::Client& client, uint32_t rate) : client_(client), interval_{1'000'000'000 / rate} {
        due_ = last_answer_ = client.now();
    }
    Instant now() const { return client_.now(); }
    uint64_t next_ticket() const { return ticket_ + 1; }

    /// Runs until `done`, at most so long; false when the time is over, or interrupted.
    bool until(Duration most, const std::function<bool()>& done) {
        Instant end = now() + most;
        while (!done()) {
            if (now() >= end || interrupted()) return false;
            turn();
        }
        return true;
    }
    void run(Duration span) {
        until(span, [] { return false; });
    }
    /// The longest time without an answer is measured from here on.
    void watch() { silence_ = {}; }
    Duration silence() const { return silence_; }

    uint64_t committed = 0, refused = 0, unknown = 0;
    uint64_t newest = 0;  // ticket of the newest committed append
    Term term{};          // of it
    Instant newest_at{};  // when that was learned

private:
    void turn() {
        static const std::string kRecord(kRecordBytes, 'x');
        for (; due_ <= now(); due_ = due_ + interval_) {
            uint64_t ticket = client_.submit(kRecord);
            if (ticket == 0) break;  // the window is full; it stays due
            ticket_ = ticket;
        }
        Duration wait = std::clamp(due_ - now(), Duration{}, milliseconds(100));
        size_t count = client_.poll(done_, wait);
        Instant at = now();
        for (size_t i = 0; i < count; ++i) {
            refused += done_[i].outcome == client::Outcome::refused;
            unknown += done_[i].outcome == client::Outcome::unknown;
            if (done_[i].outcome != client::Outcome::committed) continue;
            ++committed;
            newest = done_[i].ticket;
            term = done_[i].term;
            newest_at = at;
            silence_ = std::max(silence_, at - last_answer_);
            last_answer_ = at;
        }
    }

    client::Client& client_;
    Duration interval_;
    Instant due_, last_answer_;
    Duration silence_{};
    uint64_t ticket_ = 0;
    client::Appended done_[256];
};

class FailoverBench {
public:
    FailoverBench(const Context& context, Connected& connected, const BenchFailoverOptions& options)
        : context_(context), found_(connected.found), load_(connected.client, options.rate) {}

    enum class How : uint8_t { silent, killed, transfer };

    Result<void> prepare() {
        TRY(daemon, find_daemon());
        daemon_ = std::move(daemon);
        TRY(leader, healthy_leader());
        timeout_ = milliseconds(static_cast<int64_t>(leader.status->election_timeout_ms()));
        return {};
    }
    Duration timeout() const { return timeout_; }
    const Load& load() const { return load_; }

    /// How long nobody was answered, each time.
    Result<std::vector<Duration>> measure(How how, uint32_t times) {
        std::vector<Duration> gaps;
        while (gaps.size() < times) {
            if (interrupted()) return error(Errc::failed, "interrupted");
            TRY(leader, healthy_leader());
            // At any point between two heartbeats, and with whatever a new reign does behind it.
            load_.run(timeout_ +
                      Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(timeout_.ns)))});
            TRY(gap, how == How::transfer ? transfer(leader) : hurt(leader, how == How::killed));
            gaps.push_back(gap);
            if (shows_progress(context_))
                note(context_, std::to_string(gaps.size()) + "/" + std::to_string(times));
        }
        return gaps;
    }

private:
    Error no_answer() const {
        if (interrupted()) return error(Errc::failed, "interrupted");
        return error(Errc::unavailable, "no append was answered for 30 election timeouts", "raftctl why");
    }

    Result<MemberView> healthy_leader() {
        ClusterView view;
        auto healthy = [&] {
            view = observe(found_, kFailoverAskTimeout);
            return view.state == State::healthy;
        };
        if (!load_.until(context_.timeout, healthy))
            return error(Errc::degraded, "needs all members up and connected: " + closing_sentence(view),
                         "raftctl why");
        return *view.leader;
    }

    Result<LocalMember> local(const MemberView& leader) const {
        auto members = local_members(found_, {leader.name});
        if (!members || running_process(members->front()) <= 0)
            return error(
                Errc::bad_input,
                "the leader " + leader.name + " doesn't run on this machine, so it can't be stopped here",
                "raftctl transfer-leader to a member of this machine");
        return members->front();
    }

    /// From the signal to the first answer to an append that was made behind it.
    Result<Duration> hurt(const MemberView& leader, bool kill_it) {
        TRY(member, local(leader));
        pid_t process = running_process(member);
        uint64_t first = load_.next_ticket();
        Instant at = load_.now();
        ::kill(process, kill_it ? SIGKILL : SIGSTOP);
        bool answered = load_.until(timeout_ * 30, [&] { return load_.newest >= first; });
        Duration gap = load_.newest_at - at;
        if (!kill_it) ::kill(process, SIGCONT);
        if (kill_it) {
            for (Launched& one : launched_) look_after(one);  // it may be a child of this process
            load_.until(seconds(10), [&] { return running_process(member) == 0; });
            TRY(again, launch(daemon_, member));
            launched_.push_back(std::move(again));
        }
        if (!answered) return no_answer();
        return gap;
    }

    /// The longest time between two answers from the request until the new leader answers.
    Result<Duration> transfer(const MemberView& leader) {
        std::vector<uint64_t> others;
        for (uint64_t id : leader.status->voters())
            if (id != leader.id) others.push_back(id);
        if (others.empty()) return error(Errc::bad_input, "there is no other voter", "raftctl member add");
        pb::Request request;
        request.mutable_transfer_leader()->set_to(others[random_.below(others.size())]);
        Term before = load_.term;
        load_.watch();
        MemberAnswer answer = std::move(ask_each({leader.client}, request, kFailoverAskTimeout).front());
        if (!answer.answer || answer.answer->has_error())
            return error(Errc::unavailable,
                         leader.name + " didn't hand over: " +
                             (answer.answer ? answer.answer->error().what() : answer.failure),
                         "raftctl why");
        if (!load_.until(timeout_ * 30, [&] { return load_.term > before; })) return no_answer();
        return load_.silence();
    }

    const Context& context_;
    const Found& found_;
    Load load_;
    Random random_{1};
    std::string daemon_;
    Duration timeout_{};
    std::vector<Launched> launched_;
};

/// The least value that `part` of all are not above.
Duration quantile(std::vector<Duration> values, double part) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    auto rank = static_cast<size_t>(part * static_cast<double>(values.size()));
    return values[std::min(rank, values.size() - 1)];
}

double in_t(Duration value, Duration timeout) {
    return static_cast<double>(value.ns) / static_cast<double>(std::max<int64_t>(timeout.ns, 1));
}

std::string row_of(const char* name, const std::vector<Duration>& gaps, Duration timeout) {
    char text[128];
    std::snprintf(text, sizeof text, "%-15s %5zu  %6.2f T %6.2f T %6.2f T %6.2f T\n", name, gaps.size(),
                  in_t(quantile(gaps, 0.5), timeout), in_t(quantile(gaps, 0.9), timeout),
                  in_t(quantile(gaps, 0.99), timeout), in_t(quantile(gaps, 1), timeout));
    return gaps.empty() ? "" : text;
}

Json json_of(const std::vector<Duration>& gaps, Duration timeout) {
    Json each = Json::array();
    for (Duration gap : gaps) each.add(Json::object().add("ms", static_cast<double>(gap.ns) / 1e6));
    Json json = Json::object();
    json.add("count", uint64_t{gaps.size()});
    json.add("p50_t", in_t(quantile(gaps, 0.5), timeout)).add("p90_t", in_t(quantile(gaps, 0.9), timeout));
    json.add("p99_t", in_t(quantile(gaps, 0.99), timeout)).add("max_t", in_t(quantile(gaps, 1), timeout));
    return json.add("each_ms", each);
}

}  // namespace

Exit bench_failover(const Context& context, const BenchFailoverOptions& options) {
    client::SessionOptions session;
    session.window_batches = 1u << 16;
    session.window_bytes = 256u << 20;
    auto connected = connect(context, session);
    if (!connected) return connected.error();
    FailoverBench bench(context, *connected, options);
    if (auto ready = bench.prepare(); !ready) return fail(context, ready.error());
    using How = FailoverBench::How;
    std::string text;
    Json json = Json::object();
    json.add("schema", 1)
        .add("bench", "failover")
        .add("election_timeout_ms", uint64_t(bench.timeout().ns / 1'000'000));
    json.add("rate", uint64_t{options.rate});
    struct Part {
        How how;
        uint32_t times;
        const char *name, *key;
    };
    for (const Part& part : {Part{How::silent, options.silent, "silent leader", "silent"},
                             Part{How::killed, options.kills, "killed leader", "killed"},
                             Part{How::transfer, options.transfers, "transfer", "transfer"}}) {
        auto gaps = bench.measure(part.how, part.times);
        if (interrupted()) return Exit::interrupted;
        if (!gaps) return fail_with_cluster(context, connected->client, gaps.error());
        text += row_of(part.name, *gaps, bench.timeout());
        json.add(part.key, json_of(*gaps, bench.timeout()));
    }
    const Load& load = bench.load();
    json.add("committed", load.committed).add("refused", load.refused).add("unknown", load.unknown);
    char head[160];
    std::snprintf(
        head, sizeof head, "T is %s; %u appends/s, open loop: %lu committed, %lu refused, %lu unknown\n",
        text_of_duration(bench.timeout()).c_str(), options.rate, load.committed, load.refused, load.unknown);
    std::string table =
        std::string(head) + "no answer        times      p50      p90      p99      max\n" + text;
    write_out(context.output == Output::text ? table : json.text() + "\n");
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
