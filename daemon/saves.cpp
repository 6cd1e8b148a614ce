#include "daemon/saves.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "base/uuid.h"
#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {
namespace {

constexpr size_t kFilesMax = 100'000;  // so that the answer fits a frame

Error ended() {
    return error(Errc::not_found, "this save has ended: nothing was asked for too long, or it took too long",
                 "raftctl snapshot save again");
}

}  // namespace

/// Reads one part. The memory was made on the loop thread.
struct Saves::Job final : io::Job {
    uint64_t id = 0;
    Ask ask;
    std::string path;
    Slice into;
    std::optional<Error> error;

    void run(io::Files& files) noexcept override {
        int failed = 0;
        const io::FileId file = files.open(path, io::OpenMode::read, failed);
        io::FileResult got{failed, 0};
        if (file != io::kNoFile) {
            got = files.read(file, ask.offset, into.writable());
            files.close(file);
        }
        if (got.error != 0) error = raftd::error(Errc::io, path + ": " + std::strerror(got.error));
        if (got.error == 0 && got.bytes != into.size())
            error = raftd::error(Errc::damaged, path + " is shorter than the snapshot says");
    }
};

bool Saves::request(const ClientConn& conn, uint32_t stream, const pb::Request& request) {
    if (request.has_begin_save())
        begin(conn, stream, Index{request.begin_save().index_min()});
    else if (request.has_read_save())
        read(conn, stream, request.read_save());
    else if (request.has_end_save()) {
        if (find(request.end_save().id(), conn.id) != nullptr) end(request.end_save().id(), "done");
        pb::Answer said;
        said.mutable_save_ended();
        answer(clients_, conn.id, stream, said);
    } else {
        return false;
    }
    return true;
}

void Saves::begin(const ClientConn& conn, uint32_t stream, Index index_min) {
    auto no = [&](const std::string& why, const std::string& hint) {
        refuse(clients_, conn.id, stream, error(Errc::unavailable, why, hint), {});
    };
    const auto& newest = compaction_.newest();
    const std::string at = std::to_string(raw(index_min));
    if (!newest || newest->at.index < index_min)
        return no("this member has no snapshot at entry " + at + " yet",
                  compaction_.trouble().empty() ? "it is being taken" : compaction_.trouble());
    if (compaction_.released())
        return refuse(clients_, conn.id, stream,
                      error(Errc::conflict, "the log was trimmed since the snapshot was taken",
                            "raftctl snapshot save again"),
                      {});
    if (newest->archives.size() > kFilesMax) return no("too many archives for one file", "raftctl trim");
    if (saves_.size() >= kAtOnce)
        return no(std::to_string(kAtOnce) + " saves are under way", "try another member, or later");
    const uint64_t id = ++last_id_;
    if (!compaction_.pin(id)) return no("a newer snapshot is being put in force", "in a moment");
    Save& save = saves_[id];
    save.conn = conn.id;
    const snapshot::Current& current = context_.dir.current;
    const std::string manifest = snapshot::encode_snapshot(*newest);
    save.files = {{newest->name(), manifest.size()},
                  {current.genesis_name, snapshot::encode_manifest(current.genesis).size()},
                  {newest->state.name, newest->state.bytes}};
    for (const auto& archive : newest->archives) save.files.push_back({archive.name(), archive.file_bytes});
    pb::Answer said;
    pb::SaveBegun& begun = *said.mutable_save_begun();
    begun.set_id(id);
    begun.set_index(raw(newest->at.index));
    begun.set_lsn(raw(newest->at.lsn_next) - 1);
    begun.set_first_lsn(raw(state_.first_lsn()));
    begun.set_time_ms(newest->at.timestamp_ms);
    begun.set_current(newest->name() + " " + to_hex(checksum(as_bytes(manifest))) + "\n");
    begun.set_member(context_.dir.identity.name);
    uint64_t bytes = 0;
    for (const File& file : save.files) {
        pb::SaveFile& to = *begun.add_files();
        to.set_name(file.name);
        to.set_bytes(file.bytes);
        bytes += file.bytes;
    }
    save.idle_at = context_.now + kIdleMax;
    save.end_at = context_.now + kTimeMax + seconds(static_cast<int64_t>(bytes >> 20));
    answer(clients_, conn.id, stream, said);
    context_.log(LogLevel::info, "save_begun")("index", raw(newest->at.index))("bytes", bytes)("client",
                                                                                               conn.peer);
}

Saves::Save* Saves::find(uint64_t id, io::ConnId conn) {
    auto found = saves_.find(id);
    return found == saves_.end() || found->second.conn != conn ? nullptr : &found->second;
}

void Saves::read(const ClientConn& conn, uint32_t stream, const pb::ReadSave& wanted) {
    Save* save = find(wanted.id(), conn.id);
    if (save == nullptr) return refuse(clients_, conn.id, stream, ended(), {});
    const bool sane = wanted.file() < save->files.size() &&
                      wanted.offset() < save->files[wanted.file()].bytes && wanted.bytes_max() != 0;
    if (!sane || save->asks.size() >= kAsksMax) {
        refuse(clients_, conn.id, stream,
               error(Errc::bad_input, "no part of a save is asked for in this way"), {});
        return end(wanted.id(), "asked wrongly");
    }
    save->asks.push_back({stream, wanted.file(), wanted.bytes_max(), wanted.offset()});
    save->idle_at = context_.now + kIdleMax;
    read_next(wanted.id(), *save);
}

/// One at a time, and none while the one before still waits for the network.
void Saves::read_next(uint64_t id, Save& save) {
    if (save.reading || save.asks.empty()) return;
    if (context_.world.network.queued_bytes(save.conn) > io::Network::kHighWaterBytes) return;
    auto job = std::make_unique<Job>();
    job->id = id;
    job->ask = save.asks.front();
    save.asks.pop_front();
    const File& file = save.files[job->ask.file];
    job->path = context_.dir.path + "/snapshot/" + file.name;
    const uint64_t most = std::min(job->ask.bytes_max, kPartBytesMax);
    job->into = Chunk::make(static_cast<uint32_t>(std::min(most, file.bytes - job->ask.offset)));
    save.reading = true;
    context_.world.worker.submit(io::Lane::transfer, std::move(job), make_token(TokenTag::save, id));
}

void Saves::completed(io::Completed& done) {
    auto& job = static_cast<Job&>(*done.job);
    auto found = saves_.find(job.id);
    if (found == saves_.end()) return;  // ended meanwhile
    Save& save = found->second;
    save.reading = false;
    if (job.error) {
        refuse(clients_, save.conn, job.ask.stream, *job.error, {});
        return end(job.id, job.error->what);
    }
    pb::Answer said;
    said.mutable_save_part()->set_data(job.into.data(), job.into.size());
    answer(clients_, save.conn, job.ask.stream, said);
    read_next(job.id, save);
}

void Saves::turn() {
    for (auto at = saves_.begin(); at != saves_.end();) {
        auto& [id, save] = *at++;
        if (clients_.find(save.conn) == nullptr)
            end(id, "the connection ended");
        else if (context_.now >= save.idle_at || context_.now >= save.end_at)
            end(id, "it took too long");
        else
            read_next(id, save);
    }
}

Instant Saves::deadline() const {
    Instant at = kNever;
    for (const auto& [id, save] : saves_) at = std::min({at, save.idle_at, save.end_at});
    return at;
}

void Saves::end(uint64_t id, std::string_view why) {
    compaction_.unpin(id);
    saves_.erase(id);
    context_.log(LogLevel::info, "save_ended")("why", why);
}

}  // namespace raftd::daemon
