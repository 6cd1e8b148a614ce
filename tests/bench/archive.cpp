// bench_archive DIR [--record BYTES] [--megabytes N] [--rounds N] [--level N]: how fast one thread archives
// records that can't be compressed, and reads the archive back, in turns with the floors under it: the same
// bytes written and synced, and hashed alone. One line of JSON; rates are of the content, by CPU time and by
// the clock.
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <ctime>

#include "base/check.h"
#include "base/random.h"
#include "io/asio/files.h"
#include "io/asio/loop.h"
#include "snapshot/archive.h"
#include "snapshot/archive_reader.h"
#include "tests/bench/arguments.h"

namespace raftd::bench {
namespace {

struct Silence final : LogSink {
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

/// Of one measurement, in all rounds; each as seconds.
struct Taken {
    double cpu = 0, wall = 0;
};

template <class Work>
void take(Taken& sum, Work&& work) {
    auto cpu = [] {
        timespec now{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
    };
    auto wall = [] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    const double cpu_before = cpu(), wall_before = wall();
    work();
    sum.cpu += cpu() - cpu_before;
    sum.wall += wall() - wall_before;
}

/// A log of batches of one random record each.
std::vector<std::byte> make_log(uint64_t bytes, uint64_t record_bytes, LogPoint& end) {
    Random random(1);
    std::vector<std::byte> log;
    log.reserve(bytes + record_bytes + 4096);
    std::vector<std::byte> record(record_bytes), body(body_bytes_for(1, record_bytes));
    while (log.size() < bytes && raw(end.index) < snapshot::kArchiveEntriesMax) {
        for (uint64_t at = 0; at < record_bytes; at += sizeof(uint64_t)) {
            const uint64_t word = random.next();
            std::memcpy(record.data() + at, &word, std::min(sizeof word, record_bytes - at));
        }
        const ByteView view(record);
        encode_body({&view, 1}, body);
        EntryHeader header = draft_batch(1, body);
        finish_header(header, end, Term{1}, end.timestamp_ms + 1);
        const auto* head = reinterpret_cast<const std::byte*>(&header);
        log.insert(log.end(), head, head + sizeof header);
        log.insert(log.end(), body.begin(), body.end());
        end = point_after(header);
    }
    return log;
}

class ArchiveBench {
public:
    ArchiveBench(io::Files& files, std::string dir, ByteView log, int level)
        : files_(files), dir_(std::move(dir)), log_(log), level_(level) {}

    void round() {
        take(write_, [&] { write(); });
        take(hash_, [&] { hash(); });
        take(archive_, [&] { archive(); });
        take(read_, [&] { read(); });
        CHECK_EQ(files_.remove(dir_ + "/" + info_.name()).error, 0);
        bytes_ += log_.size();
    }
    std::string json() const {
        std::string text = "{\"content_bytes\":" + std::to_string(bytes_);
        text += ",\"file_bytes\":" + std::to_string(info_.file_bytes);
        add(text, "write", write_), add(text, "sha256", hash_);
        add(text, "archive", archive_), add(text, "read", read_);
        return text + "}";
    }

private:
    static constexpr uint64_t kPieceBytes = 1u << 20;  // as the daemon does

    void write() {
        const std::string path = dir_ + "/floor";
        int error = 0;
        io::FileId file = files_.open(path, io::OpenMode::truncate, error);
        CHECK(file != io::kNoFile);
        for (uint64_t at = 0; at < log_.size(); at += kPieceBytes) {
            const ByteView piece = log_.subspan(at, std::min(kPieceBytes, log_.size() - at));
            CHECK_EQ(files_.write(file, at, piece).bytes, piece.size());
        }
        CHECK_EQ(files_.sync(file).error, 0);
        files_.close(file);
        CHECK_EQ(files_.remove(path).error, 0);
    }
    void hash() {
        unsigned char digest[32];
        CHECK(EVP_Digest(log_.data(), log_.size(), digest, nullptr, EVP_sha256(), nullptr) == 1);
    }
    void archive() {
        snapshot::ArchiveWriter writer(dir_, LogPoint{}, level_);
        EntryCursor cursor(log_);
        uint64_t from = 0;
        while (cursor.next() != nullptr) {
            if (cursor.offset() - from < kPieceBytes) continue;
            CHECK(writer.add(files_, log_.subspan(from, cursor.offset() - from)).has_value());
            from = cursor.offset();
        }
        CHECK(writer.add(files_, log_.subspan(from)).has_value());
        auto made = writer.finish(files_);
        CHECK(made.has_value());
        info_ = *made;
    }
    void read() {
        auto reader = snapshot::ArchiveReader::open(files_, dir_ + "/" + info_.name());
        CHECK(reader.has_value());
        for (size_t frame = 0; frame < reader->frames().size(); ++frame)
            CHECK(reader->content(frame).has_value());
    }
    void add(std::string& text, const std::string& name, const Taken& taken) const {
        const double megabytes = static_cast<double>(bytes_) / 1e6;
        text += ",\"" + name + "_mb_per_cpu_s\":" + std::to_string(megabytes / std::max(taken.cpu, 1e-9));
        text += ",\"" + name + "_mb_per_s\":" + std::to_string(megabytes / std::max(taken.wall, 1e-9));
    }

    io::Files& files_;
    std::string dir_;
    ByteView log_;
    int level_;
    snapshot::ArchiveInfo info_;
    uint64_t bytes_ = 0;
    Taken write_, hash_, archive_, read_;
};

int run(const std::string& dir, const Arguments& asked) {
    Silence silence;
    io::asio::Loop loop({.data_dir = dir}, silence);
    LogPoint end;
    const auto megabytes = static_cast<uint64_t>(asked.number("--megabytes", 64));
    const auto record = static_cast<uint64_t>(asked.number("--record", 4096));
    const std::vector<std::byte> log = make_log(megabytes * 1'000'000, record, end);
    ArchiveBench bench(loop.world().files, dir, log, static_cast<int>(asked.number("--level", 1)));
    for (int round = static_cast<int>(asked.number("--rounds", 5)); round > 0; --round) bench.round();
    return print(bench.json(), {});
}

}  // namespace
}  // namespace raftd::bench

int main(int argc, char** argv) {
    if (argc < 2 || argv[1][0] == '-') {
        std::fputs("usage: bench_archive DIR [--record BYTES] [--megabytes N] [--rounds N] [--level N]\n",
                   stderr);
        return 2;
    }
    return raftd::bench::run(argv[1], raftd::bench::Arguments(argc, argv, 2));
}
