#include "daemon/freeze.h"

#include <algorithm>
#include <sstream>

namespace raftd::daemon {
namespace {

constexpr const char* kFileName = "freeze";
constexpr uint64_t kFileBytesMax = 256;
constexpr Duration kWriteAgainAfter = seconds(1);

const char* text_of(Freeze::Why why) { return why == Freeze::Why::asked ? "asked" : "differs"; }

}  // namespace

struct Freeze::Job final : io::Job {
    std::string dir, content;
    int error = 0;
    void run(io::Files& files) noexcept override {
        error = io::write_file_atomically(files, dir, kFileName, as_bytes(content)).error;
    }
};

Freeze::Freeze(Context& context) : context_(context) { load(); }

/// `freeze 1 VERSION UNTIL_MS WHY AT`, the end by the wall clock. Never more than the longest time, whatever
/// was done to the clock or the file.
void Freeze::load() {
    std::string content;
    const std::string path = context_.dir.path + "/" + kFileName;
    if (io::read_file(context_.world.files, path, kFileBytesMax, content).error != 0) return;
    std::istringstream fields(content);
    std::string word, why;
    uint64_t format = 0, version = 0, at = 0;
    int64_t until_ms = 0;
    if (!(fields >> word >> format >> version >> until_ms >> why >> at) || word != "freeze" || format != 1) {
        context_.log(LogLevel::warn, "freeze_file_bad")("path", path)(
            "hint", "it is passed over; raftctl freeze says again what is wanted");
        return;
    }
    const int64_t left = until_ms - context_.world.clock.wall_ms();
    version_ = version;
    why_ = why == text_of(Why::differs) ? Why::differs : Why::asked;
    at_ = Index{at};
    until_ = context_.now + milliseconds(std::clamp<int64_t>(left, 0, static_cast<int64_t>(kLongestMs)));
}

uint64_t Freeze::left_ms() const {
    return on() ? static_cast<uint64_t>((until_ - context_.now).ns + 999'999) / 1'000'000 : 0;
}

proto::Freeze Freeze::wire() const { return {version_, left_ms(), raw(at_), static_cast<uint32_t>(why_), 0}; }

void Freeze::set(uint64_t version, uint64_t for_ms) {
    if (version > version_) take(version, for_ms, Why::asked, at_);
}

void Freeze::difference(Index at) {
    const bool known = at_ != Index{} && at_ <= at;
    if (known) return;
    take(version_ + 1, std::max(left_ms(), kWhenDifferentMs), Why::differs, at);
}

void Freeze::heard(const proto::Freeze& theirs) {
    if (theirs.version <= version_) return;
    take(theirs.version, theirs.left_ms, theirs.why == 0 ? Why::asked : Why::differs, Index{theirs.at});
}

void Freeze::take(uint64_t version, uint64_t for_ms, Why why, Index at) {
    version_ = version;
    why_ = why;
    at_ = at;
    until_ = context_.now + milliseconds(static_cast<int64_t>(std::min(for_ms, kLongestMs)));
    ++changes_;
    told_ &= on();
    turn();
    if (!on()) context_.log(LogLevel::info, "thawed")("version", version_);
}

void Freeze::turn() {
    if (on() != told_) {
        told_ = on();
        if (told_)
            context_.log(LogLevel::warn, "frozen")("why", text_of(why_))("for_s", left_ms() / 1000)(
                "hint", "nothing is compacted or removed; raftctl thaw ends it");
        else
            context_.log(LogLevel::info, "freeze_over")("why", text_of(why_));
    }
    if (changes_ > written_ && writing_ == 0 && context_.now >= write_at_) write();
}

std::string Freeze::text() const {
    const auto until = context_.world.clock.wall_ms() + static_cast<int64_t>(left_ms());
    return "freeze 1 " + std::to_string(version_) + " " + std::to_string(until) + " " + text_of(why_) + " " +
           std::to_string(raw(at_)) + "\n";
}

void Freeze::write() {
    auto job = std::make_unique<Job>();
    job->dir = context_.dir.path;
    job->content = text();
    writing_ = changes_;
    context_.world.worker.submit(io::Lane::state, std::move(job), make_token(TokenTag::freeze, 0));
}

void Freeze::completed(io::Completed& done) {
    auto& job = static_cast<Job&>(*done.job);
    if (job.error == 0)
        written_ = std::max(written_, writing_);
    else
        write_at_ = context_.now + kWriteAgainAfter;
    writing_ = 0;
}

Instant Freeze::deadline() const {
    Instant at = on() ? until_ : kNever;
    if (changes_ > written_ && writing_ == 0) at = std::min(at, std::max(write_at_, context_.now));
    return at;
}

/// The same line for as long as it lasts: how long, status says.
void Freeze::add_alarms(std::vector<std::string>& alarms) const {
    if (on()) alarms.push_back(std::string("frozen why=") + text_of(why_));
}

}  // namespace raftd::daemon
