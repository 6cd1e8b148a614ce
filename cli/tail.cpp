#include "cli/tail.h"

#include <unistd.h>

#include <algorithm>

#include "cli/connect.h"
#include "cli/cursor_keeper.h"
#include "cli/place.h"

namespace raftd::cli {
namespace {

constexpr uint64_t kLastByDefault = 10;
constexpr size_t kOutputBytes = 128u << 10;

/// What --from, --to, -n and --count come to.
struct Range {
    client::TailOptions tail;
    uint64_t to_ms = UINT64_MAX;  // --to names a time: the last stamp wanted
    uint64_t count = UINT64_MAX;
};

Result<void> set_start(const TailOptions& options, int64_t now_ms, Range& range) {
    using Kind = Place::Kind;
    if (!options.from.empty()) {
        if (!options.number.empty())
            return error(Errc::bad_input, "-n and --from exclude each other",
                         "use --count to limit what --from shows");
        TRY(from, parse_place(options.from, now_ms));
        range.tail.value = from.value;
        range.tail.from = from.kind == Kind::lsn     ? client::From::lsn
                          : from.kind == Kind::first ? client::From::first
                          : from.kind == Kind::end   ? client::From::end
                                                     : client::From::time_ms;
        return {};
    }
    range.tail.from = client::From::last_n;
    range.tail.value = kLastByDefault;
    if (options.number == "all") {
        range.tail.from = client::From::first;
    } else if (!options.number.empty()) {
        bool digits =
            options.number.size() < 19 && options.number.find_first_not_of("0123456789") == std::string::npos;
        if (!digits)
            return error(Errc::bad_input, "-n needs a number or all, not \"" + options.number + "\"");
        range.tail.value = std::stoull(options.number);
        if (range.tail.value == 0) range.tail.from = client::From::end;
    } else if (!options.to.empty()) {
        range.tail.from = client::From::first;
    }
    return {};
}

Result<Range> range_of(const Context& context, const TailOptions& options, int64_t now_ms) {
    Range range;
    if (options.follow && context.output == Output::json)
        return error(Errc::bad_input, "-o json is one document, and following never ends", "use -o jsonl");
    if (!options.cursor.empty() && (!options.from.empty() || !options.number.empty()))
        return error(Errc::bad_input, "--cursor says where to begin, and so do --from and -n",
                     "raftctl cursor set " + options.cursor + " LSN moves it");
    TRY_VOID(set_start(options, now_ms, range));
    range.tail.follow = options.follow;
    range.tail.linearizable = !options.local && !options.follow;
    TRY(max_lag, max_lag_ms(options.max_lag, options.local, options.follow));
    range.tail.max_lag_ms = max_lag;
    range.tail.node = options.node;
    range.count = options.count.value_or(UINT64_MAX);
    if (options.to.empty() || options.to == "end") return range;
    TRY(to, parse_place(options.to, now_ms));
    if (to.kind == Place::Kind::first) return error(Errc::bad_input, "--to needs an LSN, end, or a time");
    if (to.kind == Place::Kind::time)
        range.to_ms = to.value;
    else
        range.tail.to = Lsn{to.value};
    if (range.tail.from == client::From::lsn && range.tail.to && raw(*range.tail.to) < range.tail.value)
        return error(Errc::bad_input, "--to is before --from");
    if (range.tail.from == client::From::time_ms && range.to_ms < range.tail.value)
        return error(Errc::bad_input, "--to is before --from");
    return range;
}

class TailRun {
public:
    /// `keeper`: of the cursor that is read from; nothing, there is none.
    TailRun(const Context& context, const TailOptions& options, Connected& connected, Range range,
            CursorKeeper* keeper)
        : context_(context),
          options_(options),
          client_(connected.client),
          range_(std::move(range)),
          keeper_(keeper),
          escape_(::isatty(STDOUT_FILENO) != 0) {}

    Exit run() {
        if (context_.output == Output::json) output_ = "{\"schema\":1,\"records\":[";
        std::optional<client::Tail> tail(client_.tail(range_.tail));
        while (!over_) {
            client::Record some[512];
            size_t count = tail->next(some, Duration{});
            take({some, count});
            if (over_) break;
            if (count > 0) continue;
            if (!flush()) return Exit::done;
            if (auto kept = keep(false); !kept) return fail_with_cluster(context_, client_, kept.error());
            if (tail->ended()) {
                auto failure = tail->failure();
                if (!failure || at_the_end(*failure, *tail)) break;
                if (!begin_behind_the_trimmed(*failure, tail->nearest())) return fail_tail(*failure, *tail);
                tail.reset();
                tail.emplace(client_.tail(range_.tail));
            }
            bool unused = false, output_gone = false;
            if (wait_ready(client_, -1, unused, output_gone) == Ready::interrupted)
                return finish_cursor(Exit::interrupted);
            if (output_gone) return Exit::done;
        }
        over_ = true;
        if (context_.output == Output::json) output_ += "]}\n";
        if (!flush()) return Exit::done;
        return finish_cursor(finish_output(context_, Exit::done));
    }

private:
    void take(std::span<const client::Record> records) {
        for (const client::Record& record : records) {
            if (shown_ >= range_.count || record.timestamp_ms > range_.to_ms) {
                over_ = true;
                return;
            }
            show(record);
            ++shown_;
            shown_last_ = record.lsn;
            if (output_.size() >= kOutputBytes && !flush()) {
                over_ = true;
                return;
            }
        }
        if (shown_ >= range_.count) over_ = true;
    }

    void show(const client::Record& record) {
        if (context_.output == Output::text) {
            if (options_.with_lsn) output_ += std::to_string(raw(record.lsn)) + "\t";
            write_record(output_, options_.framing, record.data, escape_);
            return;
        }
        if (context_.output == Output::json && shown_ > 0) output_ += ",";
        output_ += context_.output == Output::jsonl ? "{\"schema\":1,\"lsn\":" : "{\"lsn\":";
        output_ += std::to_string(raw(record.lsn)) +
                   ",\"timestamp_ms\":" + std::to_string(record.timestamp_ms) + ",";
        output_ += data_member(record.data, options_.data) + "}";
        if (context_.output == Output::jsonl) output_ += "\n";
    }

    bool flush() {
        bool held =
            context_.output == Output::json && !over_;  // one document: nothing of it before its end is known
        if (held || output_.empty()) return !gone_;
        if (!gone_ && !write_out(output_)) gone_ = true;
        output_.clear();
        if (!gone_ && keeper_ != nullptr && shown_ > 0) keeper_->delivered(shown_last_);
        return !gone_;
    }

    Result<void> keep(bool now) { return keeper_ != nullptr ? keeper_->keep(now) : Result<void>(); }

    Exit finish_cursor(Exit exit) {
        auto kept = keep(true);
        return kept ? exit : fail_with_cluster(context_, client_, kept.error());
    }

    /// A cursor that stands behind the last record has nothing more to read: that is no failure.
    bool at_the_end(const Error& failure, const client::Tail& tail) const {
        return keeper_ != nullptr && failure.code == Errc::not_found &&
               range_.tail.from == client::From::lsn && raw(tail.nearest()) + 1 == range_.tail.value;
    }

    /// Without --strict a tail that asks for what is gone begins with what is there.
    bool begin_behind_the_trimmed(const Error& failure, Lsn first) {
        bool trimmed = failure.code == Errc::not_found && raw(first) > 0 &&
                       range_.tail.from != client::From::first &&
                       !(range_.tail.from == client::From::lsn && range_.tail.value > raw(first));
        if (!trimmed || options_.strict || shown_ > 0) return false;
        if (range_.tail.to && *range_.tail.to < first) return false;
        note(context_, "warning: " + failure.what + "; beginning there");
        range_.tail.from = client::From::lsn;
        range_.tail.value = raw(first);
        return true;
    }

    Exit fail_tail(Error failure, const client::Tail& tail) {
        if (shown_ > 0 && context_.output == Output::text)
            failure.what += " (after " + std::to_string(shown_) + " records)";
        if (failure.code == Errc::not_found && range_.tail.from == client::From::lsn) {
            bool beyond = raw(tail.nearest()) < range_.tail.value;
            if (beyond)
                failure.hint =
                    "raftctl tail --from " + std::to_string(range_.tail.value) + " -f waits for it";
        }
        return fail_with_cluster(context_, client_, failure);
    }

    const Context& context_;
    const TailOptions& options_;
    client::Client& client_;
    Range range_;
    CursorKeeper* keeper_;
    bool escape_;
    std::string output_;
    uint64_t shown_ = 0;
    Lsn shown_last_{};
    bool over_ = false;  // all that was asked for has been shown
    bool gone_ = false;  // nobody reads the output
};

}  // namespace

Result<uint32_t> max_lag_ms(Duration max_lag, bool local, bool follow) {
    if (max_lag == Duration{}) return 0;
    if (follow)
        return error(Errc::bad_input, "--max-lag bounds a read that ends, and following never does",
                     "raftctl tail --local --max-lag 500ms");
    if (!local)
        return error(Errc::bad_input, "--max-lag is about --local reads; others lack nothing",
                     "raftctl tail --local --max-lag 500ms");
    int64_t ms = max_lag.ns / 1'000'000;
    if (ms < 1 || ms > UINT32_MAX) return error(Errc::bad_input, "--max-lag is 1ms to 1000h");
    return static_cast<uint32_t>(ms);
}

Exit tail(const Context& context, const TailOptions& options) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto range = range_of(context, options, connected->client.wall_ms());
    if (!range) return fail(context, range.error());
    std::optional<CursorKeeper> keeper;
    if (!options.cursor.empty()) {
        keeper.emplace(connected->client, options.cursor, options.commit);
        auto start = keeper->start();
        if (!start) return fail_with_cluster(context, connected->client, start.error());
        range->tail.from = *start == Lsn{} ? client::From::first : client::From::lsn;
        range->tail.value = raw(*start);
    }
    return TailRun(context, options, *connected, *range, keeper ? &*keeper : nullptr).run();
}

}  // namespace raftd::cli
