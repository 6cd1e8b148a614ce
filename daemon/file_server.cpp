#include "daemon/file_server.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "daemon/entry_fetch.h"
#include "proto/frame.h"
#include "snapshot/archive_reader.h"

namespace raftd::daemon {
namespace {

constexpr uint64_t kTailBytes = 4096;  // of a file: its sizes and checksums stand there

std::string_view name_in(const proto::FileAsk& ask) { return {ask.name, strnlen(ask.name, sizeof ask.name)}; }

/// A name in the snapshot folder and nothing else: what a peer says is never a path.
bool is_plain(std::string_view name) {
    auto plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), plain);
}

}  // namespace

/// Reads one part. The memory was made on the loop thread.
struct FileServer::Job final : io::Job {
    io::ConnId conn{};
    std::string folder;
    proto::FileAsk ask{};
    Slice into;
    std::optional<snapshot::StateFileInfo> state;  // when it is asked for
    // Out:
    proto::FilePart part{};
    uint32_t bytes = 0;
    std::string damaged;  // name of the file that is

    void run(io::Files& files) noexcept override { part.code = static_cast<uint32_t>(read(files)); }

    proto::FileCode read(io::Files& files) {
        std::string name(name_in(ask));
        const bool manifest = name.empty();
        if (manifest && io::read_file(files, folder + "/CURRENT", 256, name).error != 0)
            return proto::FileCode::failed;
        if (manifest) name.resize(std::min(name.find(' '), name.size()));  // `name hash`
        if (!is_plain(name)) return proto::FileCode::gone;
        if (!manifest && ask.offset == 0 && !is_whole(files, name)) {
            damaged = name;
            return proto::FileCode::failed;
        }
        int failed = 0;
        const std::string path = folder + "/" + name;
        io::FileId file = files.open(path, io::OpenMode::read, failed);
        if (file == io::kNoFile) return failed == ENOENT ? proto::FileCode::gone : proto::FileCode::failed;
        const proto::FileCode code = read_open(files, file, manifest);
        files.close(file);
        return code;
    }

    /// Whoever fetches a file checks it, and would come back for ever for one that is damaged here.
    bool is_whole(io::Files& files, const std::string& name) const {
        if (state) {
            auto opened = snapshot::StateFile::open(files, folder, *state);
            return opened || opened.error().code != Errc::damaged;
        }
        if (!snapshot::is_archive_name(name)) return true;
        auto verified = snapshot::verify_archive(files, folder, name);
        return verified || verified.error().code != Errc::damaged;
    }

    proto::FileCode read_open(io::Files& files, io::FileId file, bool manifest) {
        io::FileResult size = files.size(file);
        if (size.error != 0) return proto::FileCode::failed;
        part.file_bytes = size.bytes;
        if (manifest && (size.bytes > into.size() || ask.offset != 0)) return proto::FileCode::failed;
        std::byte tail[kTailBytes];
        const uint64_t tail_bytes = std::min(size.bytes, kTailBytes);
        io::FileResult got = files.read(file, size.bytes - tail_bytes, {tail, tail_bytes});
        if (got.error != 0 || got.bytes != tail_bytes) return proto::FileCode::failed;
        part.tag = checksum({tail, tail_bytes}, size.bytes);
        if (ask.tag != 0 && ask.tag != part.tag) return proto::FileCode::changed;
        if (ask.offset >= size.bytes) return proto::FileCode::ok;  // nothing is left
        const uint64_t wanted = std::min<uint64_t>(into.size(), size.bytes - ask.offset);
        got = files.read(file, ask.offset, {into.data(), wanted});
        if (got.error != 0 || got.bytes != wanted) return proto::FileCode::failed;
        bytes = static_cast<uint32_t>(wanted);
        part.checksum = checksum({into.data(), wanted});
        return proto::FileCode::ok;
    }
};

void FileServer::frame(io::ConnId conn, const io::Frame& frame) {
    proto::FileAsk ask;
    const bool good = static_cast<proto::FrameType>(frame.type) == proto::FrameType::file_ask &&
                      proto::read_fixed(frame.bytes.view(), ask);
    Asker& asker = askers_[conn];
    if (!good || asker.asks.size() >= kAsksMax) {
        ++context_.counters.peer_frames_bad;
        return peers_.close_bulk(conn);
    }
    asker.asks.push_back(ask);
    if (!parse_stretch_name(name_in(ask))) pin_.asked(context_.now);
    read_next(conn, asker);
}

/// One at a time, and none while the one before still waits for the network.
void FileServer::read_next(io::ConnId conn, Asker& asker) {
    if (asker.reading || asker.asks.empty()) return;
    if (context_.world.network.queued_bytes(conn) > io::Network::kHighWaterBytes) return;
    if (read_entries(conn, asker.asks.front())) {
        asker.asks.pop_front();
        asker.reading = true;
        return;
    }
    auto job = std::make_unique<Job>();
    job->conn = conn;
    job->folder = context_.dir.path + "/snapshot";
    job->ask = asker.asks.front();
    asker.asks.pop_front();
    const bool manifest = name_in(job->ask).empty();
    const auto& newest = compaction_.newest();
    if (newest && newest->state.name == name_in(job->ask)) job->state = newest->state;
    const uint32_t most = manifest ? kManifestBytesMax : std::min(job->ask.bytes_max, kPartBytesMax);
    job->into = Chunk::make(std::max(most, 1u));
    asker.reading = true;
    context_.world.worker.submit(io::Lane::transfer, std::move(job), make_token(TokenTag::serve, ++jobs_));
}

void FileServer::completed(io::Completed& done) {
    auto& job = static_cast<Job&>(*done.job);
    if (!job.damaged.empty()) reader_.damaged_files().insert(job.damaged);
    auto found = askers_.find(job.conn);
    if (found == askers_.end()) return;  // hung up meanwhile
    found->second.reading = false;
    job.part.request = job.ask.request;
    job.part.offset = job.ask.offset;
    if (!name_in(job.ask).empty()) context_.counters.files_sent_bytes += job.bytes;
    answer(job.conn, job.part, job.into.part(0, job.bytes));
    read_next(job.conn, found->second);
}

void FileServer::answer(io::ConnId conn, const proto::FilePart& part, const Slice& bytes) {
    proto::FilePart fixed = part;
    fixed.size = sizeof fixed;
    Slice parts[2] = {
        proto::make_frame_head(proto::FrameType::file_part, 0, proto::fixed_bytes(fixed), bytes.size()),
        bytes};
    context_.world.network.send(conn, {parts, bytes.empty() ? 1u : 2u});
}

/// False: it asks for something else.
bool FileServer::read_entries(io::ConnId conn, const proto::FileAsk& ask) {
    const std::optional<StretchAsked> asked = parse_stretch_name(name_in(ask));
    if (!asked) return false;
    const uint64_t most = std::clamp<uint64_t>(ask.bytes_max, 1, kPartBytesMax);
    reader_.from_files({wal::ReadRequest::By::index, raw(asked->first), most, asked->last},
                       {.who = ReadFor::Who::serve, .a = static_cast<uint64_t>(conn), .b = ask.request});
    return true;
}

void FileServer::read_done(const ReadFor& purpose, const wal::ReadResult& result) {
    const auto conn = static_cast<io::ConnId>(purpose.a);
    auto found = askers_.find(conn);
    if (found == askers_.end()) return;  // hung up meanwhile
    found->second.reading = false;
    proto::FilePart part{};
    part.request = purpose.b;
    const bool ok = result.code == wal::ReadCode::ok;
    const bool here = result.code == wal::ReadCode::damaged || result.code == wal::ReadCode::failed;
    part.code = static_cast<uint32_t>(ok     ? proto::FileCode::ok
                                      : here ? proto::FileCode::failed
                                             : proto::FileCode::gone);
    if (ok) part.checksum = checksum(result.entries.view());
    answer(conn, part, ok ? result.entries : Slice());
    read_next(conn, found->second);
}

void FileServer::writable(io::ConnId conn) {
    auto found = askers_.find(conn);
    if (found != askers_.end()) read_next(conn, found->second);
}

}  // namespace raftd::daemon
