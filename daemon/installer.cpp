#include "daemon/installer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "snapshot/archive_reader.h"
#include "snapshot/incoming.h"

namespace raftd::daemon {
namespace {

constexpr Duration kInstallAgainAfter = milliseconds(200);
constexpr uint32_t kInstallAgainDoublings = 5;  // 0.2 s to 6.4 s between tries
constexpr size_t kPartBytes = 1u << 20;         // of what is written again, at a time

/// The newest configuration that a snapshot knows: the one in force where it ends.
Configuration configuration_of(const snapshot::SnapshotManifest& manifest) {
    const snapshot::SnapshotConfig& newest = manifest.configs.back();
    Configuration config{newest.index, newest.membership, {}};
    for (const snapshot::GenesisMember& info : newest.infos) config.infos.emplace(info.id, info);
    return config;
}

NodeId highest(const std::set<NodeId>& ids) { return ids.empty() ? NodeId{} : *ids.rbegin(); }

}  // namespace

/// One piece of work on the snapshot folder, for Lane::transfer.
struct Installer::Job final : io::Job {
    enum class What : uint8_t { list, check, commit } what = What::list;
    std::string dir;
    snapshot::SnapshotManifest manifest;
    // list: what lies there of it
    std::set<std::string> here;
    std::map<std::string, uint64_t> parts;
    // check: this file, which was fetched whole, gets its name
    std::string path, name;
    bool begun_before = false;  // some of it was there when this try began
    // commit; `path` and `name`: the fetched state, unless it was there already
    StateLimits limits;
    std::optional<State> state;

    std::optional<Error> error;

    void run(io::Files& files) noexcept override {
        Result<void> done;
        switch (what) {
            case What::list: done = list(files); break;
            case What::check: done = check(files); break;
            case What::commit: done = commit(files); break;
        }
        if (!done) error = done.error();
    }

    Result<void> list(io::Files& files) {
        TRY_VOID(snapshot::note_incoming(files, dir, manifest));
        int failed = 0;
        const std::vector<std::string> names = files.list(dir, failed);
        if (failed != 0) return raftd::error(Errc::io, dir + ": " + std::strerror(failed));
        for (const std::string& found : names) {
            here.insert(found);
            if (!found.ends_with(".part")) continue;
            io::FileId file = files.open(dir + "/" + found, io::OpenMode::read, failed);
            if (file == io::kNoFile) continue;
            parts[found] = files.size(file).bytes;
            files.close(file);
        }
        // Equal states may be stored as different bytes, so one of the same entry from elsewhere doesn't do.
        // It stays: it may be what this member's own compaction has just made.
        if (here.contains(manifest.state.name) && !snapshot::StateFile::open(files, dir, manifest.state))
            here.erase(manifest.state.name);
        return {};
    }

    /// What isn't as the manifest says goes, and is fetched again.
    Result<void> check(io::Files& files) {
        Result<void> good = compare(files);
        if (!good) {
            (void)files.remove(path);
            return good;
        }
        int failed = 0;
        io::FileId file = files.open(path, io::OpenMode::read_write, failed);
        if (file == io::kNoFile) return raftd::error(Errc::io, path + ": " + std::strerror(failed));
        if (begun_before) failed = write_again(files, file);
        if (failed == 0) failed = files.sync(file).error;
        files.close(file);
        if (failed != 0) return raftd::error(Errc::io, path + ": " + std::strerror(failed));
        // The state waits for the commit: until compaction is held there may be another file of its name,
        // which this member's own snapshot needs. An archive's name is that of its content.
        return name == manifest.state.name ? Result<void>() : name_it(files);
    }
    Result<void> name_it(io::Files& files) {
        int failed = files.rename(path, dir + "/" + name).error;
        if (failed == 0) failed = files.sync_dir(dir).error;
        if (failed != 0) return raftd::error(Errc::io, path + ": " + std::strerror(failed));
        return {};
    }
    /// After a sync that failed, what was written may be readable, and lost all the same: the next sync says
    /// that all is well (H1). Whoever saw it fail is gone, so what it left is written once more.
    static int write_again(io::Files& files, io::FileId file) {
        std::vector<std::byte> part(kPartBytes);
        for (uint64_t at = 0;;) {
            io::FileResult got = files.read(file, at, part);
            if (got.error != 0) return got.error;
            if (got.bytes == 0) return 0;
            io::FileResult put = files.write(file, at, ByteView(part).first(got.bytes));
            if (put.error != 0) return put.error;
            if (put.bytes != got.bytes) return ENOSPC;
            at += got.bytes;
        }
    }
    Result<void> compare(io::Files& files) {
        if (name == manifest.state.name) {
            snapshot::StateFileInfo info = manifest.state;
            info.name = path.substr(dir.size() + 1);
            TRY_VOID(snapshot::StateFile::open(files, dir, info));
            return {};
        }
        auto named = std::find_if(manifest.archives.begin(), manifest.archives.end(),
                                  [&](const auto& archive) { return archive.name() == name; });
        CHECK(named != manifest.archives.end());
        TRY(reader, snapshot::ArchiveReader::open(files, path));
        TRY_VOID(reader.verify());
        // Of the file itself only the content counts: members may pack it differently.
        const snapshot::ArchiveInfo& info = reader.info();
        if (info.before == named->before && info.end == named->end && info.hash == named->hash) return {};
        return raftd::error(Errc::damaged, path + ": not the archive that the manifest names");
    }

    /// The state is loaded first: what can't be read must never be in force.
    Result<void> commit(io::Files& files) {
        if (!path.empty()) TRY_VOID(name_it(files));
        TRY(file, snapshot::StateFile::open(files, dir, manifest.state));
        TRY(loaded, State::load(limits, file));
        if (loaded.point() != manifest.at)
            return raftd::error(Errc::damaged, dir + "/" + manifest.state.name + ": is of another entry");
        for (snapshot::ArchiveInfo& archive : manifest.archives) {
            TRY(reader, snapshot::ArchiveReader::open(files, dir + "/" + archive.name()));
            archive.file_bytes = reader.info().file_bytes;  // as it is here
        }
        TRY_VOID(snapshot::put_in_force(files, dir, manifest));
        state.emplace(std::move(loaded));
        return snapshot::forget_incoming(files, dir);
    }
};

Installer::Installer(Context& context, Replica& replica, Peers& peers, Pump& pump, Applier& applier,
                     Compaction& compaction)
    : context_(context),
      replica_(replica),
      peers_(peers),
      pump_(pump),
      applier_(applier),
      compaction_(compaction),
      fetch_(context, peers) {}
Installer::~Installer() = default;

void Installer::wanted(const raft::Output::Install& install) {
    wanted_ = install;
    wanted_at_ = context_.now;
    if (stage_ != Stage::idle) return;
    began_at_ = context_.now;
    bytes_total_ = bytes_done_ = 0;
    failure_.clear();
    missing_.clear();
    stage_ = Stage::waiting;
    context_.log(LogLevel::info, "snapshot_wanted")("from", raw(install.from))("at", raw(install.at.index))(
        "last", raw(replica_.core().last()));
}

void Installer::turn() {
    if (fetch_.deadline() <= context_.now) fetch_.tick(context_.now);
    if (fetch_.take_heard())
        replica_.step(context_.now, raft::ev::Heard{fetch_.source(), replica_.core().term()});
    while (auto end = fetch_.take_ended()) ended(std::move(*end));
    switch (stage_) {
        case Stage::waiting:
            // Nobody offers one any more: the log reaches after all.
            if (context_.now >= wanted_at_ + context_.options.settings.raft.election_timeout * 10)
                return give_up("it is no longer wanted");
            if (context_.now >= again_at_ && !frozen() && peers_.linked(wanted_.from)) dial();
            return;
        case Stage::manifest:
            if (fetch_.connected() && !fetch_.busy()) fetch_.ask_manifest();
            return;
        case Stage::holding:
            if (compaction_.held() && !frozen()) commit();
            return;
        default: return;
    }
}

Instant Installer::deadline() const {
    Instant at = fetch_.deadline();
    if (stage_ == Stage::waiting) at = std::min(at, std::max(again_at_, context_.now + milliseconds(20)));
    return at;
}

/// What would be replaced may be the evidence; who has nothing may begin.
bool Installer::frozen() const {
    const bool empty = !compaction_.newest() && replica_.core().last() == context_.dir.base.index;
    return compaction_.frozen() && !empty;
}

void Installer::dial() {
    stage_ = Stage::manifest;
    fetch_.dial(wanted_.from);
}

void Installer::ended(FileFetch::Ended&& ended) {
    using How = FileFetch::Ended::How;
    // While a job runs, and behind the last file, the connection matters to nobody: next_file() looks.
    if (stage_ != Stage::manifest && stage_ != Stage::fetching) return;
    switch (ended.how) {
        case How::manifest: return take_manifest(ended.text);
        case How::file: return check(std::move(ended.path));
        case How::gone: return try_again("the source has a newer one");
        case How::lost: return try_again("the connection ended");
        case How::failed: return try_again(ended.text);
    }
}

void Installer::take_manifest(const std::string& text) {
    auto parsed = snapshot::parse_snapshot(text);
    if (!parsed) return try_again("the source has none yet");
    manifest_ = std::move(*parsed);
    if (manifest_.cluster_id != context_.dir.identity.cluster_id ||
        manifest_.genesis_hash != snapshot::genesis_point(context_.dir.current.genesis).chain)
        return try_again("the source's snapshot is of another cluster");
    if (overtaken()) return give_up("the log is further already");
    if (archives_ != nullptr && !archives_->agrees(fetch_.source(), manifest_.archives))
        return try_again("the source's archives differ from those here");
    manifest_.genesis_name = context_.dir.current.genesis_name;
    list();
}

void Installer::submit(std::unique_ptr<Job> job, Stage stage) {
    stage_ = stage;
    job->dir = dir();
    job->manifest = manifest_;
    context_.world.worker.submit(io::Lane::transfer, std::move(job), make_token(TokenTag::install, 0));
}

void Installer::list() {
    auto job = std::make_unique<Job>();
    job->what = Job::What::list;
    submit(std::move(job), Stage::listing);
}

void Installer::listed(Job& job) {
    parts_ = std::move(job.parts);
    state_path_.clear();
    missing_.clear();
    // The state first: its file is the one that the source replaces with its next snapshot.
    for (auto archive = manifest_.archives.rbegin(); archive != manifest_.archives.rend(); ++archive)
        if (!job.here.contains(archive->name())) missing_.push_back(archive->name());
    if (!job.here.contains(manifest_.state.name)) missing_.push_back(manifest_.state.name);
    bytes_total_ = bytes_done_ = 0;
    for (const std::string& file : missing_) bytes_total_ += bytes_of(file);
    context_.log(LogLevel::info, "snapshot_fetching")("at", raw(manifest_.at.index))(
        "from", raw(fetch_.source()))("files", missing_.size())("archives", manifest_.archives.size());
    next_file();
}

void Installer::next_file() {
    if (overtaken()) return give_up("the log is further already");
    if (missing_.empty()) {
        stage_ = Stage::holding;
        compaction_.hold(true);
        return;
    }
    if (!fetch_.connected()) return try_again("the connection ended");
    stage_ = Stage::fetching;
    fetch_.fetch(missing_.back(), parts_);
}

void Installer::check(std::string path) {
    auto job = std::make_unique<Job>();
    job->what = Job::What::check;
    job->path = std::move(path);
    job->name = missing_.back();
    job->begun_before = parts_.contains(job->path.substr(dir().size() + 1));
    submit(std::move(job), Stage::checking);
}

void Installer::commit() {
    if (overtaken()) return give_up("the log is further already");
    auto job = std::make_unique<Job>();
    job->what = Job::What::commit;
    job->path = state_path_;
    job->name = manifest_.state.name;
    job->limits = context_.options.state_limits;
    applier_.pass_over_ends(true);
    submit(std::move(job), Stage::committing);
}

void Installer::completed(io::Completed& done) {
    if (tag_of(done.token) == TokenTag::fetch) return fetch_.completed(done);
    auto& job = static_cast<Job&>(*done.job);
    if (job.what == Job::What::commit) applier_.pass_over_ends(false);
    if (job.error) return try_again(job.error->what);
    switch (job.what) {
        case Job::What::list: return listed(job);
        case Job::What::check:
            if (job.name == manifest_.state.name) state_path_ = job.path;
            bytes_done_ += bytes_of(missing_.back());
            missing_.pop_back();
            return next_file();
        case Job::What::commit: return committed(job);
    }
}

/// CURRENT is renamed: everything here follows it, in this turn.
void Installer::committed(Job& job) {
    manifest_ = std::move(job.manifest);
    context_.seams = manifest_.seams;
    compaction_.installed(manifest_);
    compaction_.hold(false);
    pump_.installed(manifest_.at, configuration_of(manifest_), highest(manifest_.used_ids));
    if (applier_.state().applied() < manifest_.at.index) applier_.replace(std::move(*job.state));
    context_.log(LogLevel::info, "snapshot_installed")("index", raw(manifest_.at.index))(
        "lsn", raw(manifest_.at.lsn_next) - 1)("from", raw(fetch_.source()))("bytes", fetch_.bytes_fetched())(
        "ms", (context_.now - began_at_).ns / 1'000'000);
    fetch_.hang_up();
    failures_ = 0;
    stage_ = Stage::idle;
}

/// As large as the source's.
uint64_t Installer::bytes_of(const std::string& file) const {
    if (file == manifest_.state.name) return manifest_.state.bytes;
    for (const snapshot::ArchiveInfo& archive : manifest_.archives)
        if (archive.name() == file) return archive.file_bytes;
    return 0;
}

void Installer::try_again(std::string_view why) {
    failure_ = why;
    compaction_.hold(false);
    fetch_.hang_up();
    stage_ = Stage::waiting;
    again_at_ = context_.now + kInstallAgainAfter * (1 << std::min(failures_, kInstallAgainDoublings));
    ++failures_;
    context_.log(LogLevel::warn, "snapshot_fetch_failed")("why", why)("failures", failures_)(
        "hint", "what was fetched stays, and is gone on with");
}

void Installer::give_up(std::string_view why) {
    compaction_.hold(false);
    fetch_.hang_up();
    failures_ = 0;
    stage_ = Stage::idle;
    context_.log(LogLevel::info, "snapshot_unneeded")("why", why);
}

std::optional<Installer::Progress> Installer::progress() const {
    if (stage_ == Stage::idle) return std::nullopt;
    const Index at =
        stage_ == Stage::waiting || stage_ == Stage::manifest ? wanted_.at.index : manifest_.at.index;
    Progress progress{at, wanted_.from, missing_.size(), bytes_done_, bytes_total_, {}};
    if (stage_ == Stage::fetching) progress.bytes += fetch_.file_bytes_written();
    if (stage_ == Stage::waiting || stage_ == Stage::holding)
        progress.why = frozen() ? "the cluster is frozen" : failure_;
    return progress;
}

}  // namespace raftd::daemon
