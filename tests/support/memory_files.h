// Files in memory for unit tests, with a power cut at any operation: content that wasn't synced is lost, and
// so are names whose directory wasn't. The simulator's disk (sim/disk.h) has the full fault model.
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <set>

#include "io/files.h"

namespace raftd::fakes {

class MemoryFiles : public io::Files {
public:
    /// Operations that change something, until all of them fail with EIO; then call power_cut().
    uint64_t changes_left = UINT64_MAX;

    void power_cut() {
        names_ = durable_names_;
        for (auto& [path, file] : names_)
            if (file) file->content = file->synced;
        open_.clear();
        changes_left = UINT64_MAX;
    }
    std::string content(const std::string& path) { return names_.at(path)->content; }
    void put(const std::string& path, const std::string& content) {
        auto file = std::make_shared<File>();
        file->content = file->synced = content;
        names_[path] = durable_names_[path] = file;
    }
    bool exists(const std::string& path) const { return names_.contains(path); }

    io::FileId open(std::string_view path, io::OpenMode mode, int& error) override {
        auto found = names_.find(std::string(path));
        bool there = found != names_.end();
        bool makes = mode == io::OpenMode::create_new || mode == io::OpenMode::truncate;
        error = !there && !makes ? ENOENT : there && mode == io::OpenMode::create_new ? EEXIST : 0;
        if (error == 0 && there && !found->second) error = EISDIR;
        if (error == 0 && makes && (!there || !found->second->content.empty()) && spent()) error = EIO;
        if (error == 0 && !there && !names_.contains(parent(path))) error = ENOENT;
        if (error != 0) return io::kNoFile;
        std::shared_ptr<File>& file = names_[std::string(path)];
        if (!file) file = std::make_shared<File>();
        if (mode == io::OpenMode::truncate) file->content.clear();
        open_[io::FileId{++last_id_}] = file;
        return io::FileId{last_id_};
    }
    void close(io::FileId file) override { open_.erase(file); }
    io::FileResult read(io::FileId file, uint64_t offset, MutableBytes into) override {
        const std::string& content = open_.at(file)->content;
        uint64_t count = std::min<uint64_t>(into.size(), content.size() - std::min(offset, content.size()));
        if (count != 0) std::memcpy(into.data(), content.data() + offset, count);
        return {0, count};
    }
    io::FileResult write(io::FileId file, uint64_t offset, ByteView bytes) override {
        if (spent()) return {EIO, 0};
        std::string& content = open_.at(file)->content;
        if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
        content.replace(offset, bytes.size(), as_text(bytes));
        return {0, bytes.size()};
    }
    io::FileResult sync(io::FileId file) override {
        if (spent()) return {EIO, 0};
        open_.at(file)->synced = open_.at(file)->content;
        return {};
    }
    io::FileResult sync_dir(std::string_view path) override {
        if (spent()) return {EIO, 0};
        std::erase_if(durable_names_, [&](const auto& item) { return parent(item.first) == path; });
        for (const auto& [name, file] : names_)
            if (parent(name) == path) durable_names_[name] = file;
        return {};
    }
    io::FileResult rename(std::string_view from, std::string_view to) override {
        if (spent()) return {EIO, 0};
        auto found = names_.find(std::string(from));
        if (found == names_.end()) return {ENOENT, 0};
        names_[std::string(to)] = found->second;
        names_.erase(std::string(from));
        return {};
    }
    io::FileResult remove(std::string_view path) override {
        if (spent()) return {EIO, 0};
        return {names_.erase(std::string(path)) == 0 ? ENOENT : 0, 0};
    }
    io::FileResult make_dir(std::string_view path) override {
        if (names_.contains(std::string(path))) return {EEXIST, 0};
        if (spent()) return {EIO, 0};
        names_[std::string(path)] = nullptr;
        return {};
    }
    io::FileResult size(io::FileId file) override { return {0, open_.at(file)->content.size()}; }
    io::FileResult resize(io::FileId file, uint64_t bytes) override {
        if (spent()) return {EIO, 0};
        open_.at(file)->content.resize(bytes);
        return {};
    }
    io::FileResult drop_cache(io::FileId) override { return {}; }
    io::FileResult fill_zeros(io::FileId file, uint64_t from, uint64_t to) override {
        return write(file, from, as_bytes(std::string(to - from, '\0')));
    }
    io::FileResult allocate(io::FileId file, uint64_t bytes) override { return resize(file, bytes); }
    std::vector<std::string> list(std::string_view dir, int& error) override {
        std::vector<std::string> found;
        auto self = names_.find(std::string(dir));
        error = self == names_.end() ? ENOENT : self->second ? ENOTDIR : 0;
        for (const auto& [name, file] : names_)
            if (error == 0 && name != dir && parent(name) == dir)
                found.push_back(name.substr(name.rfind('/') + 1));
        return found;
    }

private:
    struct File {
        std::string content, synced;
    };
    static std::string parent(std::string_view path) {
        size_t slash = path.rfind('/');
        return slash == 0 ? "/" : std::string(path.substr(0, slash));
    }
    bool spent() {
        if (changes_left == 0) return true;
        --changes_left;
        return false;
    }

    std::map<std::string, std::shared_ptr<File>> names_{{"/", nullptr}}, durable_names_{{"/", nullptr}};
    std::map<io::FileId, std::shared_ptr<File>> open_;
    uint32_t last_id_ = 0;
};

}  // namespace raftd::fakes
