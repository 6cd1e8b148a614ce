#include "daemon/file_fetch.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/checksum.h"
#include "base/uuid.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {
constexpr Duration kRateSlack = milliseconds(50);  // of the rate that was left unused may be used later
}

/// Adds a part to the end of its file.
struct FileFetch::WriteJob final : io::Job {
    std::string path;
    uint64_t offset = 0, generation = 0;
    Slice bytes;
    int error = 0;

    void run(io::Files& files) noexcept override {
        const auto mode = offset == 0 ? io::OpenMode::truncate : io::OpenMode::read_write;
        io::FileId file = files.open(path, mode, error);
        if (file == io::kNoFile) return;
        io::FileResult done = files.write(file, offset, bytes.view());
        error = done.error != 0 ? done.error : done.bytes != bytes.size() ? ENOSPC : 0;
        files.close(file);
    }
};

Duration FileFetch::patience() const {
    return std::max(context_.options.settings.raft.election_timeout * 2, seconds(2));
}

std::string FileFetch::part_path() const {
    return context_.dir.path + "/snapshot/" + name_ + "." + to_hex(tag_) + ".part";
}

void FileFetch::dial(NodeId from) {
    hang_up();
    source_ = from;
    conn_ = peers_.dial_bulk(from);
    moved_at_ = context_.now;
}

void FileFetch::hang_up() {
    ++generation_;  // what is still being written is of no interest any more
    if (conn_ != io::kNoConn) peers_.close_bulk(std::exchange(conn_, io::kNoConn));
    up_ = manifest_asked_ = false;
    name_.clear();
    asked_upto_ = file_bytes_ = 0;
    requests_.clear();
    writes_ = 0;
}

void FileFetch::end(Ended::How how, std::string text) {
    std::string path = how == Ended::How::file ? part_path() : std::string();
    if (how != Ended::How::manifest && how != Ended::How::file) hang_up();
    manifest_asked_ = false;
    name_.clear();
    asked_upto_ = file_bytes_ = 0;
    ended_.push_back({how, std::move(text), std::move(path)});
}

std::optional<FileFetch::Ended> FileFetch::take_ended() {
    if (ended_.empty()) return std::nullopt;
    Ended first = std::move(ended_.front());
    ended_.pop_front();
    return first;
}

void FileFetch::bulk(const Peers::Bulk& change) {
    if (change.conn != conn_) return;
    moved_at_ = context_.now;
    up_ = change.up;
    if (change.up) return;
    conn_ = io::kNoConn;
    end(Ended::How::lost);
}

void FileFetch::ask_manifest() {
    CHECK(up_ && !busy());
    manifest_asked_ = true;
    ask(0, 0, {}, part_bytes());
}

void FileFetch::fetch(std::string name, const std::map<std::string, uint64_t>& parts) {
    CHECK(up_ && !busy());
    name_ = std::move(name);
    parts_ = parts;
    tag_ = file_bytes_ = asked_upto_ = got_upto_ = written_upto_ = 0;
    // The answer says which file it is; of one that may be gone on with, nothing else is wanted of it.
    const auto begun = parts_.lower_bound(name_ + ".");
    probing_ = begun != parts_.end() && begun->first.starts_with(name_ + ".");
    ask(0, 0, name_, probing_ ? 1 : part_bytes());
    if (!probing_) asked_upto_ = part_bytes();
}

void FileFetch::ask(uint64_t offset, uint64_t tag, std::string_view name, uint32_t bytes_max) {
    proto::FileAsk ask{};
    ask.size = sizeof ask;
    ask.bytes_max = bytes_max;
    ask.request = ++request_last_;
    ask.offset = offset;
    ask.tag = tag;
    CHECK_LT(name.size(), sizeof ask.name);
    std::memcpy(ask.name, name.data(), name.size());
    requests_.push_back(ask.request);
    Slice frame = proto::make_frame(proto::FrameType::file_ask, 0, proto::fixed_bytes(ask));
    context_.world.network.send(conn_, {&frame, 1});
}

/// Keeps the window full, no faster than the rate allows.
void FileFetch::ask_more() {
    const uint64_t rate = context_.options.settings.snapshot.transfer_rate;
    while (asked_upto_ < file_bytes_ && requests_.size() + writes_ < kPartsMax) {
        if (rate_at_ > context_.now) return;
        const double wait = 1e9 * static_cast<double>(part_bytes()) / static_cast<double>(rate);
        rate_at_ = std::max(rate_at_, context_.now - kRateSlack) + Duration{static_cast<int64_t>(wait)};
        ask(asked_upto_, tag_, name_, part_bytes());
        asked_upto_ += part_bytes();
    }
}

void FileFetch::frame(io::ConnId conn, const io::Frame& frame) {
    if (conn != conn_) return;
    proto::FilePart fixed;
    const bool good = static_cast<proto::FrameType>(frame.type) == proto::FrameType::file_part &&
                      proto::read_fixed(frame.bytes.view(), fixed) && !requests_.empty() &&
                      fixed.request == requests_.front();
    if (!good) return end(Ended::How::failed, "the other end answers what wasn't asked");
    requests_.pop_front();
    moved_at_ = context_.now;
    heard_ = true;
    const Slice bytes = frame.bytes.from(proto::fixed_size(frame.bytes.view()));
    switch (static_cast<proto::FileCode>(fixed.code)) {
        case proto::FileCode::ok: break;
        case proto::FileCode::failed: return end(Ended::How::failed, "the other end can't read its files");
        default: return end(Ended::How::gone);
    }
    if (checksum(bytes.view()) != fixed.checksum && !bytes.empty())
        return end(Ended::How::failed, "a part's checksum is wrong");
    bytes_fetched_ += bytes.size();
    if (manifest_asked_) return end(Ended::How::manifest, std::string(as_text(bytes.view())));
    part(fixed, bytes);
}

/// Says which file it is, and so where to go on.
void FileFetch::first_part(const proto::FilePart& part) {
    tag_ = part.tag;
    file_bytes_ = part.file_bytes;
    auto there = parts_.find(name_ + "." + to_hex(tag_) + ".part");
    if (!probing_ || there == parts_.end() || there->second > file_bytes_) return;
    got_upto_ = written_upto_ = asked_upto_ = there->second;
}

void FileFetch::part(const proto::FilePart& part, const Slice& bytes) {
    const bool first = tag_ == 0;
    if (first) first_part(part);
    const bool skipped = first && probing_;
    if (part.tag != tag_ || part.file_bytes != file_bytes_ || (!skipped && part.offset != got_upto_))
        return end(Ended::How::failed, "parts of different files");
    const uint64_t wanted = std::min<uint64_t>(skipped ? 1 : part_bytes(), file_bytes_ - part.offset);
    if (bytes.size() != wanted || file_bytes_ == 0)
        return end(Ended::How::failed, "a part of another length");
    if (!skipped) {
        got_upto_ += bytes.size();
        auto job = std::make_unique<WriteJob>();
        job->path = part_path();
        job->offset = part.offset;
        job->generation = generation_;
        job->bytes = bytes;
        ++writes_;
        context_.world.worker.submit(io::Lane::transfer, std::move(job), make_token(token_tag_, ++jobs_));
    } else if (written_upto_ == file_bytes_) {
        return end(Ended::How::file);
    }
    ask_more();
}

void FileFetch::completed(io::Completed& done) {
    auto& job = static_cast<WriteJob&>(*done.job);
    if (job.generation != generation_) return;
    --writes_;
    if (job.error != 0) return end(Ended::How::failed, job.path + ": " + std::strerror(job.error));
    written_upto_ += job.bytes.size();
    if (written_upto_ == file_bytes_) return end(Ended::How::file);
    ask_more();
}

bool FileFetch::held_back() const {
    return up_ && asked_upto_ < file_bytes_ && requests_.size() + writes_ < kPartsMax;
}

Instant FileFetch::deadline() const {
    Instant at = held_back() ? rate_at_ : kNever;
    if (conn_ != io::kNoConn && (!up_ || !requests_.empty())) at = std::min(at, moved_at_ + patience());
    return at;
}

void FileFetch::tick(Instant now) {
    const bool waits = conn_ != io::kNoConn && (!up_ || !requests_.empty());
    if (waits && now >= moved_at_ + patience()) return end(Ended::How::lost);
    if (held_back()) ask_more();
}

}  // namespace raftd::daemon
