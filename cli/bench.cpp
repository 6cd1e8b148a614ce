#include "cli/bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <deque>

#include "base/random.h"
#include "cli/connect.h"
#include "cli/histogram.h"

namespace raftd::cli {
namespace {

double seconds_of(Duration duration) { return static_cast<double>(duration.ns) / 1e9; }

/// CPU time of this process.
Duration cpu_time() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    auto us = [](const timeval& time) { return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; };
    return microseconds(us(usage.ru_utime) + us(usage.ru_stime));
}

/// Bodies that don't compress and differ from each other, made without a cost that would be measured.
class Bodies {
public:
    explicit Bodies(uint32_t record_bytes) : bytes_(record_bytes), pool_(record_bytes + kPool, '\0') {
        Random random(1);
        for (char& byte : pool_) byte = static_cast<char>(random.next());
    }
    /// Pieces beside each other: where they overlapped, an archive's frames (256 KiB) could be packed.
    std::string_view next() {
        at_ = (at_ + bytes_ + 61) % kPool;
        return std::string_view(pool_).substr(at_, bytes_);
    }

private:
    static constexpr size_t kPool = 1u << 20;
    size_t bytes_;
    std::string pool_;
    size_t at_ = 0;
};

struct Tally {
    Histogram latency;
    uint64_t committed = 0, refused = 0, unknown = 0;
    Duration time{}, cpu{};
    Duration silence{};  // longest time without an acknowledgement
    std::optional<Error> failure;
};

class AppendBench {
public:
    AppendBench(client::Client& client, const BenchAppendOptions& options)
        : client_(client),
          options_(options),
          bodies_(options.record_bytes),
          interval_{options.rate == 0 ? 0 : 1'000'000'000 / options.rate} {}

    Tally run() {
        Instant start = client_.now();
        due_ = start;
        counted_from_ = start + options_.warm_up;
        Instant end = counted_from_ + options_.duration;
        Duration cpu_before = cpu_time();
        bool warm = false;
        while (client_.now() < end && !interrupted() && !tally_.failure) {
            if (!warm && client_.now() >= counted_from_) {
                warm = true;
                cpu_before = cpu_time();
                last_answer_ = client_.now();
            }
            options_.rate == 0 ? submit_closed() : submit_due(end);
            collect(end);
        }
        tally_.time = client_.now() - counted_from_;
        tally_.cpu = cpu_time() - cpu_before;
        // What is under way isn't measured, but has to be known before the connection ends.
        client_.cancel_unsent();
        closing_ = true;
        while (client_.open_appends() > 0 && !interrupted()) take(client_.poll(done_, milliseconds(100)));
        return std::move(tally_);
    }

private:
    bool submit(Instant at) {
        records_.clear();
        for (uint32_t i = 0; i < options_.batch; ++i) records_.push_back(bodies_.next());
        if (client_.submit(records_) == 0) return false;
        sent_.push_back(at);
        return true;
    }
    void submit_closed() {
        while (client_.open_appends() < options_.in_flight && submit(client_.now())) {
        }
    }
    void submit_due(Instant end) {
        for (Instant now = client_.now(); due_ <= now && due_ < end; due_ = due_ + interval_)
            if (!submit(due_)) return;  // the window is full; it stays due
    }
    void collect(Instant end) {
        Instant until = options_.rate == 0 ? end : std::min(end, due_);
        Duration wait = std::clamp(until - client_.now(), Duration{}, milliseconds(100));
        size_t count = client_.poll(done_, wait);
        take(count);
    }

    void take(size_t count) {
        Instant now = client_.now();
        for (size_t i = 0; i < count; ++i) {
            Instant at = sent_.front();
            sent_.pop_front();
            const client::Appended& one = done_[i];
            if (closing_) continue;
            if (one.outcome == client::Outcome::refused) ++tally_.refused;
            if (one.outcome == client::Outcome::unknown) ++tally_.unknown;
            if (one.why && one.why->code == Errc::bad_input) tally_.failure = *one.why;
            if (one.outcome != client::Outcome::committed || at < counted_from_) continue;
            ++tally_.committed;
            tally_.latency.add(now - at);
            tally_.silence = std::max(tally_.silence, now - last_answer_);
            last_answer_ = now;
        }
    }

    client::Client& client_;
    const BenchAppendOptions& options_;
    Bodies bodies_;
    Duration interval_;
    Tally tally_;
    bool closing_ = false;
    std::vector<std::string_view> records_;
    std::deque<Instant> sent_;  // of appends without outcome, in order
    client::Appended done_[256];
    Instant due_{}, counted_from_{}, last_answer_{};
};

double ms(Duration duration) { return static_cast<double>(duration.ns) / 1e6; }

Json numbers_of(const Tally& tally, const BenchAppendOptions& options) {
    double time = std::max(seconds_of(tally.time), 1e-9), count = static_cast<double>(tally.committed);
    Json json = Json::object();
    json.add("schema", 1).add("bench", "append").add("mode", options.rate == 0 ? "closed" : "open");
    json.add("size", uint64_t{options.record_bytes}).add("batch", uint64_t{options.batch});
    if (options.rate == 0)
        json.add("in_flight", uint64_t{options.in_flight}).null("rate");
    else
        json.null("in_flight").add("rate", uint64_t{options.rate});
    json.add("seconds", seconds_of(tally.time)).add("appends", tally.committed);
    json.add("refused", tally.refused).add("unknown", tally.unknown);
    json.add("appends_per_s", count / time).add("records_per_s", count * options.batch / time);
    json.add("bytes_per_s", count * options.batch * options.record_bytes / time);
    json.add("p50_ms", ms(tally.latency.quantile(0.5))).add("p99_ms", ms(tally.latency.quantile(0.99)));
    json.add("p99_9_ms", ms(tally.latency.quantile(0.999))).add("max_ms", ms(tally.latency.max()));
    json.add("longest_silence_ms", ms(tally.silence));
    json.add("client_cpu_us_per_append", count == 0 ? 0 : static_cast<double>(tally.cpu.ns) / 1e3 / count);
    return json;
}

std::string rate_text(double per_second) { return std::to_string(static_cast<uint64_t>(per_second)); }

std::string text_of(const Tally& tally, const BenchAppendOptions& options) {
    double time = std::max(seconds_of(tally.time), 1e-9), count = static_cast<double>(tally.committed);
    std::string text = std::to_string(tally.committed) + " appends of " + std::to_string(options.batch) +
                       " x " + text_of_bytes(options.record_bytes) + " in " + text_of_duration(tally.time) +
                       ": " + rate_text(count / time) + " appends/s, " +
                       rate_text(count * options.batch / time) + " records/s\n";
    text += "latency  p50 " + text_of_duration(tally.latency.quantile(0.5)) + "  p99 " +
            text_of_duration(tally.latency.quantile(0.99)) + "  p99.9 " +
            text_of_duration(tally.latency.quantile(0.999)) + "  max " +
            text_of_duration(tally.latency.max()) + "\n";
    if (tally.refused + tally.unknown > 0)
        text +=
            "refused " + std::to_string(tally.refused) + "  unknown " + std::to_string(tally.unknown) + "\n";
    return text;
}

Exit show(const Context& context, const std::string& text, const Json& numbers) {
    if (!write_out(context.output == Output::text ? text : numbers.text() + "\n")) return Exit::done;
    return finish_output(context, Exit::done);
}

}  // namespace

Exit bench_append(const Context& context, const BenchAppendOptions& options) {
    if (options.batch == 0 || (options.in_flight == 0 && options.rate == 0))
        return fail(context, error(Errc::bad_input, "--batch and --in-flight need at least 1"));
    client::SessionOptions session;
    session.window_batches = std::max(options.in_flight, 1u << 16);
    session.window_bytes = 256u << 20;
    session.exactly_once = !options.no_producer;
    auto connected = connect(context, session);
    if (!connected) return connected.error();
    Tally tally = AppendBench(connected->client, options).run();
    if (tally.failure) return fail_with_cluster(context, connected->client, *tally.failure);
    Exit exit = show(context, text_of(tally, options), numbers_of(tally, options));
    if (interrupted()) return Exit::interrupted;
    return tally.committed == 0 ? Exit::unavailable : exit;
}

Exit bench_tail(const Context& context, const BenchTailOptions& options) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    client::Client& client = connected->client;
    client::TailOptions wanted;
    wanted.linearizable = !options.local;
    wanted.node = options.node;
    Duration cpu_before = cpu_time();
    Instant start = client.now();
    client::Tail tail = client.tail(wanted);
    uint64_t records = 0, bytes = 0;
    std::vector<client::Record> some(1024);
    while (!tail.ended()) {
        size_t count = tail.next(some, milliseconds(100));
        for (size_t i = 0; i < count; ++i) bytes += some[i].data.size();
        records += count;
        if (interrupted()) return Exit::interrupted;
    }
    if (auto failure = tail.failure()) return fail_with_cluster(context, connected->client, *failure);
    double time = std::max(seconds_of(client.now() - start), 1e-9), cpu = seconds_of(cpu_time() - cpu_before);
    Json json = Json::object();
    json.add("schema", 1)
        .add("bench", "tail")
        .add("seconds", time)
        .add("records", records)
        .add("bytes", bytes);
    json.add("records_per_s", static_cast<double>(records) / time)
        .add("bytes_per_s", static_cast<double>(bytes) / time);
    json.add("client_cpu_s", cpu);
    std::string text = std::to_string(records) + " records, " + text_of_bytes(bytes) + " in " +
                       text_of_duration(client.now() - start) + ": " +
                       rate_text(static_cast<double>(records) / time) + " records/s, " +
                       text_of_bytes(static_cast<uint64_t>(static_cast<double>(bytes) / time)) + "/s\n";
    return show(context, text, json);
}

}  // namespace raftd::cli
