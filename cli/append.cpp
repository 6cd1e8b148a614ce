#include "cli/append.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/connect.h"

namespace raftd::cli {
namespace {

constexpr size_t kInputBytes = 256u << 10;
constexpr uint64_t kSummaryFrom = 1000;  // fewer records need none: their LSNs are on the screen

/// Sequences of one producer whose outcome isn't known.
struct Doubt {
    uint64_t records = 0, producer = 0, first = 0, last = 0;
    void add(uint64_t count, uint64_t by, uint64_t from, uint64_t to) {
        records += count;
        if (from == 0) return;
        producer = by;
        first = first == 0 ? from : std::min(first, from);
        last = std::max(last, to);
    }
};

/// Records on their way into batches: the bytes are copied once, since the input's buffer is used again.
class Batcher {
public:
    Batcher(client::Client& client, const AppendOptions& options, client::Limits limits)
        : client_(client), options_(options), limits_(limits), expect_{options.expect_lsn} {}

    /// No room for this record: flush() first.
    bool full_for(ByteView record) const {
        if (ends_.empty()) return false;
        return bytes_.size() + record.size() + (ends_.size() + 1) * 4 > limits_.batch_bytes_max || full();
    }
    bool full() const { return options_.batch != 0 && ends_.size() >= options_.batch; }
    void put(ByteView record) {
        if (ends_.empty()) since_ = client_.now();
        bytes_ += as_text(record);
        ends_.push_back(bytes_.size());
    }
    /// A batch that isn't full may still wait for more.
    bool may_linger() const {
        return options_.linger.ns > 0 && !full() && client_.now() < since_ + options_.linger;
    }
    /// False when the window is full: nothing was submitted then.
    bool flush() {
        if (ends_.empty()) return true;
        std::vector<std::string_view> records;
        records.reserve(ends_.size());
        size_t from = 0;
        for (size_t end : ends_) {
            records.push_back(std::string_view(bytes_).substr(from, end - from));
            from = end;
        }
        if (client_.submit(records, expect_) == 0) return false;
        expect_ = {};
        bytes_.clear();
        ends_.clear();
        return true;
    }

private:
    client::Client& client_;
    const AppendOptions& options_;
    client::Limits limits_;
    std::string bytes_;
    std::vector<size_t> ends_;
    Instant since_{};
    Lsn expect_;  // of the next batch
};

class AppendRun {
public:
    AppendRun(const Context& context, const AppendOptions& options, Connected& connected)
        : context_(context),
          options_(options),
          client_(connected.client),
          limits_(client_.cluster().limits),
          splitter_(options.framing, limits_.record_bytes_max),
          batcher_(client_, options, limits_) {}

    Exit run() {
        if (!options_.producer.empty()) {
            if (auto failed = open_producer()) return *failed;
        }
        if (!options_.records.empty())
            take_arguments();
        else if (options_.files.empty())
            take_input(STDIN_FILENO);
        else
            for (const std::string& file : options_.files) take_file(file);
        flush_batch();
        while (!interrupted() && client_.open_appends() > 0) turn(-1);
        return finish();
    }

private:
    bool stop() const { return failure_ || interrupted(); }

    /// Where the named producer stands; with --resume so many records are passed over.
    std::optional<Exit> open_producer() {
        Instant until = client_.now() + context_.timeout;
        for (;;) {
            auto facts = client_.open_producer(milliseconds(100));
            if (!facts) {
                bool final =
                    facts.error().code != Errc::unavailable && facts.error().code != Errc::unreachable;
                if (!final && !interrupted() && client_.now() < until) continue;
                Error why = facts.error();
                why.what = "producer " + options_.producer + " can't be opened: " + why.what;
                return fail_with_cluster(context_, client_, why);
            }
            skip_ = options_.resume ? facts->records : 0;
            bool lines = options_.records.empty() && options_.framing == Framing::lines;
            if (options_.resume)
                note(context_, "resuming " + options_.producer + " at input " +
                                   (lines ? "line " : "record ") + std::to_string(skip_ + 1));
            else if (facts->records > 0)
                note(context_, "producer " + options_.producer + " has appended " +
                                   std::to_string(facts->records) +
                                   " records before; all of the input goes behind them (--resume passes over "
                                   "as many)");
            return std::nullopt;
        }
    }

    /// Waits for outcomes, for room, or for input; true when `input` can be read.
    bool turn(int input) {
        bool input_ready = false, output_gone = false;
        bool room = !stop() && client_.open_appends() < options_.in_flight;
        collect();
        wait_ready(client_, room ? input : -1, input_ready, output_gone);
        output_gone_ |= output_gone;
        collect();
        if (!stop() && !batcher_.may_linger()) batcher_.flush();
        return input_ready && !stop();
    }

    void flush_batch() {
        while (!stop() && !batcher_.flush()) turn(-1);
    }

    void collect() {
        client::Appended some[256];
        while (size_t count = client_.poll(some, Duration{})) {
            for (size_t i = 0; i < count; ++i) take(some[i]);
            if (!output_.empty() && !output_gone_ && !write_out(output_)) output_gone_ = true;
            output_.clear();
            if (count < std::size(some)) break;
        }
    }

    void take(const client::Appended& one) {
        if (one.outcome != client::Outcome::committed) {
            if (one.outcome == client::Outcome::unknown)
                doubt_.add(one.count, one.producer, one.sequence, one.sequence);
            if (one.observed != Lsn{}) observed_ = one.observed;
            bool worse =
                one.outcome == client::Outcome::unknown && (!failure_ || failure_->code != Errc::unknown);
            if (one.why && (!failure_ || worse)) failure_ = *one.why;
            return;
        }
        bool known = one.first != Lsn{};  // else the cluster only knows that it is committed
        if (first_ == Lsn{}) first_ = one.first;
        committed_ += one.count;
        if (known) last_ = one.last();
        ++batches_;
        producer_ = one.producer;
        if (context_.output == Output::text) {
            for (uint64_t i = 0; i < one.count; ++i)
                output_ += (known ? std::to_string(raw(one.first) + i) : std::string("?")) + "\n";
        } else if (context_.output == Output::jsonl) {
            output_ += line_of(one) + "\n";
        }
    }

    static std::string line_of(const client::Appended& one) {
        Json line = Json::object();
        line.add("schema", 1);
        if (one.first != Lsn{})
            line.add("lsn", raw(one.first));
        else
            line.null("lsn");
        line.add("count", uint64_t{one.count});
        if (one.first != Lsn{})
            line.add("term", raw(one.term)).add("timestamp_ms", one.timestamp_ms);
        else
            line.null("term").null("timestamp_ms");
        if (one.producer != 0)
            line.add("producer", one.producer).add("sequence", one.sequence).add("repeated", one.repeated);
        return line.text();
    }

    void take_arguments() {
        std::vector<ByteView> records;
        for (const std::string& text : options_.records) {
            if (text.size() > limits_.record_bytes_max) {
                bad_input(error(Errc::bad_input, "argument " + std::to_string(records.size() + 1) + " has " +
                                                     std::to_string(text.size()) +
                                                     " bytes, and a record has at most " +
                                                     std::to_string(limits_.record_bytes_max)));
                return;
            }
            records.push_back(as_bytes(text));
        }
        add(records);
    }

    void take_file(const std::string& path) {
        if (stop() || input_error_) return;
        if (path == "-") return take_input(STDIN_FILENO);
        int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return bad_input(error(Errc::bad_input, "can't read " + path + ": " + std::strerror(errno)));
        take_input(file);
        ::close(file);
    }

    void take_input(int input) {
        std::string buffer(kInputBytes, '\0');
        std::vector<ByteView> records;
        while (!stop() && !input_error_) {
            if (!turn(input)) continue;
            ssize_t count = ::read(input, buffer.data(), buffer.size());
            if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (count < 0)
                return bad_input(
                    error(Errc::bad_input, std::string("can't read the input: ") + std::strerror(errno)));
            records.clear();
            Result<void> cut =
                count == 0
                    ? splitter_.finish(records)
                    : splitter_.feed(as_bytes(std::string_view(buffer).substr(0, static_cast<size_t>(count))),
                                     records);
            add(records);
            if (!cut) return bad_input(cut.error());
            if (count == 0) return;
        }
    }

    void add(const std::vector<ByteView>& records) {
        for (ByteView record : records) {
            if (skip_ > 0) {
                --skip_;
                continue;
            }
            if (batcher_.full_for(record)) flush_batch();
            if (stop()) return;
            batcher_.put(record);
        }
        if (!batcher_.may_linger()) flush_batch();
    }

    /// The records before it are still appended; then the command ends with this.
    void bad_input(Error why) {
        if (!input_error_) input_error_ = std::move(why);
    }

    std::string so_far() const {
        if (committed_ == 0) return "nothing was appended";
        std::string text =
            std::to_string(committed_) + (committed_ == 1 ? " record was" : " records were") + " appended";
        return last_ == Lsn{} ? text : text + ", the last one as LSN " + std::to_string(raw(last_));
    }

    Exit finish() {
        client_.cancel_unsent();
        collect();
        client::Unresolved open = client_.unresolved();
        doubt_.add(open.records, open.producer, open.first_sequence, open.last_sequence);
        if (doubt_.records > 0) return fail_unknown();
        if (failure_) {
            const char* rest = committed_ == 0 ? ": " : ", the rest was refused: ";
            failure_->what = so_far() + rest + failure_->what;
            if (observed_ != Lsn{})
                failure_->hint = "raftctl append --expect-lsn " + std::to_string(raw(observed_));
            return fail_with_cluster(context_, client_, *failure_);
        }
        if (interrupted()) {
            note(context_, "interrupted: " + so_far());
            resume_hint();
            return Exit::interrupted;
        }
        if (input_error_) {
            input_error_->what += "; before it, " + so_far();
            return fail(context_, *input_error_);
        }
        if (context_.output == Output::json) summary_document();
        if (committed_ >= kSummaryFrom && shows_progress(context_)) note(context_, so_far());
        return output_gone_ ? Exit::done : finish_output(context_, Exit::done);
    }

    Exit fail_unknown() {
        Error why =
            error(Errc::unknown, "the outcome of " + std::to_string(doubt_.records) +
                                     " records is unknown, they may land or not; before them, " + so_far());
        if (doubt_.first != 0)
            why.what += "; producer " + std::to_string(doubt_.producer) +
                        (doubt_.first == doubt_.last ? ", sequence " : ", sequences ") +
                        std::to_string(doubt_.first) +
                        (doubt_.first == doubt_.last ? "" : " to " + std::to_string(doubt_.last));
        if (interrupted() && !failure_) why.what = "interrupted: " + why.what;
        if (failure_) why.what += " (" + failure_->what + ")";
        std::string from = committed_ == 0 ? "-n 10" : "--from " + std::to_string(raw(last_) + 1);
        why.hint = "raftctl tail " + from + " shows what landed";
        if (!options_.producer.empty())
            why.hint = "raftctl append --producer " + options_.producer +
                       " --resume, with the same input, goes on behind what landed";
        else if (doubt_.first != 0)
            why.hint =
                "raftctl append --resolve " + std::to_string(doubt_.producer) + ":" +
                std::to_string(doubt_.first) + " tells what became of " +
                (doubt_.first == doubt_.last ? "it" : "the first, and what is behind it follows in order");
        return fail_with_cluster(context_, client_, why);
    }

    void resume_hint() {
        bool lines =
            options_.records.empty() && options_.files.size() == 1 && options_.framing == Framing::lines;
        if (!options_.producer.empty())
            note(context_,
                 "hint: raftctl append --producer " + options_.producer + " --resume, with the same input");
        else if (lines)
            note(context_, "hint: tail -n +" + std::to_string(committed_ + 1) + " " + options_.files[0] +
                               " | raftctl append");
    }

    void summary_document() {
        Json document = Json::object();
        document.add("schema", 1).add("records", committed_).add("batches", batches_);
        if (first_ != Lsn{})
            document.add("first_lsn", raw(first_)).add("last_lsn", raw(last_));
        else
            document.null("first_lsn").null("last_lsn");
        if (producer_ != 0) document.add("producer", producer_);
        output_gone_ |= !write_out(document.text() + "\n");
    }

    const Context& context_;
    const AppendOptions& options_;
    client::Client& client_;
    client::Limits limits_;
    Splitter splitter_;
    Batcher batcher_;
    std::string output_;
    bool output_gone_ = false;  // nobody reads the LSNs; the records are appended all the same
    uint64_t committed_ = 0, batches_ = 0, producer_ = 0;
    uint64_t skip_ = 0;  // records of the input that are in already
    Doubt doubt_;
    Lsn first_{}, last_{}, observed_{};
    std::optional<Error> failure_, input_error_;
};

}  // namespace

Exit append(const Context& context, const AppendOptions& options) {
    if (!options.records.empty() && !options.files.empty())
        return fail(context, error(Errc::bad_input, "records are given twice, as arguments and with --file",
                                   "leave out one of them"));
    if (!options.resolve.empty()) return resolve(context, options.resolve);
    if (options.resume && options.producer.empty())
        return fail(context, error(Errc::bad_input, "--resume needs --producer NAME: whose records are in",
                                   "raftctl append --producer NAME --resume"));
    if (options.no_producer && !options.producer.empty())
        return fail(context, error(Errc::bad_input, "--producer and --no-producer exclude each other",
                                   "leave out one of them"));
    if (options.in_flight == 0) return fail(context, error(Errc::bad_input, "--in-flight needs at least 1"));
    client::SessionOptions session;
    session.stop_at_failure = true;
    session.window_batches = options.in_flight;
    session.exactly_once = !options.no_producer;
    session.producer = options.producer;
    auto connected = connect(context, session);
    if (!connected) return connected.error();
    return AppendRun(context, options, *connected).run();
}

}  // namespace raftd::cli
