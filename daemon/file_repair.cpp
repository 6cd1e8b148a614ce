#include "daemon/file_repair.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "snapshot/archive_reader.h"

namespace raftd::daemon {
namespace {

constexpr Duration kFileAgainAfter = milliseconds(500);
constexpr uint32_t kFileAgainDoublings = 7;  // 0.5 s to 64 s between rounds of asking everybody

}  // namespace

/// Looks at a file that was fetched, and gives it the damaged one's name.
struct FileRepair::Job final : io::Job {
    std::string dir, path, name;
    std::optional<snapshot::ArchiveInfo> archive;
    std::optional<snapshot::StateFileInfo> state;
    std::optional<Error> error;

    void run(io::Files& files) noexcept override {
        Result<void> done = check(files);
        if (done) done = take_place(files);
        if (done) return;
        error = done.error();
        (void)files.remove(path);
    }
    Result<void> check(io::Files& files) {
        if (state) {
            snapshot::StateFileInfo info = *state;
            info.name = path.substr(dir.size() + 1);
            TRY_VOID(snapshot::StateFile::open(files, dir, info));
            return {};
        }
        TRY(reader, snapshot::ArchiveReader::open(files, path));
        TRY_VOID(reader.verify());
        if (reader.info() == *archive) return {};
        return raftd::error(Errc::damaged, path + ": not the archive that the snapshot names");
    }
    Result<void> take_place(io::Files& files) {
        int failed = 0;
        io::FileId file = files.open(path, io::OpenMode::read_write, failed);
        if (file != io::kNoFile) {
            failed = files.sync(file).error;
            files.close(file);
        }
        if (failed == 0) failed = files.rename(path, dir + "/" + name).error;
        if (failed == 0) failed = files.sync_dir(dir).error;
        if (failed != 0) return raftd::error(Errc::io, path + ": " + std::strerror(failed));
        return {};
    }
};

FileRepair::FileRepair(Context& context, Peers& peers, LogReader& reader, const Compaction& compaction)
    : context_(context),
      peers_(peers),
      reader_(reader),
      compaction_(compaction),
      fetch_(context, peers, TokenTag::repair) {}
FileRepair::~FileRepair() = default;

void FileRepair::damaged(const std::string& name) {
    if (!needed(name) || !damaged_.insert(name).second) return;
    context_.log(LogLevel::warn, "repair_begun")("file", "snapshot/" + name);
    rounds_ = 0;
    again_at_ = context_.now;
}

bool FileRepair::needed(const std::string& name) const {
    const auto& newest = compaction_.newest();
    if (!newest) return false;
    return newest->state.name == name ||
           std::any_of(newest->archives.begin(), newest->archives.end(),
                       [&](const auto& archive) { return archive.name() == name; });
}

/// What readers met; and what a newer snapshot has made needless is nobody's damage any more.
void FileRepair::gather() {
    for (const std::string& name : std::exchange(reader_.damaged_files(), {})) damaged(name);
    std::erase_if(damaged_, [this](const std::string& name) {
        const bool gone = !needed(name) && (stage_ == Stage::idle || name != name_);
        if (gone) done_.push_back(name);
        return gone;
    });
}

void FileRepair::turn() {
    gather();
    if (fetch_.deadline() <= context_.now) fetch_.tick(context_.now);
    while (auto end = fetch_.take_ended()) ended(std::move(*end));
    if (stage_ == Stage::dialing && fetch_.connected() && !fetch_.busy()) {
        stage_ = Stage::fetching;
        fetch_.fetch(name_, {});
    }
    if (stage_ == Stage::idle && !damaged_.empty() && context_.now >= again_at_ && !context_.stopping)
        begin();
}

Instant FileRepair::deadline() const {
    const Instant at = fetch_.deadline();
    const bool waits = stage_ == Stage::idle && !damaged_.empty();
    if (!waits && reader_.damaged_files().empty()) return at;
    return std::min(at, std::max(again_at_, context_.now + milliseconds(20)));
}

void FileRepair::begin() {
    // In turn: another one may be easier to have.
    auto next = damaged_.upper_bound(name_);
    name_ = next != damaged_.end() ? *next : *damaged_.begin();
    asked_.clear();
    next_source();
}

void FileRepair::next_source() {
    for (const auto& [id, info] : context_.members) {
        if (id == context_.dir.identity.id || asked_.contains(id) || !peers_.linked(id)) continue;
        asked_.insert(id);
        stage_ = Stage::dialing;
        return fetch_.dial(id);
    }
    stage_ = Stage::idle;
    again_at_ = context_.now + kFileAgainAfter * (1 << std::min(rounds_++, kFileAgainDoublings));
    fetch_.hang_up();
}

void FileRepair::ended(FileFetch::Ended&& ended) {
    using How = FileFetch::Ended::How;
    if (stage_ != Stage::dialing && stage_ != Stage::fetching) return;
    switch (ended.how) {
        case How::file: return check(std::move(ended.path));
        case How::gone: return failed("it hasn't got this file");
        case How::manifest:
        case How::lost: return failed("the connection ended");
        case How::failed: return failed(ended.text);
    }
}

void FileRepair::check(std::string path) {
    stage_ = Stage::checking;
    fetch_.hang_up();
    auto job = std::make_unique<Job>();
    job->dir = context_.dir.path + "/snapshot";
    job->path = std::move(path);
    job->name = name_;
    const auto& newest = compaction_.newest();
    if (!needed(name_)) {
        stage_ = Stage::idle;
        return;
    }
    if (newest->state.name == name_) job->state = newest->state;
    for (const snapshot::ArchiveInfo& archive : newest->archives)
        if (archive.name() == name_) job->archive = archive;
    context_.world.worker.submit(io::Lane::transfer, std::move(job), make_token(TokenTag::repair, 0));
}

void FileRepair::completed(io::Completed& done) {
    if (number_of(done.token) != 0) return fetch_.completed(done);
    auto& job = static_cast<Job&>(*done.job);
    stage_ = Stage::idle;
    if (job.error) return failed(job.error->what);
    damaged_.erase(job.name);
    done_.push_back(job.name);
    ++context_.counters.repaired_files;
    rounds_ = 0;
    again_at_ = context_.now;
    auto from = context_.members.find(fetch_.source());
    context_.log(LogLevel::info, "repaired")("file", "snapshot/" + job.name)(
        "from", from != context_.members.end() ? from->second.name : "a member");
}

void FileRepair::failed(std::string_view why) {
    context_.log(LogLevel::info, "repair_refused")("by", raw(fetch_.source()))("why", why)(
        "file", "snapshot/" + name_);
    fetch_.hang_up();
    next_source();
}

std::optional<std::string> FileRepair::take_repaired() {
    if (done_.empty()) return std::nullopt;
    std::string name = std::move(done_.back());
    done_.pop_back();
    return name;
}

}  // namespace raftd::daemon
