// The only includer of LevelDB.
#include "snapshot/leveldb_store.h"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/write_batch.h>

#include <unordered_map>

#include "base/checksum.h"
#include "base/codec.h"

namespace raftd::snapshot {
namespace {

constexpr std::string_view kMarkKey = "!mark";
constexpr uint32_t kMarkFormat = 1;
constexpr size_t kWriteBufferBytes = 2u << 20;
constexpr size_t kBlockCacheBytes = 256u << 10;  // everything is read once, at a start

struct MarkRecord {
    uint32_t format, reserved;
    ClusterId cluster_id;
    Incarnation incarnation;
    uint64_t index, term, chain, lsn_next, timestamp_ms;
    uint64_t sum;  // of the hashes of all keys with their values, but for this one
};
static_assert(sizeof(MarkRecord) == 88);

std::string_view text_of(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }
leveldb::Slice slice_of(std::string_view text) { return {text.data(), text.size()}; }

/// LevelDB quotes what it read, and that may be any bytes.
std::string text_of(const leveldb::Status& status) {
    std::string text = status.ToString();
    for (char& byte : text)
        if (byte < ' ' || byte > '~') byte = '?';
    return text;
}

Error error_of(const leveldb::Status& status, const std::string& path) {
    // A missing file of a database that is there is as bad as a changed one.
    bool damaged = status.IsCorruption() || status.IsNotFound() || status.IsInvalidArgument();
    return error(damaged ? Errc::damaged : Errc::io, path + ": " + text_of(status));
}

uint64_t hash_of(std::string_view key, std::string_view value) {
    return checksum(as_bytes(value), checksum(as_bytes(key)));
}

/// LevelDB's own log file grows without a bound and says nothing that anybody needs.
class NoLogger final : public leveldb::Logger {
public:
    void Logv(const char*, va_list) override {}
};

class LevelDbStore final : public Store {
public:
    LevelDbStore(std::string path, leveldb::Env* env) : path_(std::move(path)) {
        options_.paranoid_checks = true;
        options_.compression = leveldb::kNoCompression;
        options_.write_buffer_size = kWriteBufferBytes;
        options_.max_open_files = 64;
        cache_.reset(leveldb::NewLRUCache(kBlockCacheBytes));
        options_.block_cache = cache_.get();
        options_.info_log = &no_logger_;
        if (env != nullptr) options_.env = env;
    }

    Result<void> open(bool create) {
        options_.create_if_missing = create;
        leveldb::DB* opened = nullptr;
        leveldb::Status status = leveldb::DB::Open(options_, path_, &opened);
        db_.reset(opened);
        if (!status.ok()) return error_of(status, path_);
        return verify();
    }

    Result<void> write(const StoreBatch& batch) override {
        if (failed_) return *failed_;
        leveldb::WriteBatch changes;
        for (const auto& [key, value] : batch.keys) {
            auto known = hashes_.find(key);
            if (known != hashes_.end()) sum_ -= known->second;
            if (value) {
                uint64_t hash = hash_of(key, *value);
                sum_ += hash;
                hashes_[key] = hash;
                changes.Put(slice_of(key), slice_of(*value));
            } else {
                hashes_.erase(key);
                changes.Delete(slice_of(key));
            }
        }
        const MarkRecord record = record_of(batch.mark);
        changes.Put(slice_of(kMarkKey), {reinterpret_cast<const char*>(&record), sizeof(record)});
        leveldb::Status status = db_->Write({}, &changes);
        if (!status.ok()) return fail(status);
        mark_ = batch.mark;
        return {};
    }

    Result<void> flush() override {
        if (failed_) return *failed_;
        // Into a synced table: a sync of the log alone leaves out what is in the log before it. The range
        // holds no key, so nothing but the memory is written.
        const leveldb::Slice nothing("\xff\xff");
        db_->CompactRange(&nothing, &nothing);
        leveldb::WriteOptions synced;
        synced.sync = true;
        leveldb::WriteBatch empty;
        leveldb::Status status = db_->Write(synced, &empty);
        if (!status.ok()) return fail(status);
        return {};
    }

    Result<std::optional<StoreMark>> mark() const override { return mark_; }

    Result<void> for_each(
        const std::function<void(std::string_view, std::string_view)>& visit) const override {
        leveldb::ReadOptions checked;
        checked.verify_checksums = true;
        checked.fill_cache = false;
        std::unique_ptr<leveldb::Iterator> at(db_->NewIterator(checked));
        for (at->SeekToFirst(); at->Valid(); at->Next())
            if (text_of(at->key()) != kMarkKey) visit(text_of(at->key()), text_of(at->value()));
        if (!at->status().ok()) return error_of(at->status(), path_);
        return {};
    }

private:
    /// What the store then holds isn't known before it is opened anew.
    Error fail(const leveldb::Status& status) {
        failed_ = error_of(status, path_);
        failed_->code = Errc::io;
        return *failed_;
    }

    Result<void> verify() {
        leveldb::ReadOptions checked;
        checked.verify_checksums = true;
        std::string value;
        leveldb::Status status = db_->Get(checked, slice_of(kMarkKey), &value);
        if (!status.ok() && !status.IsNotFound()) return error_of(status, path_);
        TRY_VOID(for_each([&](std::string_view key, std::string_view found) {
            uint64_t hash = hash_of(key, found);
            sum_ += hash;
            hashes_.emplace(key, hash);
        }));
        if (status.IsNotFound()) {
            if (hashes_.empty()) return {};
            return error(Errc::damaged, path_ + ": keys without a mark");
        }
        ByteReader reader(as_bytes(value));
        auto record = reader.get<MarkRecord>();
        if (!reader.done() || record.format != kMarkFormat)
            return error(Errc::damaged, path_ + ": the mark can't be read");
        if (record.sum != sum_)
            return error(Errc::damaged, path_ + ": keys are missing, or are not those of the mark");
        mark_ = {record.cluster_id, record.incarnation,
                 LogPoint{Index{record.index}, Term{record.term}, record.chain, Lsn{record.lsn_next},
                          record.timestamp_ms}};
        return {};
    }

    MarkRecord record_of(const StoreMark& mark) const {
        const LogPoint& at = mark.applied;
        return {kMarkFormat,  0,        mark.cluster_id,  mark.incarnation, raw(at.index),
                raw(at.term), at.chain, raw(at.lsn_next), at.timestamp_ms,  sum_};
    }

    std::string path_;
    NoLogger no_logger_;
    leveldb::Options options_;
    std::unique_ptr<leveldb::Cache> cache_;
    std::unordered_map<std::string, uint64_t> hashes_;  // of each key with its value
    uint64_t sum_ = 0;
    std::optional<StoreMark> mark_;
    std::optional<Error> failed_;
    std::unique_ptr<leveldb::DB> db_;  // last: it uses the others
};

}  // namespace

Result<std::unique_ptr<Store>> LevelDbMaker::open(bool create) {
    auto store = std::make_unique<LevelDbStore>(path_, env_);
    TRY_VOID(store->open(create));
    return std::unique_ptr<Store>(std::move(store));
}

Result<std::unique_ptr<Store>> LevelDbMaker::open() { return open(true); }

Result<std::unique_ptr<Store>> LevelDbMaker::open_existing() {
    leveldb::Env* env = env_ != nullptr ? env_ : leveldb::Env::Default();
    if (!env->FileExists(path_ + "/CURRENT")) return error(Errc::not_found, path_ + ": no state there");
    return open(false);
}

Result<void> LevelDbMaker::remove() {
    leveldb::Options options;
    if (env_ != nullptr) options.env = env_;
    leveldb::Status status = leveldb::DestroyDB(path_, options);
    // What isn't LevelDB's own stays, and it is no error that nothing is there.
    if (!status.ok() && !status.IsNotFound()) return error(Errc::io, path_ + ": " + text_of(status));
    return {};
}

}  // namespace raftd::snapshot
