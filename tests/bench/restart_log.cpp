// bench_restart_log DATA_DIR --producers N --stored N --behind N --body BYTES: gives the data directory of a
// new cluster's only member a log as after a long run, and a state's store that ends `behind` entries before
// it; scripts/bench-restart then measures a start on it.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "daemon/log_buffer.h"
#include "daemon/state.h"
#include "io/asio/files.h"
#include "io/asio/loop.h"
#include "snapshot/leveldb_store.h"
#include "wal/wal.h"

namespace raftd::bench {
namespace {

struct Silence final : LogSink {
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

struct Asked {
    uint64_t producers = 10'000, stored = 600'000, behind = 1'000'000, body = 128;
};

class Maker final : public io::Handler {
public:
    Maker(io::asio::Loop& loop, snapshot::DataDir dir, wal::Recovered found)
        : loop_(loop),
          dir_(std::move(dir)),
          wal_(std::move(found.wal)),
          buffer_(found.last),
          state_({}, dir_.base, 2, daemon::genesis_configuration(dir_.manifest)) {}

    void handle(io::Event& event) override {
        if (auto* done = std::get_if<io::Completed>(&event.what)) wal_->completed(*done);
        if (auto id = wal_->take_durable()) durable_ = *id;
    }
    void end_turn(Instant now) override { wal_->tick(now); }

    void open_producers(uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            EntryHeader draft = draft_batch(0, {});
            draft.kind = EntryKind::producer;
            std::string name = "producer-" + std::to_string(i);
            auto body = daemon::encode_producer({daemon::ProducerEntry::Op::open, 0, 0, name, {}});
            draft = draft_batch(0, body);
            draft.kind = EntryKind::producer;
            ids_.push_back(add(draft, body).producer_id);
        }
    }
    void append(uint64_t count, uint64_t body_bytes) {
        std::vector<std::byte> body(body_bytes_for(1, body_bytes));
        auto length = static_cast<uint32_t>(body_bytes);
        std::memcpy(body.data(), &length, sizeof(length));
        EntryHeader draft = draft_batch(1, body);
        draft.producer_epoch = 1;
        for (uint64_t i = 0; i < count; ++i) {
            size_t who = batches_++ % ids_.size();
            draft.producer = ids_[who];
            draft.sequence = (batches_ - 1) / ids_.size() + 1;
            add(draft, body);
        }
    }
    void store() {
        write();
        snapshot::LevelDbMaker maker(dir_.path + "/state");
        auto opened = maker.open().value();
        snapshot::StoreBatch batch;
        state_.take_dirty(batch);
        batch.mark.cluster_id = dir_.identity.cluster_id;
        batch.mark.incarnation = dir_.identity.incarnation;
        opened->write(batch).value();
        opened->flush().value();
    }
    void finish() {
        write();
        wal_->close_soon();
        while (!wal_->closed()) turn();
    }
    const daemon::State& state() const { return state_; }

private:
    daemon::Effects add(const EntryHeader& draft, ByteView body) {
        EntryHeader header = buffer_.append(draft, body, Term{1}, ++now_ms_);
        if (buffer_.bytes() >= 4u << 20) write();
        return state_.apply(header, body);
    }
    void write() {
        if (written_ == buffer_.last()) return;
        std::vector<Slice> slices;
        LogPoint before = buffer_.point_at(written_).value();
        buffer_.slices(written_ + 1, buffer_.last(), slices);
        wal_->write({++write_, {Term{1}, dir_.identity.id}, before, buffer_.last(), slices, true});
        while (durable_ < write_) turn();
        written_ = buffer_.last();
        buffer_.release(written_, 0);
    }
    void turn() { loop_.turn(*this, loop_.world().clock.now() + milliseconds(20)); }

    io::asio::Loop& loop_;
    snapshot::DataDir dir_;
    std::unique_ptr<wal::Wal> wal_;
    daemon::LogBuffer buffer_;
    daemon::State state_;
    std::vector<uint64_t> ids_;
    Index written_{};
    WriteId write_{}, durable_{};
    uint64_t batches_ = 0, now_ms_ = 1'700'000'000'000;
};

int make(const std::string& path, const Asked& asked) {
    Silence silence;
    io::asio::Loop loop({.data_dir = path}, silence);
    auto dir = snapshot::open(loop.world().files, path, 1);
    if (!dir) return std::fprintf(stderr, "%s\n", dir.error().what.c_str()), 1;
    auto found = wal::open(loop.world(), {.dir = path + "/wal",
                                          .cluster_id = dir->identity.cluster_id,
                                          .incarnation = dir->identity.incarnation,
                                          .base = dir->base,
                                          .salt_seed = 7,
                                          .token_tag = 1});
    if (!found) return std::fprintf(stderr, "%s\n", found.error().what.c_str()), 1;
    if (found->last.index != Index{0}) return std::fprintf(stderr, "%s: has entries\n", path.c_str()), 1;
    Maker maker(loop, std::move(*dir), std::move(*found));
    maker.open_producers(asked.producers);
    maker.append(asked.stored, asked.body);
    maker.store();
    maker.append(asked.behind, asked.body);
    maker.finish();
    std::printf("entries=%llu producers=%zu digest=%016llx\n",
                static_cast<unsigned long long>(raw(maker.state().applied())), maker.state().producers(),
                static_cast<unsigned long long>(maker.state().digest()));
    return 0;
}

}  // namespace
}  // namespace raftd::bench

int main(int argc, char** argv) {
    raftd::bench::Asked asked;
    std::map<std::string, uint64_t*> numbers{{"--producers", &asked.producers},
                                             {"--stored", &asked.stored},
                                             {"--behind", &asked.behind},
                                             {"--body", &asked.body}};
    bool good = argc >= 2 && argc % 2 == 0;
    for (int i = 2; good && i + 1 < argc; i += 2) {
        auto known = numbers.find(argv[i]);
        good = known != numbers.end();
        if (good) *known->second = std::strtoull(argv[i + 1], nullptr, 10);
    }
    if (!good || asked.producers == 0) {
        std::fputs(
            "usage: bench_restart_log DATA_DIR [--producers N] [--stored N] [--behind N] [--body BYTES]\n",
            stderr);
        return 2;
    }
    return raftd::bench::make(argv[1], asked);
}
