#include "tests/bench/long_log.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/random.h"
#include "daemon/log_buffer.h"
#include "daemon/state.h"
#include "io/asio/files.h"
#include "io/asio/loop.h"
#include "snapshot/leveldb_store.h"
#include "wal/wal.h"

namespace raftd::bench {
namespace {

constexpr uint64_t kWriteBytes = 4u << 20;
constexpr uint32_t kLevelWithoutArchives = 2, kLevelWithArchives = 3;

struct Silence final : LogSink {
    bool wants(LogLevel) const override { return false; }
    void write(LogLevel, std::string_view) override {}
};

class Maker final : public io::Handler {
public:
    Maker(io::asio::Loop& loop, snapshot::DataDir dir, wal::Recovered found, const LongLog& wanted)
        : loop_(loop),
          dir_(std::move(dir)),
          wanted_(wanted),
          wal_(std::move(found.wal)),
          buffer_(found.last),
          state_({}, dir_.base, wanted.archived > 0 ? kLevelWithArchives : kLevelWithoutArchives,
                 daemon::genesis_configuration(dir_.manifest)),
          store_maker_(dir_.path + "/state"),
          now_ms_(wanted.first_ms) {}

    void handle(io::Event& event) override {
        if (auto* done = std::get_if<io::Completed>(&event.what)) wal_->completed(*done);
        if (auto id = wal_->take_durable()) durable_ = *id;
    }
    void end_turn(Instant now) override { wal_->tick(now); }

    Result<LongLogMade> make() {
        TRY(store, store_maker_.open());
        store_ = std::move(store);
        made_.first_ms = now_ms_;
        archiving_ = wanted_.archived > 0;
        TRY_VOID(open_producers());
        const auto archived = static_cast<uint64_t>(wanted_.archived * static_cast<double>(wanted_.records));
        while (archiving_ && made_.records < wanted_.records) {
            TRY_VOID(append());
            if (ended_archive_ && made_.records >= archived) TRY_VOID(take_snapshot());
        }
        const uint64_t unstored = wanted_.unstored * wanted_.batch_records;
        while (made_.records + unstored < wanted_.records) TRY_VOID(append());
        TRY_VOID(write_out());
        TRY_VOID(store_state());
        while (made_.records < wanted_.records) TRY_VOID(append());
        TRY_VOID(write_out());
        wal_->close_soon();
        while (!wal_->closed()) turn();
        made_.entries = raw(state_.applied());
        made_.last_ms = now_ms_;
        made_.producers = state_.producers();
        made_.digest = state_.digest();
        return made_;
    }

private:
    Result<void> open_producers() {
        for (uint64_t i = 0; i < wanted_.producers; ++i) {
            const std::string name = "producer-" + std::to_string(i);
            auto body = daemon::encode_producer({daemon::ProducerEntry::Op::open, 0, 0, name, {}});
            EntryHeader draft = draft_batch(0, body);
            draft.kind = EntryKind::producer;
            TRY(effects, add(draft, body));
            ids_.push_back(effects.producer_id);
        }
        return {};
    }

    Result<void> append() {
        const uint64_t count = std::min(wanted_.batch_records, wanted_.records - made_.records);
        body_.resize(body_bytes_for(count, count * wanted_.record_bytes));
        const auto length = static_cast<uint32_t>(wanted_.record_bytes);
        auto* text = reinterpret_cast<char*>(body_.data()) + count * sizeof length;
        for (uint64_t i = 0; i < count; ++i) {
            std::memcpy(body_.data() + i * sizeof length, &length, sizeof length);
            fill_record(raw(buffer_.end().lsn_next) + i, text + i * length, length);
        }
        EntryHeader draft = draft_batch(static_cast<uint32_t>(count), body_);
        if (!ids_.empty()) {
            draft.producer = ids_[batches_ % ids_.size()];
            draft.producer_epoch = 1;
            draft.sequence = batches_ / ids_.size() + 1;
        }
        ++batches_;
        made_.records += count;
        TRY_VOID(add(draft, body_));
        return {};
    }

    Result<daemon::Effects> add(const EntryHeader& draft, ByteView body) {
        EntryHeader header = buffer_.append(draft, body, Term{1}, ++now_ms_);
        daemon::Effects effects = state_.apply(header, body);
        ended_archive_ = effects.archive_end;
        if (buffer_.bytes() >= kWriteBytes || (archiving_ && ended_archive_)) TRY_VOID(write_out());
        return effects;
    }

    Result<void> write_out() {
        if (written_ == buffer_.last()) return {};
        std::vector<Slice> slices;
        buffer_.slices(written_ + 1, buffer_.last(), slices);
        const LogPoint before = buffer_.point_at(written_).value();
        if (archiving_) {
            TRY_VOID(archive(before, slices));
        } else {
            write_to_log(before, slices);
        }
        written_ = buffer_.last();
        buffer_.release(written_, 0);
        return {};
    }
    void write_to_log(const LogPoint& before, const std::vector<Slice>& slices) {
        wal_->write({++write_, hard(), before, buffer_.last(), slices, true});
        while (durable_ < write_) turn();
    }
    Result<void> archive(const LogPoint& before, const std::vector<Slice>& slices) {
        if (!writer_) writer_.emplace(snapshots(), before, 1);
        for (const Slice& slice : slices) TRY_VOID(writer_->add(loop_.world().files, slice.view()));
        if (!ended_archive_) return {};
        TRY(info, writer_->finish(loop_.world().files));
        archives_.push_back(info);
        writer_.reset();
        return {};
    }

    Result<void> store_state() {
        snapshot::StoreBatch batch;
        state_.take_dirty(batch);
        batch.mark.cluster_id = dir_.identity.cluster_id;
        batch.mark.incarnation = dir_.identity.incarnation;
        TRY_VOID(store_->write(batch));
        return store_->flush();
    }

    /// From here on entries go to the log, which begins behind the archives.
    Result<void> take_snapshot() {
        archiving_ = false;
        TRY_VOID(store_state());
        snapshot::SnapshotManifest manifest;
        manifest.cluster_id = dir_.manifest.cluster_id;
        manifest.cluster_name = dir_.manifest.cluster_name;
        manifest.genesis_name = dir_.current.genesis_name;
        manifest.genesis_hash = snapshot::genesis_point(dir_.manifest).chain;
        manifest.at = state_.point();
        manifest.feature_level = state_.feature_level();
        const auto genesis = daemon::genesis_configuration(dir_.manifest);
        snapshot::SnapshotConfig config{genesis.index, genesis.membership, {}};
        for (const auto& [id, info] : genesis.infos) config.infos.push_back(info);
        manifest.configs.push_back(config);
        manifest.used_ids = state_.used_ids();
        manifest.archives = archives_;
        made_.archives = archives_.size();
        made_.archived_records = made_.records;
        io::Files& files = loop_.world().files;
        TRY(state, snapshot::write_state_file(files, snapshots(), state_.point(), *store_));
        manifest.state = state;
        TRY_VOID(snapshot::put_in_force(files, snapshots(), manifest));
        wal_->reset(state_.point());
        write_to_log(state_.point(), {});
        return {};
    }

    HardState hard() const { return {Term{1}, dir_.identity.id}; }
    std::string snapshots() const { return dir_.path + "/snapshot"; }
    void turn() { loop_.turn(*this, loop_.world().clock.now() + milliseconds(20)); }

    io::asio::Loop& loop_;
    snapshot::DataDir dir_;
    const LongLog wanted_;
    std::unique_ptr<wal::Wal> wal_;
    daemon::LogBuffer buffer_;
    daemon::State state_;
    snapshot::LevelDbMaker store_maker_;
    std::unique_ptr<snapshot::Store> store_;
    std::optional<snapshot::ArchiveWriter> writer_;
    std::vector<snapshot::ArchiveInfo> archives_;
    std::vector<uint64_t> ids_;
    std::vector<std::byte> body_;
    bool archiving_ = false, ended_archive_ = false;
    Index written_{};
    WriteId write_{}, durable_{};
    uint64_t batches_ = 0, now_ms_;
    LongLogMade made_;
};

}  // namespace

void fill_record(uint64_t lsn, char* into, uint64_t bytes) {
    static const std::string filler = [] {
        std::string text(8192, '\0');
        Random random(11);
        for (char& c : text) c = "0123456789abcdef"[random.below(16)];
        return text;
    }();
    char digits[24];
    const auto length = static_cast<uint64_t>(
        std::snprintf(digits, sizeof digits, "%llu ", static_cast<unsigned long long>(lsn)));
    std::memcpy(into, digits, std::min(length, bytes));
    for (uint64_t at = length; at < bytes;) {
        const uint64_t from = (lsn * 61 + at) % (filler.size() / 2);
        const uint64_t part = std::min<uint64_t>(bytes - at, filler.size() / 2);
        std::memcpy(into + at, filler.data() + from, part);
        at += part;
    }
}

Result<LongLogMade> make_long_log(const std::string& path, const LongLog& wanted) {
    Silence silence;
    io::asio::Loop loop({.data_dir = path}, silence);
    TRY(dir, snapshot::open(loop.world().files, path, 1));
    TRY(found, wal::open(loop.world(), {.dir = path + "/wal",
                                        .cluster_id = dir.identity.cluster_id,
                                        .incarnation = dir.identity.incarnation,
                                        .base = dir.base,
                                        .segment_bytes = wanted.segment_bytes,
                                        .salt_seed = 7,
                                        .token_tag = 1}));
    if (found.last.index != Index{0}) return error(Errc::conflict, path + ": has entries");
    return Maker(loop, std::move(dir), std::move(found), wanted).make();
}

}  // namespace raftd::bench
