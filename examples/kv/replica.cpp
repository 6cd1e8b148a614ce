#include "kv/replica.h"

#include <charconv>
#include <cstdio>

#include "base/uuid.h"

namespace kv {
namespace {

using raftd::Duration;
using raftd::Errc;
using raftd::Instant;
using raftd::Lsn;
using raftd::Result;
using namespace raftd::client;

constexpr size_t kBurst = 256;  // taken at a time

Json failed(const std::string& why) { return {{"error", why}}; }

/// Nothing has happened, and nothing will.
Json refusal(const Appended& refused) {
    const bool theirs = refused.why && refused.why->code == Errc::bad_input;
    return failed(theirs ? refused.why->what : "unavailable");
}

}  // namespace

Replica::Replica(Client client, ReplicaOptions options, uint64_t instance)
    : client_(std::move(client)),
      options_(std::move(options)),
      uploader_(options_.session),
      prefix_(raftd::to_hex(instance) + "-"),
      stagger_(instance % (options_.checkpoint_every / 4 + 1)) {}

Result<void> Replica::load() {
    TRY(loaded, load_newest(client_));
    store_ = std::move(loaded.store);
    applied_ = checkpoint_ = loaded.upto;
    next_checkpoint_ = applied_ + options_.checkpoint_every + stagger_;
    TailOptions from;
    from.from = From::lsn;
    from.value = raw(applied_) + 1;
    from.follow = true;
    log_.reset();
    log_.emplace(client_.tail(from));
    return {};
}

void Replica::write(Command command, Done done) {
    const uint64_t number = ++numbers_;
    command.id = prefix_ + std::to_string(number);
    // The library sends it again after a lost connection, and by its producer it lands once.
    const uint64_t ticket = client_.submit(text_of(command));
    if (ticket == 0) return done(failed("unavailable"));  // too many under way: nothing has happened
    tickets_.emplace(ticket, number);
    // The library says more exactly what became of it, so it comes first.
    const Instant until = client_.now() + options_.session.timeout + raftd::seconds(1);
    writes_.emplace(number, Write{until, std::move(done)});
}

void Replica::read(std::string key, Done done) {
    reads_.push_back({std::move(key), client_.now() + options_.session.timeout, std::move(done)});
}

Result<bool> Replica::turn() {
    take_outcomes();
    size_t taken = take_records();
    take_read_index();
    taken += take_records();  // each look at the client may have brought more for the other
    answer_reads();
    give_up();
    if (log_->ended()) TRY_VOID(follow_on());
    make_checkpoint();
    return taken > 0 || (asking_ && asking_->ended());
}

void Replica::finish(uint64_t number, const Json& answer) {
    auto found = writes_.find(number);
    if (found == writes_.end()) return;  // answered before
    const Done done = std::move(found->second.done);
    writes_.erase(found);
    done(answer);
}

/// What is committed is answered when it is applied; here it is about the others.
void Replica::take_outcomes() {
    Appended some[kBurst];
    const size_t count = client_.poll(some, Duration{});
    for (size_t i = 0; i < count; ++i) {
        auto found = tickets_.find(some[i].ticket);
        if (found == tickets_.end()) continue;
        if (some[i].outcome == Outcome::refused) finish(found->second, refusal(some[i]));
        if (some[i].outcome == Outcome::unknown) finish(found->second, failed("unknown"));
        tickets_.erase(found);
    }
}

size_t Replica::take_records() {
    raftd::client::Record some[kBurst];
    const size_t count = log_->next(some, Duration{});
    for (size_t i = 0; i < count; ++i) {
        applied_ = some[i].lsn;
        auto command = parse_command(raftd::as_text(some[i].data));
        if (!command) continue;  // somebody else's record: nothing to every kvd
        const Json answer = store_.apply(*command);
        if (!command->id.starts_with(prefix_)) continue;
        uint64_t number = 0;
        const char* end = command->id.data() + command->id.size();
        std::from_chars(command->id.data() + prefix_.size(), end, number);
        finish(number, answer);
    }
    return count;
}

/// One question for all reads that wait. It is asked after they came: what was acknowledged before lies below
/// its answer.
void Replica::take_read_index() {
    if (asking_ && asking_->ended()) take_answer();
    if (!asking_ && !reads_.empty()) {
        asked_.swap(reads_);
        TailOptions end;  // it ends at once, when a leader has confirmed how far the log is committed
        end.from = From::end;
        asking_.emplace(client_.tail(end));
    }
    raftd::client::Record none[1];
    if (asking_) asking_->next(none, Duration{});
}

void Replica::take_answer() {
    const bool told = !asking_->failure().has_value();
    const Lsn upto{asking_->commit_lsn()};
    asking_.reset();
    std::deque<Read> reads = std::exchange(asked_, {});
    for (Read& read : reads) {
        if (told)
            known_.push_back({upto, std::move(read)});
        else
            read.done(failed("unavailable"));
    }
}

void Replica::answer_reads() {
    while (!known_.empty() && known_.front().lsn <= applied_) {
        const Read read = std::move(known_.front().read);
        known_.pop_front();
        read.done(store_.get(read.key));
    }
}

void Replica::give_up() {
    const Instant now = client_.now();
    while (!writes_.empty() && writes_.begin()->second.until < now)
        finish(writes_.begin()->first, failed("unknown"));
    while (!known_.empty() && known_.front().read.until < now) {
        const Read read = std::move(known_.front().read);
        known_.pop_front();
        read.done(failed("unavailable"));
    }
}

/// The log doesn't go on where this copy stands: most likely what came next is gone, for a checkpoint.
Result<void> Replica::follow_on() {
    const auto why = log_->failure();
    std::fprintf(stderr, "kvd: at LSN %llu: %s; starting from the newest checkpoint\n",
                 static_cast<unsigned long long>(raw(applied_)), why ? why->what.c_str() : "the tail ended");
    auto loaded = load();
    if (!loaded && loaded.error().code != Errc::unavailable && loaded.error().code != Errc::unreachable)
        return loaded;
    // What became of the writes between isn't told by the state: their answers are lost.
    while (!writes_.empty()) finish(writes_.begin()->first, failed("unknown"));
    return {};
}

void Replica::make_checkpoint() {
    if (auto newest = uploader_.ended()) {
        checkpoint_ = std::max(checkpoint_, *newest);
        const Lsn since = *newest == Lsn{} ? applied_ : checkpoint_;
        next_checkpoint_ = since + options_.checkpoint_every + stagger_;
    }
    if (options_.checkpoint_every == 0 || uploader_.busy() || applied_ < next_checkpoint_) return;
    uploader_.begin(store_, applied_, checkpoint_);
}

}  // namespace kv
