#include "sim/storage.h"

#include <algorithm>
#include <cerrno>

namespace raftd::sim {
namespace {

constexpr size_t kGraveyardBlocks = 256;

std::string_view folder_of(std::string_view path) {
    size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}
std::string_view without_slash(std::string_view dir) {
    while (!dir.empty() && dir.back() == '/') dir.remove_suffix(1);
    return dir;
}

}  // namespace

const char* text_of(DiskOp op) {
    static constexpr const char* kNames[] = {"open",     "read",   "write",     "sync",   "sync_dir",
                                             "rename",   "remove", "make_dir",  "resize", "fill",
                                             "allocate", "list",   "drop_cache"};
    return kNames[static_cast<size_t>(op)];
}

SimStorage::SimStorage() = default;

SimStorage::SimStorage(const SimStorage& other) { *this = other; }

SimStorage& SimStorage::operator=(const SimStorage& other) {
    if (this == &other) return *this;
    std::map<const Inode*, InodeRef> copies;
    auto copy = [&copies](const InodeRef& inode) {
        InodeRef& made = copies[inode.get()];
        if (made == nullptr && inode != nullptr) made = std::make_shared<Inode>(*inode);
        return made;
    };
    visible_.clear(), durable_.clear(), changes_.clear();
    for (const auto& [path, inode] : other.visible_) visible_[path] = copy(inode);
    for (const auto& [path, inode] : other.durable_) durable_[path] = copy(inode);
    for (const NameChange& change : other.changes_)
        changes_.push_back({change.kind, change.path, change.to, copy(change.inode)});
    graveyard_ = other.graveyard_;
    capacity_ = other.capacity_, used_ = other.used_;
    dead_ = other.dead_;
    return *this;
}

Verdict SimStorage::begin(const DiskCall& call) {
    ++calls_;
    if (dead_) return {EIO, false, 0};
    if (recording_) recorded_.push_back({call.op, std::string(call.path), call.offset, call.bytes});
    if (!fault) return {};
    Verdict verdict = fault(calls_, call);
    if (verdict.cut_power) {
        dead_ = true;
        verdict.error = EIO;
    }
    return verdict;
}

bool SimStorage::has_parent(std::string_view path) const {
    std::string_view parent = folder_of(path);
    if (parent.empty()) return true;
    auto found = visible_.find(parent);
    return found != visible_.end() && found->second->directory;
}

bool SimStorage::grow_allowed(const Inode& file, uint64_t size) const {
    uint64_t before = file.visible.size();
    return size <= before || size - before <= free_bytes();
}

void SimStorage::add_used(uint64_t before, uint64_t after) { used_ = used_ + after - before; }

uint64_t SimStorage::free_bytes() const {
    if (capacity_ == UINT64_MAX) return uint64_t{1} << 40;
    return capacity_ > used_ ? capacity_ - used_ : 0;
}

InodeRef SimStorage::open(std::string_view path, bool create, bool exclusive, bool truncate, int& error) {
    auto found = visible_.find(path);
    const bool makes = found == visible_.end() ? create : truncate;
    Verdict verdict = begin({DiskOp::open, path, 0, 0, makes});
    error = verdict.error;
    if (error != 0) return nullptr;
    if (found != visible_.end()) {
        if (exclusive)
            error = EEXIST;
        else if (found->second->directory)
            error = EISDIR;
        if (error != 0) return nullptr;
        InodeRef file = found->second;
        file->path = path;
        if (truncate && file->visible.size() != 0) {
            file->pending.push_back({0, file->visible.size(), 0, {}});
            add_used(file->visible.size(), 0);
            bury(*file);
            file->visible.resize(0);
        }
        return file;
    }
    if (!create || !has_parent(path)) {
        error = ENOENT;
        return nullptr;
    }
    InodeRef made = std::make_shared<Inode>();
    made->path = path;
    visible_[std::string(path)] = made;
    changes_.push_back({NameChange::create, std::string(path), {}, made});
    return made;
}

int SimStorage::read(Inode& file, uint64_t offset, MutableBytes into, uint64_t& bytes) {
    bytes = 0;
    Verdict verdict = begin({DiskOp::read, file.path, offset, into.size()});
    if (verdict.error != 0) return verdict.error;
    bytes = file.visible.read(offset, into.first(std::min<uint64_t>(into.size(), verdict.bytes_max)));
    return 0;
}

int SimStorage::write(Inode& file, uint64_t offset, ByteView content, uint64_t& bytes) {
    bytes = 0;
    Verdict verdict = begin({DiskOp::write, file.path, offset, content.size()});
    if (verdict.error != 0) return verdict.error;
    content = content.first(std::min<uint64_t>(content.size(), verdict.bytes_max));
    uint64_t before = file.visible.size(), after = std::max(before, offset + content.size());
    if (!grow_allowed(file, after)) {
        uint64_t limit = before + free_bytes();
        if (offset >= limit) return ENOSPC;
        content = content.first(std::min<uint64_t>(content.size(), limit - offset));
        after = std::max(before, offset + content.size());
    }
    if (content.empty()) return 0;
    file.pending.push_back({offset, content.size(), after, {content.begin(), content.end()}});
    file.visible.write(offset, content);
    add_used(before, after);
    bytes = content.size();
    return 0;
}

int SimStorage::fill(Inode& file, uint64_t from, uint64_t to, DiskOp op) {
    Verdict verdict = begin({op, file.path, from, to - from});
    if (verdict.error != 0) return verdict.error;
    uint64_t before = file.visible.size();
    if (!grow_allowed(file, to)) return ENOSPC;
    if (op == DiskOp::allocate) from = before;
    if (from >= to) return 0;
    file.pending.push_back({from, to - from, std::max(before, to), {}});
    file.visible.zero(from, to);
    add_used(before, file.visible.size());
    return 0;
}

int SimStorage::resize(Inode& file, uint64_t bytes) {
    Verdict verdict = begin({DiskOp::resize, file.path, 0, bytes});
    if (verdict.error != 0) return verdict.error;
    uint64_t before = file.visible.size();
    if (bytes == before) return 0;
    if (!grow_allowed(file, bytes)) return ENOSPC;
    file.pending.push_back(
        {std::min(before, bytes), std::max(before, bytes) - std::min(before, bytes), bytes, {}});
    if (bytes < before) bury(file);
    file.visible.resize(bytes);
    add_used(before, bytes);
    return 0;
}

int SimStorage::sync(Inode& file) {
    Verdict verdict = begin({DiskOp::sync, file.path});
    if (dead_ || verdict.lie) return verdict.error;
    if (verdict.error == 0) {
        for (const Inode::Pending& write : file.pending)
            file.durable.share(file.visible, write.offset, write.offset + write.bytes);
        if (file.durable.size() != file.visible.size()) file.durable.resize(file.visible.size());
    }
    file.pending.clear();  // after a failed sync too: the pages look clean
    return verdict.error;
}

int SimStorage::sync_dir(std::string_view path) {
    path = without_slash(path);
    Verdict verdict = begin({DiskOp::sync_dir, path});
    if (verdict.error != 0 || verdict.lie) return verdict.error;
    if (!path.empty() && visible_.find(path) == visible_.end()) return ENOENT;
    std::erase_if(changes_, [&](const NameChange& change) {
        bool here = folder_of(change.path) == path || (!change.to.empty() && folder_of(change.to) == path);
        if (here) apply(durable_, change);
        return here;
    });
    return 0;
}

void SimStorage::move_children(Names& names, const std::string& from, const std::string& to) {
    for (auto at = names.lower_bound(from); at != names.end() && at->first.starts_with(from);) {
        auto next = std::next(at);
        auto child = names.extract(at);
        child.key() = to + child.key().substr(from.size());
        names.insert(std::move(child));
        at = next;
    }
}

void SimStorage::apply(Names& names, const NameChange& change) {
    switch (change.kind) {
        case NameChange::create: names[change.path] = change.inode; break;
        case NameChange::rename:
            names.erase(change.path);
            names[change.to] = change.inode;
            if (change.inode->directory) move_children(names, change.path + "/", change.to + "/");
            break;
        case NameChange::remove: names.erase(change.path); break;
    }
}

int SimStorage::rename(std::string_view from, std::string_view to) {
    Verdict verdict = begin({DiskOp::rename, from});
    if (verdict.error != 0) return verdict.error;
    auto found = visible_.find(from);
    if (found == visible_.end() || !has_parent(to)) return ENOENT;
    InodeRef inode = found->second;
    if (auto old = visible_.find(to); old != visible_.end()) {
        if (old->second == inode) return 0;
        add_used(old->second->visible.size(), 0);
        bury(*old->second);
    }
    changes_.push_back({NameChange::rename, std::string(from), std::string(to), inode});
    apply(visible_, changes_.back());
    inode->path = to;
    return 0;
}

int SimStorage::remove(std::string_view path) {
    Verdict verdict = begin({DiskOp::remove, path});
    if (verdict.error != 0) return verdict.error;
    auto found = visible_.find(path);
    if (found == visible_.end()) return ENOENT;
    if (found->second->directory) {
        auto next = std::next(found);
        if (next != visible_.end() && next->first.starts_with(std::string(path) + "/")) return ENOTEMPTY;
    }
    add_used(found->second->visible.size(), 0);
    bury(*found->second);
    changes_.push_back({NameChange::remove, std::string(path), {}, nullptr});
    visible_.erase(found);
    return 0;
}

int SimStorage::make_dir(std::string_view path) {
    path = without_slash(path);
    Verdict verdict = begin({DiskOp::make_dir, path});
    if (verdict.error != 0) return verdict.error;
    if (visible_.find(path) != visible_.end()) return EEXIST;
    if (!has_parent(path)) return ENOENT;
    InodeRef made = std::make_shared<Inode>();
    made->directory = true;
    made->path = path;
    visible_[std::string(path)] = made;
    changes_.push_back({NameChange::create, std::string(path), {}, made});
    return 0;
}

int SimStorage::drop_cache(Inode& file) {
    Verdict verdict = begin({DiskOp::drop_cache, file.path});
    if (verdict.error != 0) return verdict.error;
    if (file.pending.empty()) file.visible = file.durable;  // dirty pages stay
    return 0;
}

std::vector<std::string> SimStorage::list(std::string_view dir, int& error) {
    dir = without_slash(dir);
    error = begin({DiskOp::list, dir}).error;
    std::vector<std::string> names;
    if (error != 0) return names;
    if (!dir.empty() && visible_.find(dir) == visible_.end()) {
        error = ENOENT;
        return names;
    }
    std::string prefix = dir.empty() ? "" : std::string(dir) + "/";
    for (auto it = visible_.lower_bound(prefix); it != visible_.end() && it->first.starts_with(prefix); ++it)
        if (it->first.find('/', prefix.size()) == std::string::npos && it->first.size() > prefix.size())
            names.push_back(it->first.substr(prefix.size()));
    return names;
}

void SimStorage::bury(const Inode& file) {
    for (const BlockRef& block : file.visible.blocks()) {
        if (!block) continue;
        if (graveyard_.size() < kGraveyardBlocks)
            graveyard_.push_back(block);
        else
            graveyard_[calls_ % kGraveyardBlocks] = block;
    }
}

bool SimStorage::flip_bit(std::string_view path, uint64_t byte, int bit) {
    auto found = visible_.find(path);
    if (found == visible_.end() || byte >= found->second->visible.size()) return false;
    for (Image* image : {&found->second->visible, &found->second->durable}) {
        std::byte value{};
        if (image->read(byte, {&value, 1}) == 0) continue;
        value ^= std::byte{1} << bit;
        image->write(byte, {&value, 1});
    }
    return true;
}

void SimStorage::overwrite(std::string_view path, uint64_t offset, ByteView bytes) {
    auto found = visible_.find(path);
    if (found == visible_.end()) return;
    for (Image* image : {&found->second->visible, &found->second->durable})
        if (offset < image->size())
            image->write(offset, bytes.first(std::min<uint64_t>(bytes.size(), image->size() - offset)));
}

std::vector<std::string> SimStorage::paths() const {
    std::vector<std::string> all;
    for (const auto& [path, inode] : visible_)
        if (!inode->directory) all.push_back(path);
    return all;
}

std::vector<std::string> SimStorage::durable_paths() const {
    std::vector<std::string> all;
    for (const auto& [path, inode] : durable_)
        if (!inode->directory) all.push_back(path);
    return all;
}

uint64_t SimStorage::size_of(std::string_view path) const {
    auto found = visible_.find(path);
    return found == visible_.end() ? 0 : found->second->visible.size();
}

std::vector<std::byte> SimStorage::durable_bytes(std::string_view path) const {
    auto found = durable_.find(path);
    if (found == durable_.end()) return {};
    std::vector<std::byte> bytes(found->second->durable.size());
    found->second->durable.read(0, bytes);
    return bytes;
}

std::vector<std::byte> SimStorage::visible_bytes(std::string_view path) const {
    auto found = visible_.find(path);
    if (found == visible_.end()) return {};
    std::vector<std::byte> bytes(found->second->visible.size());
    found->second->visible.read(0, bytes);
    return bytes;
}

bool SimStorage::has_unsynced() const {
    if (!changes_.empty()) return true;
    for (const auto& [path, inode] : visible_)
        if (!inode->pending.empty()) return true;
    return false;
}

}  // namespace raftd::sim
