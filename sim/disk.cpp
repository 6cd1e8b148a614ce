#include "sim/disk.h"

#include <cerrno>

#include "sim/process.h"

namespace raftd::sim {
namespace {

// Ids apart from those of SimFiles, so that one taken for the other is found at once.
constexpr uint32_t kFirstId = 0x4000'0000;

std::string_view parent_of(std::string_view path) {
    size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace

io::FileId SimDisk::hand_out(InodeRef file) {
    handles_.push_back(std::move(file));
    return io::FileId{kFirstId + static_cast<uint32_t>(handles_.size() - 1)};
}

const InodeRef& SimDisk::handle(io::FileId file) const {
    auto id = static_cast<uint32_t>(file);
    CHECK_GE(id, kFirstId);
    CHECK_LT(id - kFirstId, handles_.size());
    CHECK(handles_[id - kFirstId] != nullptr);  // used after close
    return handles_[id - kFirstId];
}

io::FileId SimDisk::open(std::string_view path, int& error) {
    InodeRef found = storage_.open(path, false, false, false, error);
    if (storage_.dead()) throw ProcessEnded(ProcessEnded::power, ExitCode::ok, "power cut");
    return found == nullptr ? io::kNoFile : hand_out(std::move(found));
}

void SimDisk::close(io::FileId file) {
    handle(file);
    handles_[static_cast<uint32_t>(file) - kFirstId] =
        nullptr;  // what is asked already holds the inode itself
}

Duration SimDisk::time_for(Duration base, uint64_t bytes) {
    auto ns = base.ns / 2 + static_cast<int64_t>(random_.below(static_cast<uint64_t>(base.ns) + 1)) +
              static_cast<int64_t>(bytes * 1'000'000'000 / model_.bytes_per_second);
    if (random_.chance(model_.tail))
        ns += static_cast<int64_t>(random_.below(static_cast<uint64_t>(model_.tail_max.ns) + 1));
    return {ns};
}

void SimDisk::write(io::FileId file, uint64_t offset, std::span<const Slice> parts, bool sync,
                    io::Token token) {
    Op op;
    op.kind = Op::write, op.token = token, op.file = handle(file), op.offset = offset, op.sync = sync;
    op.parts.assign(parts.begin(), parts.end());
    for (const Slice& part : parts) op.bytes += part.size();
    push(std::move(op));
}

void SimDisk::rename(std::string_view from, std::string_view to, io::Token token) {
    Op op;
    op.kind = Op::rename, op.token = token, op.path = from, op.to = to;
    push(std::move(op));
}

void SimDisk::create(std::string_view path, uint64_t bytes, io::Prefill prefill, bool sync_dir,
                     io::Token token) {
    Op op;
    op.kind = Op::create, op.token = token, op.path = path, op.bytes = bytes, op.prefill = prefill,
    op.sync = sync_dir;
    push_beside(std::move(op), time_for(model_.create, prefill == io::Prefill::zeros ? bytes : 0));
}

void SimDisk::remove(std::string_view path, io::Token token) {
    Op op;
    op.kind = Op::remove, op.token = token, op.path = path;
    push_beside(std::move(op), time_for(model_.sync, 0));
}

void SimDisk::read(io::FileId file, uint64_t offset, Slice into, io::Token token) {
    Op op;
    op.kind = Op::read, op.token = token, op.file = handle(file), op.offset = offset,
    op.into = std::move(into);
    uint64_t bytes = op.into.size();
    push_beside(std::move(op), time_for(model_.read, bytes));
}

void SimDisk::push(Op op) {
    lane_.push_back(std::move(op));
    if (lane_.size() == 1) start(lane_.front());
}

void SimDisk::push_beside(Op op, Duration time) {
    if (op.kind == Op::create || op.kind == Op::remove) start(op);
    uint32_t place;
    if (beside_free_.empty()) {
        place = static_cast<uint32_t>(beside_.size());
        beside_.push_back(std::move(op));
    } else {
        place = beside_free_.back();
        beside_free_.pop_back();
        beside_[place] = std::move(op);
    }
    ++beside_count_;
    kernel_.schedule_in(time, actor_, beside_done, place);
}

/// The visible half of an operation.
void SimDisk::start(Op& op) {
    switch (op.kind) {
        case Op::write: {
            scratch_.clear();
            for (const Slice& part : op.parts)
                scratch_.insert(scratch_.end(), part.view().begin(), part.view().end());
            uint64_t bytes = 0;
            op.error = storage_.write(*op.file, op.offset, scratch_, bytes);
            if (op.error == 0 && bytes != op.bytes) op.error = ENOSPC;
            kernel_.schedule_in(time_for(op.sync ? model_.write + model_.sync : model_.write, op.bytes),
                                actor_, lane_done, 0);
            break;
        }
        case Op::rename:
            op.error = storage_.rename(op.path, op.to);
            kernel_.schedule_in(time_for(model_.sync, 0), actor_, lane_done, 0);
            break;
        case Op::create:
            op.file = storage_.open(op.path, true, true, false, op.error);
            if (op.error == 0)
                op.error = storage_.fill(*op.file, 0, op.bytes,
                                         op.prefill == io::Prefill::zeros ? DiskOp::fill : DiskOp::allocate);
            break;
        case Op::remove: op.error = storage_.remove(op.path); break;
        case Op::read: break;
    }
}

void SimDisk::fire(uint32_t kind, uint64_t data) {
    if (storage_.dead()) throw ProcessEnded(ProcessEnded::power, ExitCode::ok, "power cut");
    if (kernel_.now() < model_.hung_until) {
        kernel_.schedule(model_.next_look(kernel_.now()), actor_, kind, data);
        return;
    }
    if (kind == lane_done) {
        Op op = std::move(lane_.front());
        lane_.pop_front();
        if (!lane_.empty()) start(lane_.front());
        finish(op);
    } else {
        Op op = std::move(beside_[data]);
        beside_free_.push_back(static_cast<uint32_t>(data));
        --beside_count_;
        finish(op);
    }
    if (storage_.dead()) throw ProcessEnded(ProcessEnded::power, ExitCode::ok, "power cut");
}

void SimDisk::must_sync(Inode& file) {
    if (storage_.sync(file) != 0 && !storage_.dead())
        fatal(ExitCode::sync_failed, "sync of " + file.path + " failed");
}

void SimDisk::must_sync_dir(std::string_view path) {
    if (storage_.sync_dir(path) != 0 && !storage_.dead())
        fatal(ExitCode::sync_failed, "sync of directory " + std::string(path) + " failed");
}

/// The durable half, and the answer.
void SimDisk::finish(Op& op) {
    io::Completed done{op.token, op.error, {}, io::kNoFile, nullptr};
    switch (op.kind) {
        case Op::write:
            if (op.sync && op.error == 0) must_sync(*op.file);
            break;
        case Op::rename:
            if (op.error == 0) must_sync_dir(parent_of(op.to));
            if (op.error == 0 && parent_of(op.path) != parent_of(op.to)) must_sync_dir(parent_of(op.path));
            break;
        case Op::create: finish_create(op, done); break;
        case Op::remove:
            if (op.error == 0) must_sync_dir(parent_of(op.path));
            break;
        case Op::read: {
            uint64_t bytes = 0;
            done.error = storage_.read(*op.file, op.offset, op.into.writable(), bytes);
            done.bytes = op.into.part(0, static_cast<uint32_t>(bytes));
            break;
        }
    }
    if (storage_.dead()) return;  // nobody is there to hear it
    inbox_.post({kernel_.now(), std::move(done)}, Inbox::kCompletions);
}

void SimDisk::finish_create(Op& op, io::Completed& done) {
    if (op.error == 0) {
        must_sync(*op.file);
        if (op.sync) must_sync_dir(parent_of(op.path));
        done.file = hand_out(op.file);
    } else if (op.file != nullptr) {  // a full disk: leave nothing behind
        storage_.remove(op.path);
        must_sync_dir(parent_of(op.path));
    }
}

}  // namespace raftd::sim
